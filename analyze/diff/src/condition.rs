//! What a caller allows to change by how much: `cpu:+10%`, `p99(fsync):+20%`.
//!
//! A condition has the numbers of its own as its family: it is corrected for how many conditions there are, and not for all that could
//! be compared. What there is no data of is said, and is no pass.

use crate::compare::both;
use crate::estimate::{Number, Quantity};
use crate::observe::Observed;
use crate::words;
use crate::{Error, Result};
use osd_findings::{About, Condition, Verdict};
use osd_signals::metric::MetricId;

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    text: String,
    name: String,
    quantity: Option<Quantity>,
    /// The logarithm of the ratio at which it fails: above if positive, below if negative.
    limit: f64,
}

impl Wanted {
    /// Conditions between commas.
    ///
    /// # Errors
    /// [`Error::Condition`].
    pub fn parse_all(text: &str) -> Result<Vec<Self>> {
        text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(Self::parse).collect()
    }

    fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| Error::Condition { text: text.to_owned(), why: why.to_owned() };
        let (what, change) = text.rsplit_once(':').ok_or_else(|| wrong("it does not say by how much"))?;
        let percent = change.trim().strip_suffix('%').ok_or_else(|| wrong("a change is a percentage"))?;
        let signed = percent.starts_with(['+', '-']);
        let percent: f64 = percent.parse().map_err(|_| wrong("a change is a percentage"))?;
        if !signed || !percent.is_finite() || percent <= -100.0 || percent == 0.0 {
            return Err(wrong("a change is a percentage with its sign, and a fall is less than 100 %"));
        }
        let (quantity, name) = match what.trim().strip_suffix(')').and_then(|w| w.split_once('(')) {
            Some((quantity, name)) => {
                let known = Quantity::ALL.into_iter().find(|q| q.name() == quantity.trim());
                (Some(known.ok_or_else(|| wrong("there is rate, median, p95, p50 and p99"))?), name.trim())
            }
            None => (None, what.trim()),
        };
        if name.is_empty() {
            return Err(wrong("it does not say of what"));
        }
        Ok(Self { text: text.to_owned(), name: name.to_owned(), quantity, limit: (1.0 + percent / 100.0).ln() })
    }

    /// The number that is meant.
    fn number(&self, sides: [&[Observed]; 2]) -> Option<Number> {
        let is_metric = MetricId::from_name(&self.name).is_some();
        let latency = matches!(self.quantity, Some(Quantity::P50 | Quantity::P99));
        if is_metric && !latency && self.quantity != Some(Quantity::Rate) {
            let quantity = self.quantity.unwrap_or(Quantity::Median);
            return Some(Number { key: (About::Metric, self.name.clone()), quantity });
        }
        let quantity = self.quantity.unwrap_or(Quantity::Rate);
        let seen = |about: &About| {
            let key = (*about, self.name.clone());
            sides.iter().flat_map(|s| s.iter()).any(|o| o.counts.contains_key(&key))
        };
        let about = [About::Call, About::Error, About::Process, About::Thread, About::File, About::Program];
        let about = about.into_iter().find(seen)?;
        Some(Number { key: (about, self.name.clone()), quantity })
    }

    /// What comes of it, one of `n` conditions.
    pub(crate) fn judge(&self, before: &[Observed], after: &[Observed], level: f64, n: usize) -> Condition {
        let no_data = |why: String| Condition {
            text: self.text.clone(),
            verdict: Verdict::NoData,
            sentence: format!("no data: {why}"),
        };
        let sides = [before, after];
        let Some(number) = self.number(sides) else {
            return no_data(format!("neither side has {}", self.name));
        };
        let about = number.key.0;
        if let Some(blind) = before.iter().chain(after).find(|o| o.blind.contains(&about)) {
            return no_data(format!("{} does not have it", blind.side.path));
        }
        let (values, d) = match both(&number, sides) {
            Ok(both) => both,
            Err(why) => return no_data(why),
        };
        let rises = self.limit > 0.0;
        let beyond = if rises { d.shift >= self.limit } else { d.shift <= self.limit };
        let verdict = if beyond && d.p_value * n as f64 <= level { Verdict::Differs } else { Verdict::Same };
        let (a, b) = (number.value(values[0].value), number.value(values[1].value));
        let unit = number.unit();
        let change = words::percent(d.shift.exp() - 1.0);
        let mut sentence = format!("{} instead of {}, {change}", words::value(b, unit), words::value(a, unit));
        let smallest = d.smallest(level / n as f64);
        if verdict == Verdict::Same && smallest > self.limit.abs() {
            sentence += &format!("; below {} no change would have been seen", words::percent(smallest.exp() - 1.0));
        }
        Condition { text: self.text.clone(), verdict, sentence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_as_written_and_nonsense_is_named() {
        let all = Wanted::parse_all("cpu:+10%, p99(fsync):+20%,rate(openat):-50%").unwrap();
        assert_eq!(all.len(), 3);
        assert_eq!((all[1].name.as_str(), all[1].quantity), ("fsync", Some(Quantity::P99)));
        assert!((all[2].limit - 0.5_f64.ln()).abs() < 1e-12 && all[0].quantity.is_none());
        for (text, why) in [
            ("cpu", "by how much"),
            ("cpu:10%", "with its sign"),
            ("cpu:+10", "percentage"),
            ("cpu:+x%", "percentage"),
            ("cpu:-100%", "less than 100"),
            ("p42(fsync):+1%", "there is rate"),
            ("p99():+1%", "of what"),
        ] {
            let error = Wanted::parse_all(text).unwrap_err();
            assert!(error.to_string().contains(why) && error.hint().is_some(), "{text}: {error}");
        }
    }
}
