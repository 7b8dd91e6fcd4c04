//! Detectors made of many small ones: forests, bags of columns, the locally best of several.

pub(crate) mod bagging;
pub(crate) mod forest;
pub(crate) mod lscp;
