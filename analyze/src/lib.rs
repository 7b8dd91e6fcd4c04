//! From recordings to findings: a DataFusion session, windows, explanation.
