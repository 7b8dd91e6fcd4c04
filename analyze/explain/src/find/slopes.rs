//! What stands on a climb. A climb leaves the level that a sudden change is measured from ever
//! further behind, so that its own noise seems to be a rise. Such a rise is measured again, from
//! the seconds on both sides of it: those hold the climb's own height.

use osd_detect::Shape;
use osd_detect::metric::Metric as Matters;
use osd_detect::robust;
use osd_detect::windows::Hit;
use osd_signals::Table;
use osd_signals::metric::MetricId;

/// Time on each side that is compared with, at least; as long as the hit if it is longer.
const BESIDE_S: f64 = 2.0;

/// Drops the sudden changes in `hits` that lie on a climb of the same metric in the same direction and do not differ from what is beside
/// them by what matters of the metric.
pub(super) fn drop_what_climbs(hits: &mut Vec<Hit>, table: &Table) {
    let climbs: Vec<Hit> = hits.iter().filter(|h| h.shape == Shape::Climb).cloned().collect();
    hits.retain(|hit| {
        let on =
            |c: &&Hit| c.metric == hit.metric && c.rising == hit.rising && c.start <= hit.start && hit.end <= c.end;
        let (Shape::Shift, Some(climb)) = (hit.shape, climbs.iter().find(on)) else { return true };
        let metric = MetricId::at(hit.metric).metric();
        let beside = table.grid.bins(BESIDE_S).max(hit.end - hit.start);
        table.metric(metric.id).is_none_or(|values| stands_out(hit, climb, &metric.matters, values, beside))
    });
}

/// Whether `hit` differs from `beside` points on both sides by what matters.
fn stands_out(hit: &Hit, climb: &Hit, matters: &Matters, values: &[Option<f64>], beside: usize) -> bool {
    let known = |from: usize, to: usize| values[from.min(to)..to].iter().flatten().copied();
    let sides: Vec<f64> = known(hit.start.saturating_sub(beside).max(climb.start), hit.start)
        .chain(known(hit.end, (hit.end + beside).min(climb.end)))
        .collect();
    let inside: Vec<f64> = known(hit.start, hit.end).collect();
    let height = inside.iter().sum::<f64>() / inside.len().max(1) as f64;
    robust::median(&sides).is_none_or(|level| matters.matters(level, height, hit.rising))
}

#[cfg(test)]
mod tests {
    use super::*;
    use osd_detect::metric::Form;

    fn hit(start: usize, end: usize, shape: Shape) -> Hit {
        Hit { metric: 0, start, end, severity: 2.0, tail: 0.1, rising: true, shape }
    }

    #[test]
    fn a_rise_on_a_climb_is_one_if_it_is_one_beside_the_climb_itself() {
        let matters = Matters { form: Form::Rate, floor: 0.1, relative_floor: 0.5, fall: Some(0.75) };
        let (climb, rise) = (hit(100, 500, Shape::Climb), hit(300, 315, Shape::Shift));
        let values = |more: f64| -> Vec<Option<f64>> {
            let line = |i: usize| 0.04 + 0.002 * i.saturating_sub(100) as f64;
            (0..600).map(|i| Some(line(i) + if (300..315).contains(&i) { more } else { 0.0 })).collect()
        };
        let stands_out = |matters: &Matters, more| stands_out(&rise, &climb, matters, &values(more), 20);
        assert!(!stands_out(&matters, 0.1) && stands_out(&matters, 0.4));
        assert!(stands_out(&Matters { form: Form::Level, ..matters }, 0.1));
        let fall = Hit { rising: false, ..rise.clone() };
        let falls = |more| super::stands_out(&fall, &climb, &matters, &values(more), 20);
        assert!(!falls(-0.2) && falls(-0.4));
    }
}
