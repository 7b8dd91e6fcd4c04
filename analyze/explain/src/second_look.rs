//! The second look at each window: detectors that had no part in finding it, learnt from where
//! nothing was found.

use crate::evidence::Bin;
use crate::usual::Usual;
use osd_detect::judge::Column;
use osd_detect::second_look::{Part, SecondLook};
use osd_detect::windows::Group;
use osd_findings::Window;
use osd_signals::Table;
use osd_signals::metric::{METRICS, Metric};
use std::borrow::Cow;

type Values<'a> = Cow<'a, [Option<f64>]>;

/// Writes into each of `windows`, which are those of `groups`, what the others say of it. What is normal is `usual`, or else the baseline
/// among `bins`.
pub(crate) fn look(table: &Table, bins: &[Bin], usual: &[Usual<'_>], groups: &[Group], windows: &mut [Window]) {
    if windows.is_empty() {
        return;
    }
    let moves = |values: &[Option<f64>]| values.iter().flatten().any(|v| *v != 0.0);
    let is_seen = |m: &&Metric| {
        m.opens_windows && table.metric(m.id).is_some_and(|v| moves(v)) && usual.iter().all(|u| u.values(m).is_some())
    };
    let metrics: Vec<&Metric> = METRICS.iter().filter(is_seen).collect();
    let own: Vec<Values<'_>> =
        metrics.iter().filter_map(|m| table.metric(m.id).map(|v| Cow::Borrowed(&v[..]))).collect();
    let others: Vec<Vec<Values<'_>>> =
        usual.iter().map(|u| metrics.iter().filter_map(|m| u.values(m)).collect()).collect();
    let is_normal = |bins: &[Bin]| bins.iter().map(|b| *b == Bin::Baseline).collect();
    let normal: Vec<Part<'_>> = if usual.is_empty() {
        vec![Part { columns: columns(&metrics, &own), normal: is_normal(bins) }]
    } else {
        let both = usual.iter().zip(&others);
        both.map(|(u, values)| Part { columns: columns(&metrics, values), normal: is_normal(&u.bins) }).collect()
    };
    let mut second = SecondLook::new(columns(&metrics, &own), &normal);
    for (window, group) in windows.iter_mut().zip(groups) {
        // They look at metrics of the whole target, which do not show it.
        if window.role.is_some() {
            continue;
        }
        let Some(look) = second.look(group.start..group.end.min(table.grid.len)) else { continue };
        let (agree, disagree): (Vec<_>, Vec<_>) = look.votes.iter().partition(|(_, agrees)| *agrees);
        // What most do not see is believed less; what they do see is not believed more, since they saw where to look.
        let share = agree.len() as f64 / look.votes.len() as f64;
        window.confidence *= (2.0 * share).min(1.0);
        let names =
            |votes: Vec<&(&str, bool)>| votes.into_iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
        let (agree, disagree) = (names(agree), names(disagree));
        window.second_look = Some(osd_findings::SecondLook {
            text: words(&agree, &disagree),
            agree,
            disagree,
            rank: look.rank,
            normal: look.normal as u64,
            segment_s: table.grid.seconds(look.points),
        });
    }
}

fn columns<'a>(metrics: &[&Metric], values: &'a [Values<'a>]) -> Vec<Column<'a>> {
    metrics.iter().zip(values).map(|(m, values)| Column { metric: m.matters, values }).collect()
}

fn words(agree: &[String], disagree: &[String]) -> String {
    let (yes, all) = (agree.len(), agree.len() + disagree.len());
    match (yes, disagree.len()) {
        (_, 0) => format!("all of {all} other detectors agree"),
        (0, _) => format!("none of {all} other detectors agrees"),
        (_, no) if yes > no => format!("{yes} of {all} other detectors agree (not {})", disagree.join(", ")),
        _ => format!("{yes} of {all} other detectors agree (only {})", agree.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewer_are_named() {
        let of = |names: &str| names.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&of("knn lof pca"), &[]), "all of 3 other detectors agree");
        assert_eq!(words(&[], &of("knn lof")), "none of 2 other detectors agrees");
        assert_eq!(words(&of("knn lof"), &of("pca")), "2 of 3 other detectors agree (not pca)");
        assert_eq!(words(&of("knn"), &of("lof pca")), "1 of 3 other detectors agree (only knn)");
    }
}
