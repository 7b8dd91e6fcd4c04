//! What commands said of labelled recordings, summed up as an operator would: which incidents were
//! found, how late, and how often there was an alarm for nothing.

use super::incidents::{self, Span};
use super::metrics::events::always_alarms;
use serde::Serialize;
use std::collections::BTreeMap;

/// Alarms that begin this long after an incident are put down to it: what it took is given back, a sweep runs late. By hand.
pub const SLACK_NS: i64 = 2_000_000_000;

/// What one command said of one recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Which command, as it is typed.
    pub judge: &'static str,
    /// The time in which it could alarm.
    pub watched: Span,
    /// When it alarmed, in order.
    pub alarms: Vec<Span>,
    /// What each alarm was called; empty where the judge gives no names.
    pub called: Vec<String>,
}

/// One incident that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// What it is counted under.
    pub kind: String,
    /// When.
    pub span: Span,
}

/// How one judge did on one kind of label.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Incidents.
    pub n: usize,
    /// Those that an alarm touches.
    pub found: usize,
    #[serde(skip)]
    delays_ns: Vec<i64>,
    /// From the beginning of a found incident to that of its alarm; `None` if none was found.
    pub delay_median_s: Option<f64>,
    /// The longest of these.
    pub delay_max_s: Option<f64>,
    /// Names of the windows over them, with their number.
    pub called: BTreeMap<String, usize>,
}

/// How one judge did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Judge {
    /// Which command, as it is typed.
    pub judge: &'static str,
    /// By kind of incident.
    pub labels: BTreeMap<String, Score>,
    /// Over all of them.
    pub all: Score,
    /// Alarms that touch no incident.
    pub false_alarms: usize,
    /// Time watched outside of all incidents and their slack.
    pub quiet_hours: f64,
    /// `None` without such time.
    pub false_alarms_per_hour: Option<f64>,
    /// Time in alarm outside of all labels, by all of that time.
    pub quiet_share_in_alarm: Option<f64>,
}

/// What a label is counted under: its name, and its strength where the note says one, as those of `osd-workload` do.
pub fn kind(name: &str, note: &str) -> String {
    match note.split_whitespace().find(|word| word.starts_with("strength=")) {
        Some(strength) => format!("{name} {strength}"),
        None => name.to_owned(),
    }
}

impl Judge {
    /// Adds what it said of one recording, whose incidents are in order of their beginning.
    pub fn add(&mut self, judgement: &Judgement, labels: &[Incident]) {
        let spans: Vec<Span> = labels.iter().map(|l| l.span.clone()).collect();
        let seen = incidents::compare(&spans, &judgement.alarms, judgement.watched.clone(), SLACK_NS);
        for (label, found) in labels.iter().zip(&seen.found) {
            for score in [self.labels.entry(label.kind.clone()).or_default(), &mut self.all] {
                score.n += 1;
                if let Some(found) = found {
                    score.found += 1;
                    score.delays_ns.push(found.delay_ns);
                    if let Some(name) = judgement.called.get(found.alarm) {
                        *score.called.entry(name.clone()).or_default() += 1;
                    }
                }
            }
        }
        self.false_alarms += seen.false_alarms.len();
        self.quiet_hours += seen.quiet_ns as f64 / 3.6e12;
        *self.quiet_share_in_alarm.get_or_insert_default() += seen.quiet_in_alarm_ns as f64 / 3.6e12;
    }

    /// Whether it is in alarm whatever happens.
    pub fn fails(&self) -> bool {
        always_alarms(self.quiet_share_in_alarm)
    }

    /// Rates, medians and shares, when all recordings are in.
    pub fn close(&mut self) {
        let known = Some(self.quiet_hours).filter(|hours| *hours > 0.0);
        self.false_alarms_per_hour = known.map(|hours| self.false_alarms as f64 / hours);
        self.quiet_share_in_alarm = self.quiet_share_in_alarm.zip(known).map(|(in_alarm, hours)| in_alarm / hours);
        for score in self.labels.values_mut().chain([&mut self.all]) {
            score.delays_ns.sort_unstable();
            let delays = &score.delays_ns;
            let seconds = |ns: &i64| *ns as f64 / 1e9;
            score.delay_median_s = delays.get(delays.len() / 2).map(seconds);
            score.delay_max_s = delays.last().map(seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_in_alarm_all_the_time_finds_everything_and_fails() {
        let labels = [Incident { kind: "fsync_storm".into(), span: 100_000_000_000..105_000_000_000 }];
        let judged = |alarm: Span| {
            let mut judge = Judge::default();
            judge.add(
                &Judgement { judge: "x", watched: 0..200_000_000_000, alarms: Vec::from([alarm]), called: vec![] },
                &labels,
            );
            judge.close();
            judge
        };
        let always = judged(0..200_000_000_000);
        // It touches an incident, so by the number of false alarms it is perfect.
        assert!(always.all.found == 1 && always.false_alarms == 0 && always.fails());
        assert_eq!(always.quiet_share_in_alarm, Some(1.0));
        let exact = judged(100_000_000_000..105_000_000_000);
        assert!(exact.all.found == 1 && !exact.fails() && exact.quiet_share_in_alarm == Some(0.0));
    }
}
