//! A trained model as the judge of the metrics that it sees.
//!
//! Its alarms open windows. What the streaming detector says of those metrics only describes one; the metrics that the model does not
//! see (open files, threads, classes of calls ...) are watched as without a model. Each of the two has half of the false alarms allowed.

use crate::Result;
use crate::explain::Config;
use crate::metrics::METRICS;
use osd_detect::grid::Grid;
use osd_detect::windows::{self, Hit};
use osd_findings::Series;
use osd_model::Model;
use osd_model::score::{Alarm, Options, Scored};
use osd_recording::Recording;
use osd_recording::words::plural;

/// Scores all of the recording, so that a window at the beginning of a range has a past.
pub(crate) fn score(model: &Model, recording: &Recording, config: &Config) -> Result<Scored> {
    let options = Options { false_alarms_per_hour: share(config, true), ..Options::default() };
    Ok(model.score(recording, options)?)
}

/// False alarms an hour that each side may raise.
pub(crate) fn share(config: &Config, judged: bool) -> f64 {
    if judged { config.false_alarms_per_hour / 2.0 } else { config.false_alarms_per_hour }
}

/// The column of a metric among the model's features.
pub(crate) fn place(scored: &Scored, metric: &str) -> Option<usize> {
    scored.features.iter().position(|f| f.name == metric)
}

pub(crate) fn name(scored: &Scored) -> String {
    let features: Vec<&str> = scored.features.iter().map(|f| f.name).collect();
    format!("LSTM forecast ({}); robust streaming on the rest", features.join(", "))
}

pub(crate) fn notes(scored: &Scored, grid: Grid) -> Vec<String> {
    let mut notes = vec![format!(
        "the model needs {:.1} s to warm up, at the beginning and after a gap as long as that, and says nothing there",
        grid.seconds(scored.warm_up.min(scored.judged.len()))
    )];
    let masked = scored.series.valid.iter().filter(|v| !**v).count();
    if masked > 0 {
        notes.push(format!("not judged by the model: {} with gaps or losses", plural(masked, "interval")));
    }
    notes
}

/// The model's bins on the grid of the analysis.
fn bin(scored: &Scored, row: usize, grid: Grid) -> Option<usize> {
    grid.bin(scored.series.grid.time(row))
}

/// A metric's part from which it is said to deviate by itself: what normal data exceed once in a thousand intervals.
const DEVIATES: f64 = 3.0;

/// Adds the model's alarms to what opens windows, with what the streaming detector says of the same metrics at that time.
pub(crate) fn join(scored: &Scored, config: &Config, grid: Grid, driving: &mut Vec<Hit>, describing: &mut Vec<Hit>) {
    let alarms = scored.alarms();
    let mut own: Vec<Hit> = alarms.iter().flat_map(|alarm| hits(scored, config, alarm, grid)).collect();
    // A forecast follows a change that lasts: where the model saw it begin, the streaming detector knows how long it went on.
    let near = |h: &Hit| own.iter().any(|o| h.start < o.end + 1 && h.end + 1 > o.start);
    let (with, without) = std::mem::take(describing)
        .into_iter()
        .partition(|h: &Hit| METRICS[h.metric].drives && place(scored, METRICS[h.metric].name).is_some() && near(h));
    *describing = without;
    let with: Vec<Hit> = with;
    own.extend(with);
    driving.extend(own);
}

/// The metrics that deviate in an alarm, with sharp edges. The kernel widens an alarm; the parts, which it leaves alone, do not.
fn hits(scored: &Scored, config: &Config, alarm: &Alarm, grid: Grid) -> Vec<Hit> {
    let rows = alarm.rows.clone();
    let severity = alarm.peak / scored.threshold.max(f64::MIN_POSITIVE);
    let tail = (scored.alarms_per_hour(alarm.peak) / share(config, true)).min(1.0);
    let sum = |m: usize| rows.clone().map(|r| scored.parts.row(r)[m]).sum::<f64>();
    let most = sum(alarm.metric).max(f64::MIN_POSITIVE);
    let mut out = vec![];
    for (m, feature) in scored.features.iter().enumerate() {
        let part = |r: usize| scored.judged[r].then(|| scored.parts.row(r)[m]);
        let peak = rows.clone().filter_map(part).fold(0.0, f64::max);
        let metric = METRICS.iter().position(|known| known.name == feature.name);
        let (Some(metric), true) = (metric, m == alarm.metric || peak >= DEVIATES) else { continue };
        // Beside the alarm the parts are those of normal data, whose mean is below one half.
        let values: Vec<Option<f64>> = rows.clone().map(part).collect();
        let (from, to) = windows::sharpen(&values, 0.5, true, 0, values.len(), 0);
        let span = rows.start + from..rows.start + to;
        let off = |r: usize| scored.series.table.row(r)[m] - scored.expected.row(r)[m];
        let rising = span.clone().map(off).filter(|v| v.is_finite()).sum::<f64>() >= 0.0;
        let (Some(start), Some(last)) = (bin(scored, span.start, grid), bin(scored, span.end - 1, grid)) else {
            continue;
        };
        out.push(Hit { metric, start, end: last + 1, severity: severity * (sum(m) / most).min(1.0), tail, rising });
    }
    out
}

/// Score and threshold over time, to be drawn as any metric.
pub(crate) fn series(scored: &Scored, grid: Grid) -> [Series; 2] {
    let mut score = vec![None; grid.len];
    for row in (0..scored.total.len()).filter(|r| scored.judged[*r]) {
        if let Some(bin) = bin(scored, row, grid) {
            score[bin] = Some(scored.total[row]);
        }
    }
    let threshold = score.iter().map(|s| s.map(|_| scored.threshold)).collect();
    let ts_ns: Vec<i64> = (0..grid.len).map(|b| grid.time(b)).collect();
    let series = |metric: &str, title: &str, values| Series {
        metric: metric.into(),
        title: title.into(),
        unit: "score".into(),
        ts_ns: ts_ns.clone(),
        values,
    };
    [series("model_score", "Model score", score), series("model_threshold", "Model threshold", threshold)]
}
