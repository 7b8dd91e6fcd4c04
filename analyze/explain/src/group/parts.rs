//! Labels as groups: who is in each, and who stands for it.

use super::cluster;

/// The members of each label, where there are two at least, in the order of their first.
pub(super) fn members(labels: &[Option<usize>]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = vec![];
    let mut seen: Vec<usize> = vec![];
    for (window, label) in labels.iter().enumerate().filter_map(|(w, label)| Some((w, (*label)?))) {
        let at = seen.iter().position(|l| *l == label).unwrap_or_else(|| {
            seen.push(label);
            groups.push(vec![]);
            seen.len() - 1
        });
        groups[at].push(window);
    }
    groups.retain(|members| members.len() > 1);
    groups
}

/// The member that is nearest to all others; of several, the strongest, then the first.
pub(super) fn middle(rows: &[Vec<f64>], members: &[usize], severity: impl Fn(usize) -> f64) -> usize {
    let sum = |m: usize| members.iter().map(|other| cluster::distance(&rows[m], &rows[*other])).sum::<f64>();
    let all = members.iter().map(|m| (*m, sum(*m)));
    let best = all.min_by(|a, b| a.1.total_cmp(&b.1).then_with(|| severity(b.0).total_cmp(&severity(a.0))));
    best.map_or(0, |(m, _)| m)
}
