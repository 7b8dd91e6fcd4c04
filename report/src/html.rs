//! x
pub(crate) fn page(_view: &crate::view::View, _f: &osd_detect::findings::Findings) -> String {
    String::new()
}
