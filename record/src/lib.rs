//! The recorder: preflight, session, decoding, accounting, sinks.
