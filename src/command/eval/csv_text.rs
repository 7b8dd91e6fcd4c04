//! A table as CSV.

use crate::failure::{Failure, Result};

/// Series and labels are named by files and people: what is in their names is quoted.
pub(super) fn csv_text<'a, R>(rows: impl IntoIterator<Item = R>) -> Result<String>
where
    R: IntoIterator<Item = std::borrow::Cow<'a, str>>,
{
    let mut writer = csv::Writer::from_writer(vec![]);
    for row in rows {
        writer.write_record(row.into_iter().map(|cell| cell.into_owned())).map_err(Failure::new)?;
    }
    String::from_utf8(writer.into_inner().map_err(Failure::new)?).map_err(Failure::new)
}
