//! How often the component that caused an issue is among the first that a method names.
//!
//! Three methods besides chance: the largest robust z over all metrics of a component, which is what BARO is (Pham et al., FSE 2024); the
//! shift of the metric that the symptom was noticed by; and osd's, that shift beyond those of the components that it calls
//! ([`root_cause`]). No method sees the cause. Where several components stand equal, a place is shared among them: by chance a method that
//! says the same of all has what chance has.

use crate::corpus::petshop::{Column, Issue, Metrics, Traffic};
use osd_detect::robust;
use osd_detect::whole::root_cause::{self, Observed};
use std::collections::BTreeMap;

/// How many of the first are looked at.
pub const FIRST: [usize; 3] = [1, 3, 5];

/// A method on some of the issues.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct CauseRow {
    /// The method.
    pub method: &'static str,
    /// Which issues.
    pub part: String,
    /// How many.
    pub issues: usize,
    /// Share whose cause is among the first 1, 3, 5.
    pub found: [f64; 3],
}

/// A method: a score for each of `components`, higher is likelier.
type Method = fn(&Case<'_>) -> Vec<f64>;

const METHODS: [(&str, Method); 5] = [
    ("chance", |case| vec![0.0; case.components.len()]),
    ("max-robust-z", max_robust_z),
    ("shift", |case| case.shifts().into_iter().map(|s| s.unwrap_or(f64::NEG_INFINITY)).collect()),
    ("shift-called", shift_called),
    ("own-shift", own_shift),
];

/// What a method may see of an issue.
struct Case<'a> {
    issue: &'a Issue,
    components: Vec<&'a str>,
    calls: Vec<(usize, usize)>,
    /// Rows when all was well.
    usual: &'a Metrics,
}

impl Case<'_> {
    fn usual(&self, of: &Column) -> &[f64] {
        let same = |c: &&Column| (&c.component, &c.metric, &c.statistic) == (&of.component, &of.metric, &of.statistic);
        self.usual.columns.iter().find(same).map_or(&[], |c| &c.values)
    }

    /// Shift of the symptom's metric at each component.
    fn shifts(&self) -> Vec<Option<f64>> {
        let issue = self.issue;
        let whole = before(issue);
        let of = |component: &&str| {
            let here = |c: &&Column| c.component == *component && c.metric == issue.metric && c.statistic == "Average";
            let column = issue.metrics.columns.iter().find(here)?;
            let usual = worse(column, self.usual(column));
            let values = worse(column, &column.values);
            let (before, after) = values.split_at(whole);
            // A tenth of a percent of requests that fail is the least that counts.
            let least = if column.metric == AVAILABILITY { 0.1 } else { 0.0 };
            root_cause::shift(Observed { usual: &usual, before, after }, least)
        };
        self.components.iter().map(of).collect()
    }

    fn symptom(&self) -> usize {
        self.components.iter().position(|c| *c == self.issue.symptom).unwrap_or(self.components.len())
    }
}

const AVAILABILITY: &str = "availability";

/// Values of a metric, higher being worse.
fn worse(column: &Column, values: &[f64]) -> Vec<f64> {
    let of = |v: &f64| if column.metric == AVAILABILITY { 100.0 - v } else { *v };
    values.iter().map(of).collect()
}

/// Seconds that a row is about, of neighbouring times.
fn interval(times_s: &[f64]) -> f64 {
    let steps: Vec<f64> = times_s.windows(2).map(|w| w[1] - w[0]).collect();
    robust::median(&steps).unwrap_or(0.0)
}

/// Rows that end before the issue began.
fn before(issue: &Issue) -> usize {
    let times = &issue.metrics.times_s;
    let interval = interval(times);
    times.iter().filter(|t| **t + interval <= issue.since_s).count()
}

/// Largest distance from the median in interquartile ranges, over all metrics of a component and all rows since the issue began.
fn max_robust_z(case: &Case<'_>) -> Vec<f64> {
    let from = before(case.issue);
    let of = |component: &&str| {
        let columns = case.issue.metrics.columns.iter().filter(|c| c.component == *component);
        let z = columns.filter_map(|column| {
            let mut usual: Vec<f64> = case.usual(column).iter().copied().filter(|v| v.is_finite()).collect();
            robust::sort(&mut usual);
            let at = |q: f64| robust::quantile(&usual, q);
            let range = at(0.75)? - at(0.25)?;
            let (middle, range) = (at(0.5)?, if range > 0.0 { range } else { 1.0 });
            let after = column.values[from..].iter().filter(|v| v.is_finite());
            after.map(|v| (v - middle).abs() / range).reduce(f64::max)
        });
        z.fold(f64::NEG_INFINITY, f64::max)
    };
    case.components.iter().map(of).collect()
}

/// The shift, of what the symptom's component calls before the rest.
fn shift_called(case: &Case<'_>) -> Vec<f64> {
    let called = root_cause::called_from(case.symptom(), &case.calls, case.components.len());
    let of = |(shift, called): (Option<f64>, bool)| match shift {
        Some(shift) if called => shift,
        Some(shift) => shift - 1e12,
        None => f64::NEG_INFINITY,
    };
    case.shifts().into_iter().zip(called).map(of).collect()
}

fn own_shift(case: &Case<'_>) -> Vec<f64> {
    root_cause::own_shifts(&case.shifts(), &case.calls, case.symptom())
}

/// The part of `cause` that is among the first `n`: between 0 and 1 if it shares its place.
fn share(scores: &[f64], cause: usize, n: usize) -> f64 {
    let above = scores.iter().filter(|s| **s > scores[cause]).count();
    let equal = scores.iter().filter(|s| **s == scores[cause]).count().max(1);
    (n.saturating_sub(above) as f64 / equal as f64).min(1.0)
}

/// Rows before issues, for a kind of traffic whose normal running is missing: no label is looked at, and the issue's own are among them.
fn rows_before(issues: &[Issue]) -> Metrics {
    let mut out = Metrics::default();
    for issue in issues {
        let n = before(issue);
        out.times_s.extend(&issue.metrics.times_s[..n]);
        for column in &issue.metrics.columns {
            let same = |c: &&mut Column| {
                (&c.component, &c.metric, &c.statistic) == (&column.component, &column.metric, &column.statistic)
            };
            match out.columns.iter_mut().find(same) {
                Some(known) => known.values.extend(&column.values[..n]),
                None => out.columns.push(Column { values: column.values[..n].to_vec(), ..column.clone() }),
            }
        }
    }
    out
}

/// What each method finds: of all issues, of those that methods may not be made on, of these by the symptom's metric, and by traffic.
pub fn on_causes(all: &[Traffic]) -> Vec<CauseRow> {
    let mut found: BTreeMap<(usize, usize), Vec<[f64; 3]>> = BTreeMap::new();
    let mut parts: Vec<String> = vec!["all".to_owned(), "test".to_owned()];
    let mut place = |name: String| match parts.iter().position(|p| *p == name) {
        Some(place) => place,
        None => {
            parts.push(name);
            parts.len() - 1
        }
    };
    for traffic in all {
        let gathered;
        let usual = match &traffic.normal {
            Some(normal) => normal,
            None => {
                gathered = rows_before(&traffic.issues);
                &gathered
            }
        };
        for issue in &traffic.issues {
            let mut components: Vec<&str> = vec![];
            for column in &issue.metrics.columns {
                if !components.contains(&column.component.as_str()) {
                    components.push(&column.component);
                }
            }
            let index = |name: &String| components.iter().position(|c| c == name);
            let calls = traffic.calls.iter().filter_map(|(a, b)| Some((index(a)?, index(b)?))).collect();
            let Some(cause) = index(&issue.cause) else { continue };
            let case = Case { issue, calls, usual, components };
            let mut of_parts = vec![0, place(format!("all, {}", traffic.name))];
            if !issue.to_learn {
                of_parts.extend([1, place(format!("test, {}", issue.metric))]);
            }
            for (method, (_, score)) in METHODS.iter().enumerate() {
                let scores = score(&case);
                let shares = FIRST.map(|n| share(&scores, cause, n));
                of_parts.iter().for_each(|part| found.entry((*part, method)).or_default().push(shares));
            }
        }
    }
    let row = |((part, method), shares): ((usize, usize), Vec<[f64; 3]>)| {
        let mean = |i: usize| shares.iter().map(|s| s[i]).sum::<f64>() / shares.len() as f64;
        CauseRow {
            method: METHODS[method].0,
            part: parts[part].clone(),
            issues: shares.len(),
            found: [mean(0), mean(1), mean(2)],
        }
    };
    found.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `web` calls `shop`, which calls `db`; `cron` is apart. From row 2 on `db` is slow, so all that wait for it are; `cron` asks for
    /// far more than ever, as it would at any hour.
    fn traffic(cause: &str) -> Traffic {
        let rows = 40;
        let latency = |base: f64, extra: f64, rows: usize, since: usize| -> Vec<f64> {
            let of = |i: usize| base * (1.0 + 0.02 * ((i * 7 % 5) as f64 - 2.0)) + if i >= since { extra } else { 0.0 };
            (0..rows).map(of).collect()
        };
        let metrics = |rows: usize, since: usize| {
            let column = |component: &str, metric: &str, values| Column {
                component: component.to_owned(),
                metric: metric.to_owned(),
                statistic: "Average".to_owned(),
                values,
            };
            let cron = (0..rows).map(|i| (i % 3) as f64 + if i == 3 && rows < 9 { 1e4 } else { 0.0 }).collect();
            Metrics {
                times_s: (0..rows).map(|i| 300.0 * i as f64).collect(),
                columns: vec![
                    column("web", "latency", latency(0.2, 0.61, rows, since)),
                    column("web", "requests", latency(100.0, 0.0, rows, since)),
                    column("shop", "latency", latency(0.1, 0.6, rows, since)),
                    column("db", "latency", latency(0.02, 0.6, rows, since)),
                    column("cron", "requests", cron),
                ],
            }
        };
        let issue = |name: &str, to_learn: bool| Issue {
            name: name.to_owned(),
            to_learn,
            metrics: metrics(5, 2),
            symptom: "web".to_owned(),
            metric: "latency".to_owned(),
            since_s: 600.0,
            cause: cause.to_owned(),
        };
        let call = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        Traffic {
            name: "busy".to_owned(),
            normal: Some(metrics(rows, rows)),
            calls: vec![call("web", "shop"), call("shop", "db")],
            issues: vec![issue("a", true), issue("b", false)],
        }
    }

    fn of<'a>(rows: &'a [CauseRow], method: &str, part: &str) -> &'a CauseRow {
        rows.iter().find(|r| r.method == method && r.part == part).unwrap()
    }

    #[test]
    fn the_cause_is_first_where_those_that_wait_for_it_moved_too() {
        let rows = on_causes(&[traffic("db")]);
        assert_eq!(of(&rows, "own-shift", "all").found, [1.0; 3]);
        assert_eq!((of(&rows, "own-shift", "all").issues, of(&rows, "own-shift", "test").issues), (2, 1));
        // The wildest metric is another's.
        assert_eq!(of(&rows, "max-robust-z", "all").found[0], 0.0);
        // And a cause that is none is not found.
        assert_eq!(of(&on_causes(&[traffic("cron")]), "own-shift", "all").found[0], 0.0);
    }

    #[test]
    fn chance_is_places_over_components() {
        let rows = on_causes(&[traffic("shop")]);
        assert_eq!(of(&rows, "chance", "test, latency").found, [0.25, 0.75, 1.0]);
    }

    #[test]
    fn without_normal_running_the_rows_before_issues_take_its_place() {
        let with = traffic("db");
        let without = Traffic { normal: None, ..traffic("db") };
        assert_eq!(rows_before(&with.issues).times_s.len(), 4);
        assert_eq!(of(&on_causes(&[without]), "own-shift", "all, busy").found, [1.0; 3]);
    }

    #[test]
    fn equals_share_a_place() {
        assert_eq!(share(&[2.0, 1.0, 1.0, 0.0], 1, 1), 0.0);
        assert_eq!(share(&[2.0, 1.0, 1.0, 0.0], 1, 2), 0.5);
        assert_eq!(share(&[2.0, 1.0, 1.0, 0.0], 1, 3), 1.0);
        assert_eq!(share(&[f64::NEG_INFINITY; 4], 0, 1), 0.25);
    }
}
