//! An answer for people: a table that fits, or one line a column.
//!
//! Each cell is made visible before anything is put together. What is cut to fit ends in `…`, and only texts and lists are cut: half of a
//! number is another number.

use crate::failure::{Failure, Result};
use crate::output::Output;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use osd_recording::visible::visible;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How it is to look.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// Columns of the terminal; none where there is no terminal.
    pub(super) columns: Option<usize>,
    /// Cut nothing.
    pub(super) wide: bool,
    /// One line a column, each row by itself.
    pub(super) expanded: bool,
}

/// The longest that a cell gets where there is no terminal whose width would say.
const WITHOUT_TERMINAL: usize = 100;
/// Narrower than this a cell says nothing.
const LEAST: usize = 12;

/// Writes the rows of `batches`, which have the columns of `schema`. Whether something was cut.
pub(super) fn write(schema: &SchemaRef, batches: &[RecordBatch], look: Look, out: &mut Output) -> Result<bool> {
    let names: Vec<String> = schema.fields().iter().map(|f| visible(f.name()).into_owned()).collect();
    let mut rows: Vec<Vec<String>> = vec![];
    for batch in batches {
        let options = FormatOptions::default();
        let columns = batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>().map_err(Failure::new)?;
        for row in 0..batch.num_rows() {
            let cell = |c: &ArrayFormatter<'_>| Ok(visible(&c.value(row).try_to_string()?).into_owned());
            let cells = columns.iter().map(cell).collect::<std::result::Result<Vec<_>, arrow::error::ArrowError>>();
            rows.push(cells.map_err(Failure::new)?);
        }
    }
    if look.expanded {
        return expanded(&names, &rows, out).map(|()| false);
    }
    let mut widths: Vec<usize> = names.iter().map(|n| n.width()).collect();
    for row in &rows {
        widths.iter_mut().zip(row).for_each(|(w, cell)| *w = cell.width().max(*w));
    }
    let may_cut: Vec<bool> = schema.fields().iter().map(|f| is_long(f.data_type())).collect();
    let cut = !look.wide && narrow(&mut widths, &may_cut, look.columns);
    let rule = widths.iter().fold("+".to_owned(), |rule, w| rule + &"-".repeat(w + 2) + "+");
    out.line(&rule)?;
    out.line(line(&names, &widths))?;
    out.line(&rule)?;
    for row in &rows {
        out.line(line(row, &widths))?;
    }
    if !rows.is_empty() {
        out.line(&rule)?;
    }
    Ok(cut)
}

/// Whether values of this type can be long, and say something when they are cut.
fn is_long(ty: &DataType) -> bool {
    match ty {
        DataType::Dictionary(_, value) => is_long(value),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        ty => ty.is_nested(),
    }
}

/// Takes from the widest columns that may be cut until the table fits; whether anything was taken.
fn narrow(widths: &mut [usize], may_cut: &[bool], columns: Option<usize>) -> bool {
    let most = match columns {
        None => WITHOUT_TERMINAL,
        Some(columns) => {
            let all = |cap: usize| -> usize {
                let one = |(w, may): (&usize, &bool)| 3 + if *may { (*w).min(cap) } else { *w };
                1 + widths.iter().zip(may_cut).map(one).sum::<usize>()
            };
            let widest = widths.iter().copied().max().unwrap_or(0);
            (LEAST..=widest).rev().find(|cap| all(*cap) <= columns).unwrap_or(LEAST)
        }
    };
    let mut cut = false;
    for (width, _) in widths.iter_mut().zip(may_cut).filter(|(w, may)| **may && **w > most) {
        (*width, cut) = (most, true);
    }
    cut
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let one = |(cell, width): (&String, &usize)| {
        let cell = fit(cell, *width);
        let padding = " ".repeat(width.saturating_sub(cell.width()));
        format!(" {cell}{padding} |")
    };
    cells.iter().zip(widths).map(one).fold("|".to_owned(), |line, cell| line + &cell)
}

/// `text`, or as much of its start as fits with an ellipsis.
fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut taken = 0;
    let fits = text.chars().take_while(|c| {
        taken += c.width().unwrap_or(0);
        taken < width
    });
    fits.chain(['…']).collect()
}

fn expanded(names: &[String], rows: &[Vec<String>], out: &mut Output) -> Result<()> {
    let width = names.iter().map(|n| n.width()).max().unwrap_or(0);
    for (i, row) in rows.iter().enumerate() {
        out.line(format_args!("-[ row {} ]{}", i + 1, "-".repeat(width.saturating_sub(2))))?;
        for (name, cell) in names.iter().zip(row) {
            let padding = " ".repeat(width - name.width());
            out.line(format!("{name}{padding} | {cell}").trim_end())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_texts_are_cut_first_and_numbers_never() {
        let mut widths = [20, 200, 40];
        assert!(narrow(&mut widths, &[false, true, true], Some(100)));
        assert_eq!((widths, widths.iter().sum::<usize>() + 10), ([20, 35, 35], 100));
        let mut widths = [90, 4096];
        assert!(narrow(&mut widths, &[false, true], Some(80)));
        assert_eq!(widths, [90, LEAST], "a table wider than the terminal is better than none");
        let mut widths = [10, 20];
        assert!(!narrow(&mut widths, &[true, true], Some(80)));
        let mut widths = [10, 4096];
        assert!(narrow(&mut widths, &[true, true], None));
        assert_eq!(widths, [10, WITHOUT_TERMINAL]);
    }

    #[test]
    fn what_is_cut_ends_in_an_ellipsis() {
        assert_eq!((fit("abcdef", 4), fit("abcd", 4), fit("日本語", 4)), ("abc…".into(), "abcd".into(), "日…".into()));
    }
}
