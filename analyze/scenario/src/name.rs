//! Which known scenario a window is.

use crate::library::Library;
use crate::sequences::Sequence;
use osd_findings::{Findings, Known};

/// Tells each window of `findings` which scenario of `library` its `sequences` are, and how close: by the thread that made most of
/// the window, of those whose sequence is known.
pub fn name(findings: &mut Findings, sequences: &[Sequence], library: &Library) {
    for window in &mut findings.windows {
        let own = sequences.iter().filter(|s| s.window == window.id);
        // Sequences are in the order of their threads' shares.
        let mut found = own.filter_map(|s| library.nearest(&s.words).map(|(i, d)| (i, d, s)));
        window.known = found.next().map(|(i, distance, s)| {
            let (path, scenario) = &library.scenarios[i];
            Known {
                name: scenario.name.clone(),
                file: path.display().to_string(),
                closeness: 1.0 - distance,
                thread: s.thread.clone(),
                seen: scenario.seen,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use osd_findings::Window;

    #[test]
    fn a_window_has_the_name_of_the_closest_scenario_that_reaches_it() {
        let scenario = |name: &str, steps: &str| {
            let sequence = steps.split(' ').map(str::to_owned).collect();
            (name.into(), Scenario { name: name.into(), sequence, reach: 0.4, seen: 7, ..Scenario::default() })
        };
        let library = Library { scenarios: vec![scenario("far", "a b c d"), scenario("near", "write fsync close")] };
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let sequences = [
            Sequence { words: words("x y z"), window: 1, ..Sequence::default() },
            Sequence { words: words("write fsync"), window: 1, thread: "journal".into(), ..Sequence::default() },
            Sequence { words: words("a q r s"), window: 2, ..Sequence::default() },
        ];
        let window = |id: u32| Window { id, ..Window::default() };
        let mut findings = Findings { windows: vec![window(1), window(2)], ..Findings::default() };
        name(&mut findings, &sequences, &library);
        let known = findings.windows[0].known.as_ref().unwrap();
        assert_eq!((known.name.as_str(), known.thread.as_str(), known.seen), ("near", "journal", 7));
        assert!((known.closeness - 2.0 / 3.0).abs() < 1e-6);
        assert!(findings.windows[1].known.is_none(), "too far from any");
    }
}
