//! The streaming detector itself: judges each point at every scale, and decides what the past is
//! made of.

use super::config::{Config, Verdict};
use super::scale::Scale;
use super::spans::Spans;

/// Statistics of the past that are kept: 900 of them are 90 s to 450 s at ten points a second, by the scale.
const PAST_MAX: usize = 900;
/// The same of what was taught: at most half an hour at ten points a second.
const TAUGHT_MAX: usize = 18_000;

/// The detector of one metric. Feed it with [`Detector::push`].
#[derive(Clone, Debug)]
pub struct Detector {
    config: Config,
    pub(super) spans: Spans,
    scales: Vec<Scale>,
    now: usize,
    /// Statistics of the past that are kept.
    most: usize,
    /// First and last point of the alarm that runs, or ended a moment ago.
    run: Option<(usize, usize)>,
    /// First and last point of the fall that runs, or ended a moment ago.
    fall: Option<(usize, usize)>,
    /// Lengths of short falls already reported, with their time.
    reported_falls: Vec<(usize, usize)>,
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new(config: Config) -> Self {
        let spans = Spans::of(&config);
        let scales = spans.widths.iter().map(|width| Scale::new(*width)).collect();
        Self { config, spans, scales, now: 0, most: PAST_MAX, run: None, fall: None, reported_falls: vec![] }
    }

    /// Points at the start in which it learns and cannot alarm.
    pub fn warm_up(&self) -> usize {
        self.spans.warm_up
    }

    /// Takes the next point, `None` if it is missing, and judges it by what came before.
    pub fn push(&mut self, value: Option<f64>) -> Verdict {
        let value = value.filter(|v| v.is_finite());
        let now = self.now;
        self.now += 1;
        let warm = now >= self.spans.warm_up;
        let level = value.unwrap_or(0.0).abs();
        let mut verdict = Verdict::default();
        let mut statistics = Vec::with_capacity(self.scales.len());
        for scale in &mut self.scales {
            let statistic = scale.take(value, self.config.metric.form);
            statistics.push(statistic);
            if let (Some(y), true) = (statistic, warm) {
                scale.refit(&self.config, &self.spans, now);
                let judged = scale.judge(y, level, &self.config);
                if judged.severity > verdict.severity {
                    verdict = judged;
                }
            }
        }
        let alarm = verdict.severity >= 1.0;
        self.learn(now, &statistics, alarm, warm);
        self.remember_falls(now, verdict)
    }

    /// Learns that the next point is usual, and judges nothing.
    pub(in super::super) fn teach(&mut self, value: Option<f64>) {
        let value = value.filter(|v| v.is_finite());
        let now = self.now;
        self.now += 1;
        for scale in &mut self.scales {
            let statistic = scale.take(value, self.config.metric.form);
            if let (Some(y), true) = (statistic, now.is_multiple_of(scale.stride)) {
                scale.past.push_back(y);
                scale.fresh += 1;
                self.most = scale.past.len().clamp(self.most, TAUGHT_MAX);
                if scale.past.len() > self.most {
                    scale.past.pop_front();
                }
            }
        }
    }

    /// What comes next does not follow on what came before.
    pub(in super::super) fn cut(&mut self) {
        for scale in &mut self.scales {
            scale.points.clear();
            scale.pending.clear();
            scale.during.clear();
        }
        (self.run, self.fall) = (None, None);
    }

    /// Points after the last alarm until it is over.
    fn hold(&self) -> usize {
        self.scales.iter().map(|s| s.width).max().unwrap_or(1) + 1
    }

    /// The verdict; silent while it is about a fall no longer than those reported.
    fn remember_falls(&mut self, now: usize, mut verdict: Verdict) -> Verdict {
        let (hold, forget) = (self.hold(), self.spans.forget);
        if let Some((start, last)) = self.fall.filter(|(_, last)| now - last > hold) {
            if last - start < self.spans.burst {
                self.reported_falls.push((now, last - start + 1));
            }
            self.fall = None;
        }
        if verdict.severity < 1.0 || verdict.rising {
            return verdict;
        }
        self.reported_falls.retain(|(at, _)| at + forget > now);
        let start = self.fall.map_or(now, |(start, _)| start);
        self.fall = Some((start, now));
        let length = now - start + 1;
        let longest = self.reported_falls.iter().map(|(_, length)| *length).max().unwrap_or(0);
        // A fifth beyond, as for heights, and a point for the phase.
        if length * 5 <= longest * 6 + 5 && longest > 0 {
            verdict.severity = 0.0;
        } else if longest > 0 {
            verdict.reach += length;
        }
        verdict
    }

    fn learn(&mut self, now: usize, statistics: &[Option<f64>], alarm: bool, warm: bool) {
        let hold = self.hold();
        if alarm {
            let start = self.run.map_or(now, |(start, _)| start);
            self.run = Some((start, now));
        }
        if let Some((start, last)) = self.run {
            let lasting = now - start >= self.spans.adapt;
            let over = now - last > hold;
            let burst = last - start < self.spans.burst;
            for (scale, y) in self.scales.iter_mut().zip(statistics) {
                scale.pending.clear();
                if let Some(y) = *y {
                    if scale.during.is_empty() || y > scale.peak {
                        scale.peak = y;
                    }
                    scale.during.push_back(y);
                }
                if over && burst {
                    scale.reported.push((now, scale.peak));
                    scale.forget_limits();
                }
                if lasting {
                    // The later half is past the edge.
                    scale.past =
                        scale.during.iter().skip(scale.during.len() / 2).step_by(scale.stride).copied().collect();
                    scale.reported.clear();
                    scale.forget_limits();
                }
                if over || lasting {
                    scale.during.clear();
                }
            }
            if over || lasting {
                self.run = None;
            }
            return;
        }
        let settled = now >= self.spans.settle;
        let believe = if warm { self.spans.believe } else { 0 };
        for (scale, y) in self.scales.iter_mut().zip(statistics) {
            if let (Some(y), true) = (y, settled && now.is_multiple_of(scale.stride)) {
                scale.pending.push_back((now, *y));
            }
            while let Some((_, y)) = scale.pending.pop_front_if(|(t, _)| *t + believe <= now) {
                scale.past.push_back(y);
                scale.fresh += 1;
                if scale.past.len() > self.most {
                    scale.past.pop_front();
                }
            }
        }
    }
}
