//! `osd train`: learns what is normal from recordings, and writes a model.

use crate::failure::{Failure, Result};
use crate::format;
use crate::inputs;
use crate::interrupt;
use crate::output::say;
use osd_model::prepare::{Halves, Prepared, Shape, prepare};
use osd_model::{Model, features};
use osd_report::{Learning, learning_png};
use osd_train::{Chosen, Config, Outcome, Progress, Trainer, Wanted, choose};
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Learn what is normal from recordings, and write a model that `osd score` and `osd analyze --model` use.
///
/// An LSTM learns to forecast the next sample of each metric. What it cannot forecast later is unusual. It does not learn
/// from the last quarter of each recording: that part says when to stop, and how large errors are on normal data. Then two
/// more models learn from one half of the data each and score the other half, which sets the thresholds. Ctrl-C stops
/// training and writes the best model so far.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recordings of normal behaviour, folders of them, or patterns; all with the same interval.
    #[arg(value_name = "FILE")]
    recordings: Vec<PathBuf>,
    /// Folder of the model. `osd score` and `osd analyze --model` look into the default by themselves.
    #[arg(short, long, value_name = "DIR", default_value = inputs::MODEL)]
    output: PathBuf,
    /// Replace a model that is there.
    #[arg(long)]
    force: bool,
    /// Metrics to learn, by name, with commas between [default: cpu,rss,net_rx,net_tx,syscalls,runq, and fds where they could be counted].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    features: Vec<String>,
    /// Samples that a forecast is made from.
    #[arg(long, value_name = "N", default_value_t = 80, value_parser = between(1, 100_000))]
    window: usize,
    /// Samples forecast at once.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = between(1, 1_000))]
    horizon: usize,
    /// Units of each of the two layers.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = between(1, 4_096))]
    hidden: usize,
    /// Most passes over the data.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = between(1, 100_000))]
    epochs: usize,
    /// Passes without getting better after which it ends.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = between(1, 100_000))]
    patience: usize,
    /// Windows a step.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = between(1, 1_000_000))]
    batch: usize,
    /// Step of the optimiser at the beginning.
    #[arg(long, value_name = "X", default_value_t = 5e-3, value_parser = parse_step)]
    rate: f64,
    /// On the CPU, the same seed gives the same model.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Threads on the CPU [default: one a processor].
    #[arg(long, value_name = "N", value_parser = between(1, 1_024))]
    threads: Option<usize>,
    /// Where to train. `osd doctor` names the GPU, or says what it lacks.
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceArg,
    /// Only errors on stderr.
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "EXAMPLES:
  osd train normal/*.parquet                         learn, into model/; then: osd score run.parquet
  osd train 'normal/*.parquet' -o service/           another folder; then: osd score -m service/ run.parquet
  osd train normal.parquet -o model/ --features cpu,rss,syscalls --window 40
  osd train more/*.parquet -o model/ --force         anew, in the place of the old";

#[derive(Clone, Copy, clap::ValueEnum)]
enum DeviceArg {
    /// A GPU if Vulkan has one, else the CPU, without a word.
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU or what stands in for one; the CPU, with a warning, if there is none.
    Gpu,
}

fn between(least: u64, most: u64) -> impl clap::builder::TypedValueParser<Value = usize> {
    use clap::builder::TypedValueParser as _;
    clap::value_parser!(u64).range(least..=most).map(|n| n as usize)
}

fn parse_step(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if n > 0.0 && n <= 1.0 => Ok(n),
        _ => Err("write a number above 0 and at most 1, such as 0.003".to_owned()),
    }
}

/// Mesa's layer of Vulkan that orders cards asks the desktop, and prints where there is none. osd chooses among the cards itself. Only where
/// Vulkan is asked: a command that is recorded shall have the environment that osd was given.
pub(crate) fn quiet_vulkan() {
    // SAFETY: called first by its command, before there is another thread that could read the environment.
    unsafe { std::env::set_var("NODEVICE_SELECT", "1") }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    quiet_vulkan();
    // Before anything is read: a wrong name is an error at once.
    let mut features = if args.features.is_empty() { vec![] } else { features::named(&args.features)? };
    // Minutes of training must not end in a folder that cannot be written.
    Model::may_save(&args.output, args.force)?;
    let recordings = inputs::recordings(&args.recordings)?;
    if features.is_empty() {
        features = features::named(&features::usual(&recordings))?;
    }
    let shape = Shape { window: args.window, horizon: args.horizon, ..Shape::default() };
    let prepared = prepare(&recordings, &features, shape)?;
    let status = StatusLine { quiet: args.quiet, live: !args.quiet && std::io::stderr().is_terminal() };
    notes(&prepared, status);
    let chosen = choose(match args.device {
        DeviceArg::Auto => Wanted::Auto,
        DeviceArg::Cpu => Wanted::Cpu,
        DeviceArg::Gpu => Wanted::Gpu,
    });
    if let (DeviceArg::Gpu, Some(why)) = (args.device, &chosen.no_gpu) {
        status.say(&format!("warning: no GPU: {why}; training on the CPU"));
        status.say(&format!("hint: {}", why.hint()));
    }
    status.say(&format!("device: {}", chosen.name));
    // The first signal ends training, and what was best is written.
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    interrupt::stop_by(&interrupt::ignored_signals(), move || asked.store(true, Ordering::Relaxed));
    let trainer = |config, what| {
        let report = move |progress: Progress<'_>| status.progress(what, &progress);
        Trainer::new(config, chosen.clone()).stop_by(Arc::clone(&stop)).on_progress(report)
    };
    let outcome = trainer(config(args), "").train(&prepared.training, &prepared.validation, features.len());
    status.over();
    let outcome = outcome.map_err(|e| e.hint.iter().fold(Failure::new(&e.reason), |f, hint| f.hint(hint)))?;
    let mut model = Model::new(outcome.lstm.clone(), &prepared, args.seed)?;
    let config = Config { epochs: outcome.best + 1, ..config(args) };
    let calibrated = calibrate(&mut model, &prepared, |half, what| {
        let trained = trainer(config.clone(), what).train(&half.training, &half.validation, features.len());
        status.over();
        trained.ok().filter(|trained| !trained.stopped)
    });
    if calibrated.is_none() && !stop.load(Ordering::Relaxed) {
        status.say("note: thresholds are by the validation part alone: half of the data was too little to learn from");
    }
    let metrics = metrics(args, &outcome, &chosen, &prepared, calibrated);
    model.save(&args.output, &metrics, &[("loss.png", curve(&outcome, &chosen, &prepared))], args.force)?;
    status.say(&summary(&outcome, &prepared));
    status.say(&format!("wrote {}", args.output.display()));
    let named =
        if args.output == Path::new(inputs::MODEL) { String::new() } else { format!("-m {} ", args.output.display()) };
    status.say(&format!("hint: osd score {named}run.parquet"));
    Ok(ExitCode::SUCCESS)
}

/// Sets the thresholds by models of one half of the data each, which score the other half; how it was halved, if that was possible.
fn calibrate(
    model: &mut Model,
    prepared: &Prepared,
    train: impl Fn(&Prepared, &'static str) -> Option<Outcome>,
) -> Option<Halves> {
    [Halves::Recordings, Halves::Time].into_iter().find(|by| {
        let Some(halves) = prepared.halves(*by) else { return false };
        let learnt = |i: usize, what| train(&halves[i], what).map(|outcome| outcome.lstm);
        let first = learnt(0, "thresholds, 1 of 2: ");
        let lstms = first.and_then(|first| Some([first, learnt(1, "thresholds, 2 of 2: ")?]));
        lstms.is_some_and(|lstms| matches!(model.calibrate(&halves, lstms), Ok(true)))
    })
}

fn config(args: &Args) -> Config {
    Config {
        window: args.window,
        horizon: args.horizon,
        hidden: args.hidden,
        epochs: args.epochs,
        patience: args.patience,
        batch: args.batch,
        rate: args.rate,
        seed: args.seed,
        threads: args.threads.unwrap_or(0),
        ..Config::default()
    }
}

/// What of the recordings is not used, or of no use.
fn notes(prepared: &Prepared, status: StatusLine) {
    let (all, masked) = prepared.rows();
    if masked > 0 {
        status.say(&format!(
            "note: {} of {} masked, for gaps and losses",
            format::count(masked),
            if all == 1 { "1 sample is".to_owned() } else { format!("{} samples are", format::count(all)) }
        ));
    }
    if !prepared.constant.is_empty() {
        status.say(&format!(
            "note: {} never changes here: any change of it will be unusual",
            prepared.constant.join(", ")
        ));
    }
}

/// Where words go, if anywhere.
#[derive(Clone, Copy)]
struct StatusLine {
    quiet: bool,
    live: bool,
}

impl StatusLine {
    /// A line. A stderr that is gone must not cost the model.
    fn say(self, line: &str) {
        if !self.quiet {
            say(line);
        }
    }

    fn progress(self, what: &str, p: &Progress<'_>) {
        if !self.live {
            return;
        }
        const BAR: usize = 24;
        let done = (p.epochs.len() as f64 + p.share) / p.of as f64;
        let filled = (done * BAR as f64) as usize;
        let losses = p
            .epochs
            .last()
            .map_or_else(String::new, |e| format!(", loss {:.4}, validation {:.4}", e.loss, e.validation));
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[K{what}[{}{}] pass {} of at most {}{losses}, {} windows/s, {} left at most (Ctrl-C keeps the best so far)",
            "=".repeat(filled),
            " ".repeat(BAR - filled.min(BAR)),
            p.epochs.len() + 1,
            p.of,
            format::count(p.windows_per_s as u64),
            format::duration((p.eta_s.max(0.0) * 1e9) as u64),
        );
    }

    /// The live line makes room for what comes next.
    fn over(self) {
        if self.live {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn curve(outcome: &Outcome, chosen: &Chosen, prepared: &Prepared) -> Vec<u8> {
    let names: Vec<&str> = prepared.recordings.iter().map(|r| r.name.as_str()).collect();
    learning_png(&Learning {
        title: format!("Training on {}", names.join(", ")),
        note: format!(
            "{} to learn from, {} to validate on, {} windows/s on {}",
            windows(outcome),
            format::count(outcome.validation_windows as u64),
            format::count(outcome.windows_per_s as u64),
            chosen.name,
        ),
        training: outcome.epochs.iter().map(|e| e.loss).collect(),
        validation: outcome.epochs.iter().map(|e| e.validation).collect(),
        best: outcome.best,
    })
}

/// `metrics.json`.
fn metrics(
    args: &Args,
    outcome: &Outcome,
    chosen: &Chosen,
    prepared: &Prepared,
    calibrated: Option<Halves>,
) -> serde_json::Value {
    let epochs: Vec<_> = outcome
        .epochs
        .iter()
        .map(|e| json!({"loss": e.loss, "validation_loss": e.validation, "rate": e.rate, "seconds": e.seconds}))
        .collect();
    json!({
        "loss": "mean Huber loss of one-step forecasts in scaled units",
        "epochs": epochs,
        "best_epoch": outcome.best,
        "stopped": outcome.stopped,
        "thresholds_by": match calibrated {
            Some(Halves::Recordings) => "halves of the recordings",
            Some(Halves::Time) => "halves of each recording",
            None => "validation",
        },
        "windows": outcome.windows,
        "validation_windows": outcome.validation_windows,
        "windows_per_s": outcome.windows_per_s,
        "batch": args.batch,
        "seed": args.seed,
        "parameters": outcome.lstm.parameters(),
        "constant_features": prepared.constant,
        "device": chosen.name,
        "gpu": chosen.gpu,
        "threads": outcome.threads,
        "hardware": processor(),
    })
}

/// What the kernel calls this machine's processor, and how many there are.
fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{} x {}", count, name.map_or(std::env::consts::ARCH, |(_, name)| name))
}

fn windows(outcome: &Outcome) -> String {
    format::plural(format::count(outcome.windows as u64), "window")
}

fn summary(outcome: &Outcome, prepared: &Prepared) -> String {
    let best = &outcome.epochs[outcome.best];
    let seconds: f64 = outcome.epochs.iter().map(|e| e.seconds).sum();
    format!(
        "{} on {} of {}: {}, {} in {} ({} windows/s), validation loss {:.4} in pass {}",
        if outcome.stopped { "stopped; trained" } else { "trained" },
        match prepared.recordings.len() {
            1 => "one recording".to_owned(),
            n => format!("{n} recordings"),
        },
        prepared.features.iter().map(|f| f.name).collect::<Vec<_>>().join(", "),
        windows(outcome),
        format::plural(outcome.epochs.len(), "pass"),
        format::duration((seconds * 1e9) as u64),
        format::count(outcome.windows_per_s as u64),
        best.validation,
        outcome.best + 1,
    )
}
