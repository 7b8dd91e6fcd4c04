//! The least that osd's detectors must reach on the corpora. They may get better; they may not get
//! worse unnoticed.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use osd_datasets::corpus::{Corpus, Known};
use osd_datasets::evaluate::{self, Row};
use osd_detect::detector::Sight;
use std::path::PathBuf;

fn open(known: Known) -> Option<Corpus> {
    let root = std::env::var_os("OSD_DATASETS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/datasets"), PathBuf::from);
    let path = root.join(known.folder());
    if !path.exists() {
        eprintln!("SKIPPED: {} is not here; set OSD_DATASETS to the folder that holds the corpora", path.display());
        return None;
    }
    Some(Corpus::open(&path, known.interval_s()).unwrap())
}

#[test]
fn on_nab_novelty_beats_numenta_htm_online_and_on_either_half() {
    let Some(corpus) = open(Known::Nab) else { return };
    let standard = |wanted: &dyn Fn(usize) -> bool| evaluate::on_nab(&corpus, |i, _| wanted(i)).unwrap();
    let all = standard(&|_| true);
    let place = |name: &str| all.iter().position(|r| r.detector == name).unwrap();
    assert!(place("osd novelty") < place("Numenta HTM"), "{:?}", all[place("osd novelty")].scores);
    for half in [0, 1] {
        let rows = standard(&|i| i % 2 == half);
        assert!(rows[0].detector == "osd novelty" && rows[0].scores[0] > 71.0, "{:?}", rows[0].scores);
    }
}

#[test]
fn by_machine_the_ensemble_beats_every_baseline_in_the_mean() {
    for known in [Known::Smd, Known::Asd, Known::JumpStarter] {
        let Some(corpus) = open(known) else { return };
        let rows: Vec<Row> = corpus
            .names()
            .iter()
            .flat_map(|n| {
                let series = corpus.read(n).unwrap();
                evaluate::machine(&series, Sight::Offline, 1.0 / 24.0, evaluate::detectors(&series)).unwrap()
            })
            .collect();
        let mean = |detector: &str| {
            let mine: Vec<&Row> = rows.iter().filter(|r| r.detector == detector).collect();
            let mean = |f: fn(&Row) -> f64| mine.iter().map(|r| f(r)).sum::<f64>() / mine.len() as f64;
            (mean(|r| r.evaluation.vus_pr), mean(|r| r.evaluation.auc_pr))
        };
        let ours = mean("ensemble");
        for baseline in ["random", "l2", "pca", "last-value"] {
            let theirs = mean(baseline);
            assert!(ours.0 > theirs.0 && ours.1 > theirs.1, "{known:?}: {ours:?}, {baseline} {theirs:?}");
        }
    }
}
