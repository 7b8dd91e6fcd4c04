//! Sentences of what broke, and numbers with their units in them.

use osd_findings::{Broken, BrokenBy, BrokenPair};

/// `1.2 cores`, `310 calls/s`, `5.2 MiB`.
pub fn quantity(value: f64, unit: &str) -> String {
    let (base, prefixes, own): (f64, [&str; 5], _) = match unit {
        "bytes" | "bytes/s" => (1024.0, ["B", "KiB", "MiB", "GiB", "TiB"], true),
        _ => (1000.0, ["", "k", "M", "G", "T"], false),
    };
    if unit == "s" || unit == "s/s" {
        let rate = if unit == "s" { "" } else { "/s" };
        let (scaled, prefix) = match value.abs() {
            v if v >= 1.0 || v == 0.0 => (value, "s"),
            v if v >= 1e-3 => (value * 1e3, "ms"),
            _ => (value * 1e6, "us"),
        };
        return format!("{} {prefix}{rate}", digits(scaled));
    }
    let (mut scaled, mut step) = (value, 0);
    while scaled.abs() >= base && step + 1 < prefixes.len() {
        scaled /= base;
        step += 1;
    }
    let rest = if own { unit.strip_prefix("bytes").unwrap_or(unit) } else { unit };
    let gap = if own || prefixes[step].is_empty() || rest.is_empty() { "" } else { " " };
    format!("{} {}{gap}{rest}", digits(scaled), prefixes[step]).trim_end().to_owned()
}

fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// What broke between two metrics.
pub(crate) fn of_pair(p: &BrokenPair) -> String {
    let (a, b) = (quantity(p.transition.to.0, &p.unit_a), quantity(p.transition.to.1, &p.unit_b));
    let at = format!("{} is {a} where {} is {b}", p.a, p.b);
    match p.usual_a {
        _ if p.transition.outside => {
            let end = |name: &str, value: f64, edges: &[f64], unit: &str| {
                let (least, most) = (*edges.first()?, *edges.last()?);
                let span = || format!("{} to {}", quantity(least, unit), quantity(most, unit));
                (value < least || value > most).then(|| format!("{name} was learnt from {}", span()))
            };
            let t = &p.transition;
            let ends = [end(&p.a, t.to.0, &p.grid.edges_a, &p.unit_a), end(&p.b, t.to.1, &p.grid.edges_b, &p.unit_b)];
            let ends: Vec<String> = ends.into_iter().flatten().collect();
            format!("{at}; {}", ends.join(", "))
        }
        Some((low, high)) if p.transition.to.0 < low || p.transition.to.0 > high => {
            format!("{at}; usual there is {} to {}", quantity(low, &p.unit_a), quantity(high, &p.unit_a))
        }
        Some(_) => {
            let from = (quantity(p.transition.from.0, &p.unit_a), quantity(p.transition.from.1, &p.unit_b));
            format!(
                "{} goes from {} to {a} where {} goes from {} to {b}, which is a rare move",
                p.a, from.0, p.b, from.1
            )
        }
        None => format!("{at}, where it never was"),
    }
}

/// What an episode comes to.
pub(crate) fn of_episode(e: &Broken, floor: f64) -> String {
    match (e.by, e.pairs.first(), e.metrics.first()) {
        (BrokenBy::Pairs, Some(pair), Some(metric)) => {
            let head = match metric.of {
                1 => format!("{} does not go with {} any more", metric.metric, pair_other(pair, &metric.metric)),
                of => format!("{} broke {} of its {of} relations", metric.metric, metric.broken),
            };
            format!("{head}: {}", pair.sentence)
        }
        (BrokenBy::Groups, ..) => {
            let names: Vec<&str> = e.moved.iter().take(4).map(|m| m.metric.as_str()).collect();
            let more = e.moved.len().saturating_sub(names.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let who = if names.is_empty() { "the network".to_owned() } else { format!("{}{more}", names.join(", ")) };
            format!("{who} left their group, and no single relation broke")
        }
        _ => format!(
            "all relations together are less fit than usual ({:.2}; the floor is {floor:.2}), and no single one broke",
            e.fitness.unwrap_or(0.0)
        ),
    }
}

fn pair_other<'a>(pair: &'a BrokenPair, metric: &str) -> &'a str {
    if pair.a == metric { &pair.b } else { &pair.a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_findings::{PairGrid, Transition};

    #[test]
    fn numbers_have_their_units() {
        for (value, unit, text) in [
            (1.25, "cores", "1.25 cores"),
            (31_000.0, "calls/s", "31 k calls/s"),
            (5.5 * 1_048_576.0, "bytes", "5.5 MiB"),
            (2_048.0, "bytes/s", "2 KiB/s"),
            (0.0012, "s", "1.2 ms"),
            (0.25, "s/s", "250 ms/s"),
            (0.0, "threads", "0 threads"),
        ] {
            assert_eq!(quantity(value, unit), text);
        }
    }

    #[test]
    fn a_pair_is_told_by_what_is_odd_about_it() {
        let pair = |usual: Option<(f64, f64)>, outside: bool| BrokenPair {
            a: "cpu".into(),
            unit_a: "cores".into(),
            b: "syscalls".into(),
            unit_b: "calls/s".into(),
            usual_a: usual,
            grid: PairGrid { edges_a: vec![0.0, 0.5], edges_b: vec![0.0, 900.0], share: vec![] },
            transition: Transition { from: (0.1, 300.0), to: (0.9, 310.0), outside, ..Transition::default() },
            ..BrokenPair::default()
        };
        let at = "cpu is 0.9 cores where syscalls is 310 calls/s";
        assert_eq!(of_pair(&pair(Some((0.1, 0.2)), false)), format!("{at}; usual there is 0.1 cores to 0.2 cores"));
        assert_eq!(of_pair(&pair(None, true)), format!("{at}; cpu was learnt from 0 cores to 0.5 cores"));
        assert_eq!(of_pair(&pair(None, false)), format!("{at}, where it never was"));
        assert!(of_pair(&pair(Some((0.1, 1.0)), false)).contains("goes from 0.1 cores to 0.9 cores"));
    }
}
