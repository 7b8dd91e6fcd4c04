//! Labelled live workloads with fault injection.
