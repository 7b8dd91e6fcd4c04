//! The BPF programs, their wire records, and the generated skeleton.
