//! Every detector on every corpus, one after another, each with what it costs.
//!
//! Quality is measured as `osd eval` measures it. Detectors of one metric run online over the files of NAB, those of many over the corpora by
//! machine. One runs at a time, so that its time on processors and its memory are its own.

use super::cost::{Cost, Memory, on_processors};
use super::metered::Metered;
use super::row::Row;
use super::show;
use crate::command::eval::find;
use crate::failure::{Failure, Result};
use crate::progress::Progress;
use osd_datasets::corpus::{Corpus, Known};
use osd_datasets::evaluate::{self, Boxed};
use osd_detect::detector::{Make, Sight};
use osd_detect::registry;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

/// On what, and how.
#[derive(clap::Args)]
pub(super) struct Args {
    /// nab, smd, asd, jumpstarter, or a folder laid out like one of them; all four if none is given.
    #[arg(value_name = "CORPUS")]
    corpora: Vec<PathBuf>,
    /// Folder that holds the corpora known by name; without it OSD_DATASETS.
    #[arg(long, value_name = "DIR")]
    datasets: Option<PathBuf>,
    /// Only these detectors.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Scores know only what came before (NAB: always).
    #[arg(long)]
    online: bool,
    /// Time between points of a folder's series, where the files do not say.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = crate::format::parse_duration)]
    interval: u64,
    /// Also train an LSTM for each series: a minute or so each.
    #[cfg(feature = "train")]
    #[arg(long)]
    lstm: bool,
    /// How to write the table.
    #[arg(long, value_enum, default_value = "text")]
    format: show::Format,
}

/// Sets the threshold, which no measure here looks at.
const PER_HOUR: f64 = 1.0 / 24.0;

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    check(args)?;
    let known = Known::ALL.map(|k| PathBuf::from(k.name()));
    let wanted = if args.corpora.is_empty() { &known[..] } else { &args.corpora };
    // All are opened first: a folder that is missing is said before minutes of work.
    let corpora = wanted
        .iter()
        .map(|what| Ok((what.display().to_string(), find::corpus(what, args.datasets.as_deref(), args.interval)?)))
        .collect::<Result<Vec<_>>>()?;
    let mut progress = Progress::new("measuring", false);
    let all = corpora.iter().map(|(_, c)| if c.is_nab() { 1 } else { c.names().len() }).sum::<usize>() as u64;
    let (mut rows, mut done) = (vec![], 0);
    for (name, corpus) in &corpora {
        if corpus.is_nab() {
            rows.extend(online(args, name, corpus)?);
            done += 1;
            progress.at(done, all);
        } else {
            rows.extend(by_machine(args, name, corpus, &mut || {
                done += 1;
                progress.at(done, all);
            })?);
        }
    }
    progress.over();
    if rows.is_empty() {
        return Err(Failure::new("none of these detectors can be measured on these corpora")
            .hint("detectors of one metric are measured on nab, those of many on smd, asd and jumpstarter"));
    }
    show::show(&rows, args.format)?;
    Ok(ExitCode::SUCCESS)
}

/// Every name is one of a detector.
fn check(args: &Args) -> Result<()> {
    for name in args.only.iter().filter(|name| !OTHERS.contains(&name.as_str())) {
        registry::find(name).map_err(|e| Failure::new(&e).hint(e.hint()))?;
    }
    Ok(())
}

/// Measured, and not in the registry.
const OTHERS: [&str; 2] = ["random", "lstm"];

impl Args {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    fn trained(&self, period: usize) -> Vec<Boxed> {
        #[cfg(feature = "train")]
        if self.lstm {
            // The first learns; the others would take its model.
            return crate::command::eval::trained::lstm(1, period).into_iter().take(1).collect();
        }
        let _ = period;
        vec![]
    }
}

fn online(args: &Args, name: &str, corpus: &Corpus) -> Result<Vec<Row>> {
    let makers: Vec<_> = registry::all()
        .filter(|entry| args.wants(entry.name))
        .filter_map(|entry| match entry.make {
            Make::Online(make) => Some((entry.name, make)),
            Make::Batch(_) => None,
        })
        .collect();
    if makers.is_empty() {
        return Ok(vec![]);
    }
    let series = corpus.names().iter().map(|n| corpus.read(n)).collect::<std::result::Result<Vec<_>, _>>()?;
    let row = |(detector, make): (&str, _)| {
        let mut cost = Cost::default();
        let mut scores = vec![];
        for series in &series {
            let memory = Memory::watch();
            let before = on_processors();
            scores.push(evaluate::online_scores(make, series));
            let score = on_processors() - before;
            let peak_bytes = memory.and_then(Memory::peak);
            cost.add(Cost { score, points: series.test.len(), peak_bytes, ..Cost::default() });
        }
        let quality = evaluate::quality_on_nab(&series, &scores)?;
        let evaluate::NabQuality { standard, vus_pr, auc_pr } = quality;
        let (corpus, detector) = (name.to_owned(), detector.to_owned());
        Some(Row { corpus, detector, series: series.len(), vus_pr, auc_pr, nab: Some(standard), cost })
    };
    Ok(makers.into_iter().filter_map(row).collect())
}

fn by_machine(args: &Args, name: &str, corpus: &Corpus, done: &mut dyn FnMut()) -> Result<Vec<Row>> {
    let sight = if args.online { Sight::Online } else { Sight::Offline };
    let mut order: Vec<&'static str> = vec![];
    let mut costs: BTreeMap<&'static str, Arc<Mutex<Cost>>> = BTreeMap::new();
    let mut quality: BTreeMap<&'static str, Vec<(f64, f64)>> = BTreeMap::new();
    for series in corpus.names() {
        let series = corpus.read(series)?;
        let all = evaluate::detectors(&series).into_iter().chain(args.trained(evaluate::period(&series)));
        for detector in all.filter(|d| args.wants(d.name())) {
            let detector_name = detector.name();
            if !order.contains(&detector_name) {
                order.push(detector_name);
            }
            let cost = Arc::clone(costs.entry(detector_name).or_default());
            let metered: Boxed = Box::new(Metered::new(detector, cost));
            for row in evaluate::machine(&series, sight, PER_HOUR, vec![metered])? {
                let measured = (row.evaluation.vus_pr, row.evaluation.auc_pr);
                quality.entry(detector_name).or_default().push(measured);
            }
        }
        done();
    }
    let row = |detector: &'static str| {
        let measured = quality.remove(detector).unwrap_or_default();
        let mean = |of: fn(&(f64, f64)) -> f64| measured.iter().map(of).sum::<f64>() / measured.len() as f64;
        let cost = costs.get(detector).map(|c| *c.lock().unwrap_or_else(PoisonError::into_inner));
        Row {
            corpus: name.to_owned(),
            detector: detector.to_owned(),
            series: measured.len(),
            vus_pr: mean(|m| m.0),
            auc_pr: mean(|m| m.1),
            nab: None,
            cost: cost.unwrap_or_default(),
        }
    };
    Ok(order.into_iter().map(row).collect())
}
