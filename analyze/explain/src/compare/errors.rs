//! Errors that became more, by call and error number.

use super::context::{Context, Frame, of_sparse, per_s};
use osd_detect::rates::{self, Comparison, Counts};
use osd_findings::{ErrorShift, Ratio};
use osd_recording::names::errno_name;
use osd_signals::failures;

impl Context<'_> {
    /// Errors that rose, with their numbers.
    pub(crate) fn errors(&self, frame: &Frame, hypotheses: &mut u64) -> (Vec<ErrorShift>, Vec<i64>) {
        let of_call = |name: &str| self.of_call(frame, name, |call| &call.count);
        let counted: Vec<(&(String, i64), Counts)> = self
            .events
            .errors
            .iter()
            .map(|(k, s)| {
                let mut counts = self.sparse(frame, s);
                for (which, usual) in self.usual.iter().enumerate() {
                    let then = usual.events.errors.get(k).into_iter().flat_map(of_sparse);
                    self.add_usual(&mut counts, frame, which, then);
                }
                (k, counts)
            })
            // Where nearly each of the calls finds nothing to do, somebody asks without waiting.
            .filter(|((name, errno), c)| {
                !failures::is_retry(name, *errno) || failures::spins(c.excess(), of_call(name).excess())
            })
            .collect();
        let compared: Vec<Option<Comparison>> = counted.iter().map(|(_, c)| c.compare()).collect();
        let p: Vec<f64> = compared.iter().map(|c| c.map_or(1.0, |c| c.p_value)).collect();
        *hypotheses += p.len() as u64;
        let q = rates::benjamini_hochberg(&p);
        let excess = counted.iter().map(|(_, c)| c.excess().max(0.0)).sum::<f64>().max(1e-9);
        let mut shifts: Vec<(ErrorShift, i64)> = vec![];
        for (i, ((syscall, errno), counts)) in counted.iter().enumerate() {
            let Some(ratio) = compared[i] else { continue };
            let share = counts.excess() / excess;
            if q[i] > 0.05 || ratio.low <= 1.5 || share < 0.01 {
                continue;
            }
            let name = errno_name(i32::try_from(*errno).unwrap_or(0));
            let shift = ErrorShift {
                syscall: syscall.clone(),
                errno: name.map_or_else(|| format!("errno {errno}"), str::to_owned),
                before_per_s: per_s(counts.outside, frame.outside_s),
                during_per_s: per_s(counts.inside, frame.inside_s),
                ratio: Ratio { value: ratio.ratio, low: ratio.low, high: ratio.high },
                share,
                objects: vec![],
            };
            shifts.push((shift, *errno));
        }
        shifts.sort_by(|(a, _), (b, _)| {
            b.share.total_cmp(&a.share).then_with(|| (&a.syscall, &a.errno).cmp(&(&b.syscall, &b.errno)))
        });
        shifts.truncate(8);
        shifts.into_iter().unzip()
    }
}
