//! From findings to one incident page: PNG, SVG and self-contained HTML.
