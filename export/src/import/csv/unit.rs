//! What a number of a column counts: how much one of it is in the unit of a recording, and over
//! which time.

use std::fmt;

/// What is counted, and the unit that a recording has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dimension {
    /// Nanoseconds.
    Time,
    /// Bytes.
    Bytes,
    /// Anything that has no unit.
    Count,
}

impl Dimension {
    /// Of a column of samples.
    pub(super) fn of(column: &str) -> Self {
        match column.rsplit('_').next() {
            Some("ns") => Self::Time,
            Some("bytes" | "chars") => Self::Bytes,
            _ => Self::Count,
        }
    }
}

/// Over which time a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Per {
    /// A second.
    Second,
    /// The time of its row.
    Row,
    /// Since some beginning; what a row adds is the difference to the row before.
    Total,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unit {
    /// One of it, in nanoseconds, bytes or ones.
    pub(super) scale: f64,
    /// Over which time; of a level nothing.
    pub(super) per: Per,
    /// As it is written.
    name: &'static str,
}

/// By name: how much one is, of what, and whether it is a rate by itself.
const UNITS: &[(&str, f64, Dimension, Per)] = &[
    ("ns", 1.0, Dimension::Time, Per::Row),
    ("us", 1e3, Dimension::Time, Per::Row),
    ("ms", 1e6, Dimension::Time, Per::Row),
    ("s", 1e9, Dimension::Time, Per::Row),
    ("cores", 1e9, Dimension::Time, Per::Second),
    ("%", 1e7, Dimension::Time, Per::Second),
    ("B", 1.0, Dimension::Bytes, Per::Second),
    ("kB", 1e3, Dimension::Bytes, Per::Second),
    ("KiB", 1024.0, Dimension::Bytes, Per::Second),
    ("MB", 1e6, Dimension::Bytes, Per::Second),
    ("MiB", 1_048_576.0, Dimension::Bytes, Per::Second),
    ("GB", 1e9, Dimension::Bytes, Per::Second),
    ("GiB", 1_073_741_824.0, Dimension::Bytes, Per::Second),
    ("1", 1.0, Dimension::Count, Per::Second),
];

impl Unit {
    /// The unit `name` of what is of `dimension`.
    pub(super) fn named(name: &str, dimension: Dimension) -> Option<Self> {
        let (name, scale, _, per) = UNITS.iter().find(|(n, _, of, _)| *n == name && *of == dimension)?;
        Some(Self { scale: *scale, per: *per, name })
    }

    /// As a person writes it: `MiB`, `KiB/s`, `ms/row`, `B/total`.
    pub(super) fn parse(text: &str, dimension: Dimension) -> Option<Self> {
        let (name, per) = match text.split_once('/') {
            None => (text, None),
            Some((name, "s")) => (name, Some(Per::Second)),
            Some((name, "row")) => (name, Some(Per::Row)),
            Some((name, "total")) => (name, Some(Per::Total)),
            Some(_) => return None,
        };
        let unit = Self::named(name, dimension)?;
        Some(Self { per: per.unwrap_or(unit.per), ..unit })
    }

    /// What may be written for `dimension`.
    pub(super) fn names(dimension: Dimension) -> String {
        let names = UNITS.iter().filter(|(_, _, of, _)| *of == dimension).map(|(name, ..)| *name);
        names.collect::<Vec<_>>().join(", ")
    }

    /// The same over another time.
    pub(super) fn over(self, per: Per) -> Self {
        Self { per, ..self }
    }

    /// As a rate by itself it says no more; else with the time.
    pub(super) fn told(self, is_level: bool) -> impl fmt::Display {
        let own = UNITS.iter().find(|(n, ..)| *n == self.name).is_some_and(|u| matches!(u.0, "cores" | "%"));
        let over = match self.per {
            _ if is_level => "",
            Per::Second if own => "",
            Per::Second => "/s",
            Per::Row => "/row",
            Per::Total => "/total",
        };
        format!("{}{over}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_with_the_time_that_they_count_over() {
        let of = |text: &str, dimension| Unit::parse(text, dimension).map(|u| (u.scale, u.per));
        assert_eq!(of("%", Dimension::Time), Some((1e7, Per::Second)));
        assert_eq!(of("ms", Dimension::Time), Some((1e6, Per::Row)));
        assert_eq!(of("s/total", Dimension::Time), Some((1e9, Per::Total)));
        assert_eq!(of("MiB/s", Dimension::Bytes), Some((1_048_576.0, Per::Second)));
        assert_eq!(of("1/row", Dimension::Count), Some((1.0, Per::Row)));
        for (text, dimension) in [("MiB", Dimension::Count), ("m", Dimension::Time), ("B/min", Dimension::Bytes)] {
            assert_eq!(of(text, dimension), None, "{text}");
        }
    }
}
