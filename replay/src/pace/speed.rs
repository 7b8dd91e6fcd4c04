//! How fast a replay is.

use crate::Error;
use std::fmt;
use std::str::FromStr;

/// How fast a replay is, in recording time by time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times as fast as it was; more than 0.
    Times(f64),
    /// As fast as rows can be read.
    Max,
}

/// Beyond this a replay is not told from `max`, and times in nanoseconds would not fit.
const MOST: f64 = 1e9;

impl FromStr for Speed {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.eq_ignore_ascii_case("max") {
            return Ok(Self::Max);
        }
        let number = text.strip_suffix(['x', 'X']).unwrap_or(text).trim();
        match number.parse::<f64>() {
            Ok(times) if times > 0.0 && times <= MOST => Ok(Self::Times(times)),
            _ => Err(Error::Speed { given: text.to_owned() }),
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(times) => write!(f, "{times}x"),
            Self::Max => f.write_str("max"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_more_than_nothing() {
        for (text, speed) in [("1", 1.0), ("10x", 10.0), ("0.5", 0.5), ("1e6", 1e6)] {
            assert_eq!(text.parse::<Speed>().unwrap(), Speed::Times(speed));
        }
        assert_eq!("max".parse::<Speed>().unwrap(), Speed::Max);
        for wrong in ["0", "-1", "-0.0", "NaN", "inf", "fast", "", "1e300"] {
            let error = wrong.parse::<Speed>().unwrap_err();
            assert!(error.hint().is_some_and(|hint| hint.contains("max")), "{wrong}");
        }
    }
}
