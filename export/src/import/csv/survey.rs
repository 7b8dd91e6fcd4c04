//! The first reading of a table: which columns it has, when it was, and how far apart its rows are.

use super::named::{Holds, TIMES, by_name, is_level, is_of_calls, plain};
use super::table::Table;
use super::text::Splitter;
use super::unit::{Per, Unit};
use crate::import::read::{Sum, lines};
use crate::import::time::{TimeUnit, time};
use crate::{Error, Result};
use std::collections::HashSet;
use std::path::Path;

/// So many differences of times tell how far apart rows are.
const DIFFERENCES: usize = 100_000;
/// What a table is told to have is wrong in one of these ways.
const FIX: &str = "the first line names the columns; name that of the times with --time NAME[:s|ms|us|ns], others with --column NAME=METRIC";

/// What the first reading learns.
pub(super) struct Survey {
    pub(super) splitter: Splitter,
    /// Of each column what it holds, if anything.
    pub(super) columns: Vec<Option<Holds>>,
    /// Names of columns that have no place.
    pub(super) left_out: Vec<String>,
    /// What was taken for what, in words.
    pub(super) taken: Vec<String>,
    pub(super) sum: Sum,
    /// First and last time, UTC ns.
    pub(super) span: (i64, i64),
    /// What most rows are apart.
    pub(super) step_ns: u64,
    /// Times without a zone.
    pub(super) is_civil: bool,
}

/// Whether a line is the header of a table that has times.
pub(in super::super) fn is_header(line: &str) -> bool {
    let mut splitter = Splitter::of(line);
    let Some(fields) = splitter.fields(line) else { return false };
    fields.len() > 1 && fields.iter().any(|f| by_name(f) == Some(Holds::Time))
}

impl Survey {
    pub(super) fn of(path: &Path, table: &Table, mut progress: impl FnMut(u64)) -> Result<Self> {
        let refused = |detail: String| Error::Import { path: path.to_owned(), detail, fix: FIX };
        let unit = table.time.as_ref().and_then(|(_, unit)| *unit);
        let mut survey: Option<Self> = None;
        let (mut last, mut apart) = (None, vec![]);
        lines(path, |_, text, bytes| {
            progress(bytes);
            // A mark of the byte order is no part of a name.
            let text = text.trim_start_matches('\u{feff}');
            if let Some(survey) = &mut survey {
                survey.sum.add(text);
                if let Some(ns) = survey.time(text, unit) {
                    survey.span = (survey.span.0.min(ns), survey.span.1.max(ns));
                    if apart.len() < DIFFERENCES {
                        apart.extend(last.map(|last: i64| ns.abs_diff(last)).filter(|d| *d > 0));
                    }
                    last = Some(ns);
                }
            } else if !text.trim().is_empty() {
                let mut begun = Self::header(text, table).map_err(&refused)?;
                begun.sum.add(text);
                survey = Some(begun);
            }
            Ok(())
        })?;
        let mut survey = survey.ok_or_else(|| refused("it is empty".into()))?;
        if survey.span.0 > survey.span.1 {
            return Err(refused("no row has a time".into()));
        }
        apart.sort_unstable();
        survey.step_ns = apart.get(apart.len() / 2).copied().unwrap_or(1_000_000_000);
        Ok(survey)
    }

    fn header(line: &str, table: &Table) -> std::result::Result<Self, String> {
        let mut splitter = Splitter::of(line);
        let names: Vec<String> = splitter.fields(line).unwrap_or_default().into_iter().map(str::to_owned).collect();
        let quoted = |names: &[String]| names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
        let missing = |name: &str| format!("it has no column `{name}`; its columns are {}", quoted(&names));
        let mut columns: Vec<Option<Holds>> = names
            .iter()
            .map(|name| match table.columns.iter().find(|c| c.name == *name) {
                Some(column) => Some(column.holds.clone()),
                None => by_name(name).filter(|holds| *holds != Holds::Time),
            })
            .collect();
        let rank = |name: &String| TIMES.iter().position(|t| *t == plain(name));
        let at = match &table.time {
            Some((name, _)) => names.iter().position(|n| n == name).ok_or_else(|| missing(name))?,
            None => (0..names.len())
                .filter(|at| rank(&names[*at]).is_some())
                .min_by_key(|at| rank(&names[*at]))
                .ok_or_else(|| format!("it has no column of times; its columns are {}", quoted(&names)))?,
        };
        columns[at] = Some(Holds::Time);
        if let Some(column) = table.columns.iter().find(|c| !names.contains(&c.name)) {
            return Err(missing(&column.name));
        }
        // Two columns cannot be the same: the one that somebody names wins, else the first.
        let is_named = |at: usize| table.columns.iter().any(|c| c.name == names[at]);
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by_key(|at| !is_named(*at));
        let mut met: HashSet<&str> = HashSet::new();
        for at in order {
            let what = match &columns[at] {
                Some(Holds::Number(column, _)) => *column,
                Some(Holds::Pid) => "pid",
                Some(Holds::Proc) => "proc",
                Some(Holds::Comm) => "comm",
                Some(Holds::Time) | None => continue,
            };
            if !met.insert(what) {
                if is_named(at) {
                    return Err(format!("two of its columns are to be {what}"));
                }
                columns[at] = None;
            }
        }
        let told = |(name, holds): (&String, &Option<Holds>)| match holds {
            Some(Holds::Number(column, unit)) => {
                Some(format!("`{name}` is {column}, in {}", unit.told(is_level(column))))
            }
            _ => None,
        };
        let taken: Vec<String> = names.iter().zip(&columns).filter_map(told).collect();
        if taken.is_empty() {
            return Err(format!("none of its columns is a metric that osd knows; they are {}", quoted(&names)));
        }
        let none = |(name, holds): (&String, &Option<Holds>)| {
            // Which file a row is of says nothing here.
            (holds.is_none() && name != "recording").then(|| name.clone())
        };
        let left_out = names.iter().zip(&columns).filter_map(none).collect();
        Ok(Self {
            splitter,
            columns,
            left_out,
            taken,
            sum: Sum::default(),
            span: (i64::MAX, i64::MIN),
            step_ns: 0,
            is_civil: false,
        })
    }

    fn time(&mut self, line: &str, unit: Option<TimeUnit>) -> Option<i64> {
        let at = self.columns.iter().position(|c| *c == Some(Holds::Time))?;
        let time = time(self.splitter.fields(line)?.get(at)?, unit)?;
        self.is_civil |= time.is_civil;
        Some(time.ns)
    }

    /// The columns of numbers: their place, the column of samples, the unit.
    pub(super) fn numbers(&self) -> Vec<(usize, &'static str, Unit)> {
        let number = |(at, holds): (usize, &Option<Holds>)| match holds {
            Some(Holds::Number(column, unit)) => Some((at, *column, *unit)),
            _ => None,
        };
        self.columns.iter().enumerate().filter_map(number).collect()
    }

    /// The place of a column that is no number.
    pub(super) fn place(&self, holds: &Holds) -> Option<usize> {
        self.columns.iter().position(|c| c.as_ref() == Some(holds))
    }

    /// Some counter is told by its sum so far.
    pub(super) fn has_totals(&self) -> bool {
        self.numbers().iter().any(|(_, column, unit)| unit.per == Per::Total && !is_level(column))
    }

    /// Of the columns without a place, those that osd makes of calls, and others.
    pub(super) fn without_place(&self) -> (Vec<&str>, Vec<&str>) {
        self.left_out.iter().map(String::as_str).partition(|name| is_of_calls(name))
    }
}
