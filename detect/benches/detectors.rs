//! The family of outlier detectors beside PyOD: the same rows, in one run, on the same processors.
//!
//! `make bench-detectors` makes the environment with PyOD, pins both to one processor and runs this. Without `OSD_PYOD` (a Python that has
//! it) only osd's half is shown. Each is fitted to rows and scores them; osd's time is the least of three, PyOD's likewise where it takes
//! less than a second, both as time on the processor. Scores are compared by Spearman's rank correlation and, of those without randomness, by their largest difference.
//!
//! `-- knn lof` shows some. Where PyOD keeps a matrix of all pairs or loops over them the rows are fewer, and the table says so.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

use osd_detect::outlier::{CONTAMINATION, ENTRIES, Entry, Kind, combination, fit};
use osd_detect::rng::Rng;
use osd_detect::series::Table;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Rows of a service: its load and what follows it in three ways of running, noise of each metric, one in a hundred far off.
fn rows(n: usize, columns: usize) -> Table {
    let mut rng = Rng(17);
    let kinds: Vec<Vec<f64>> = (0..3).map(|_| (0..columns * 3).map(|_| rng.normal()).collect()).collect();
    let mut out = Table::new(columns);
    for i in 0..n {
        let kind = &kinds[[0, 0, 0, 1, 1, 2][rng.below(6)]];
        let hidden = [rng.normal(), rng.normal()];
        let far = if i % 100 == 99 { 4.0 } else { 1.0 };
        let row: Vec<f64> = (0..columns)
            .map(|c| {
                let at = &kind[c * 3..];
                3.0 * at[0] + at[1] * hidden[0] + at[2] * hidden[1] + 0.5 * far * rng.normal()
            })
            .collect();
        out.push(&row);
    }
    out
}

/// Most rows at which PyOD bears a detector: beyond, a matrix of all pairs or a loop in Python takes gigabytes or minutes.
fn bearable(name: &str) -> usize {
    match name {
        "cof" | "lscp" => 4_000,
        "sos" => 3_000,
        "sod" => 2_000,
        "loci" => 250,
        _ => usize::MAX,
    }
}

struct Pyod {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Pyod {
    fn start(python: &std::ffi::OsStr) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/detectors.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("OSD_PYOD is a Python");
        let mut answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        answers.read_line(&mut line).expect("PyOD answers");
        assert_eq!(line.trim(), "ready", "OSD_PYOD has pyod 3.6.7, combo and numba");
        Self { child, answers }
    }

    /// Seconds to fit and to score, and the scores.
    fn time(&mut self, name: &str, x: &Table, path: &Path) -> Result<([f64; 2], Vec<f64>), String> {
        let mut best = [f64::INFINITY; 2];
        for _ in 0..3 {
            let stdin = self.child.stdin.as_mut().expect("it is piped");
            writeln!(stdin, "{name} {} {} {}", x.len(), x.columns(), path.display()).expect("PyOD listens");
            let mut line = String::new();
            self.answers.read_line(&mut line).expect("PyOD answers");
            if let Some(reason) = line.strip_prefix('-') {
                return Err(reason.trim().to_owned());
            }
            let seconds: Vec<f64> = line.split_whitespace().filter_map(|v| v.parse().ok()).collect();
            best.iter_mut().zip(&seconds).for_each(|(best, s)| *best = best.min(*s));
            if best[0] + best[1] > 1.0 {
                break;
            }
        }
        let bytes = std::fs::read(format!("{}.scores", path.display())).map_err(|e| e.to_string())?;
        let number = |b: &[u8]| f64::from_le_bytes(b.try_into().unwrap_or_default());
        Ok((best, bytes.chunks_exact(8).map(number).collect()))
    }
}

/// Seconds that this thread has been on a processor: others of the machine do not count.
fn on_processor() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it fills in what it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn own(entry: &Entry, x: &Table) -> ([f64; 2], Vec<f64>) {
    let mut best = [f64::INFINITY; 2];
    let mut scores = vec![];
    for _ in 0..3 {
        let detector = (entry.make)(&[]).expect("the usual parameters");
        let start = on_processor();
        let fitted = fit(detector.as_ref(), x, CONTAMINATION).expect("rows that can be learnt from");
        let middle = on_processor() - start;
        scores = fitted.decision_function(x).expect("the same rows");
        let end = on_processor() - start;
        best = [best[0].min(middle), best[1].min(end - middle)];
        if best[0] + best[1] > 5.0 {
            break;
        }
    }
    (best, scores)
}

fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (combination::ranks(a), combination::ranks(b));
    let sum = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - 0.5) * (y - 0.5)).sum::<f64>();
    sum(&a, &b) / (sum(&a, &a) * sum(&b, &b)).sqrt()
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let mut pyod = std::env::var_os("OSD_PYOD").map(|python| Pyod::start(&python));
    if pyod.is_none() {
        eprintln!("SKIPPED: PyOD's half; OSD_PYOD names no Python that has it");
    }
    let folder = std::env::temp_dir().join(format!("osd-bench-detectors-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a place for rows");
    println!("| detector | rows | osd fit, s | osd score, s | PyOD fit, s | PyOD score, s | times as fast | scores |");
    println!("|---|---|---|---|---|---|---|---|");
    for columns in [4, 38] {
        for entry in ENTRIES.iter().filter(|e| wanted.is_empty() || wanted.iter().any(|w| w == e.name)) {
            let n = 20_000.min(bearable(entry.name));
            if entry.single && columns > 4 {
                continue;
            }
            let columns = if entry.single { 1 } else { columns };
            let x = rows(n, columns);
            let (seconds, scores) = own(entry, &x);
            let shape = format!("{n} x {columns}");
            let mine = format!("| {} | {shape} | {:.4} | {:.4}", entry.name, seconds[0], seconds[1]);
            let path = folder.join("rows");
            let bytes: Vec<u8> = x.rows().flatten().flat_map(|v| v.to_le_bytes()).collect();
            std::fs::write(&path, bytes).expect("a place for rows");
            match pyod.as_mut().filter(|_| entry.kind != Kind::Own).map(|p| p.time(entry.name, &x, &path)) {
                None => println!("{mine} | | | | |"),
                Some(Err(reason)) => println!("{mine} | {reason} | | | |"),
                Some(Ok((theirs, wanted))) => {
                    let ratio = (theirs[0] + theirs[1]) / (seconds[0] + seconds[1]);
                    let rank = rank_correlation(&scores, &wanted);
                    let usual = wanted.iter().map(|w| w.abs()).sum::<f64>() / wanted.len() as f64;
                    let off = scores.iter().zip(&wanted).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max) / usual;
                    let same = if entry.kind == Kind::Exact { format!("{off:.0e}") } else { format!("rank {rank:.3}") };
                    println!("{mine} | {:.4} | {:.4} | {ratio:.1} | {same} |", theirs[0], theirs[1]);
                }
            }
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    if let Some(mut pyod) = pyod {
        drop(pyod.child.stdin.take());
        let _ = pyod.child.wait();
    }
}
