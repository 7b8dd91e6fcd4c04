//! Values, and how they are spelt.

use std::fmt::{self, Display};

/// How a column's number becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// As it is.
    One,
    /// From nanoseconds to seconds.
    Seconds,
    /// As it is, and no whole number: its bits.
    Real,
}

/// A value as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Whole(u64),
    /// Nanoseconds, in seconds.
    Nanoseconds(u64),
    Real(f64),
}

impl Value {
    pub(crate) fn scaled(number: u64, scale: Scale) -> Self {
        match scale {
            Scale::One => Self::Whole(number),
            Scale::Seconds => Self::Nanoseconds(number),
            Scale::Real => Self::Real(f64::from_bits(number)),
        }
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(n) => write!(f, "{n}"),
            // Exact, which a double is not beyond 104 days.
            Self::Nanoseconds(ns) => {
                let text = format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
                f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
            }
            Self::Real(v) if v.is_infinite() => f.write_str(if *v > 0.0 { "+Inf" } else { "-Inf" }),
            Self::Real(v) => write!(f, "{v}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact() {
        let shown = |ns| Value::Nanoseconds(ns).to_string();
        assert_eq!((shown(0), shown(1), shown(1_500_000_000)), ("0".into(), "0.000000001".into(), "1.5".into()));
        assert_eq!((shown(20_000_000_000), shown(u64::MAX)), ("20".into(), "18446744073.709551615".into()));
    }
}
