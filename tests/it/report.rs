//! The page in a real browser: every figure is drawn, nothing is logged, nothing is wider than a
//! phone, the time axis zooms.
#![cfg(feature = "analyze")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use osd_findings::{Findings, Window};
use osd_report::{Options, html, sample, write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FIGURES: [&str; 7] = ["cpu", "rss", "net", "syscalls", "runq", "loss", "heatmap"];

/// `$CHROMIUM`, or the first browser of that name in `$PATH`. Without one, tests are skipped, except in CI.
fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let found = || std::env::split_paths(&path).flat_map(|dir| names.map(|n| dir.join(n))).find(|p| p.is_file());
    let browser = named.or_else(found);
    if browser.is_none() {
        assert!(std::env::var_os("CI").is_none(), "chromium not found: install it or set CHROMIUM");
        eprintln!("SKIPPED: chromium not found (install it or set CHROMIUM)");
    }
    browser
}

/// The document at `url` after its scripts ran, with nothing on the console.
fn dom(browser: &Path, dir: &Path, url: &str) -> String {
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args([
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
            "--enable-logging=stderr",
            "--v=0",
        ])
        .args(["--disable-dev-shm-usage", "--window-size=1400,1000", "--virtual-time-budget=5000"])
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .args(["--dump-dom", url])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let console: Vec<_> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(console.is_empty(), "{console:#?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The value of `name="..."` in the first tag that `start` opens.
fn attribute<'a>(dom: &'a str, start: &str, name: &str) -> Option<&'a str> {
    let tag = dom.split_once(start)?.1.split_once('>')?.0;
    Some(tag.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0)
}

fn file(dir: &Path, name: &str) -> String {
    format!("file://{}", dir.join(name).display())
}

#[test]
fn every_figure_is_drawn_without_a_word_on_the_console() {
    let Some(browser) = chromium() else { return };
    let findings = [
        ("incident", sample::incident()),
        ("many", sample::many_windows(20)),
        ("quiet", sample::quiet()),
        ("hostile", sample::hostile()),
        ("empty", Default::default()),
    ];
    for (name, findings) in findings {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &findings, &Options::default()).unwrap();
        let dom = dom(&browser, dir.path(), &file(dir.path(), "index.html"));
        for figure in FIGURES {
            let start = format!("id=\"fig-{figure}\"");
            assert_eq!(attribute(&dom, &start, "data-drawn"), Some("true"), "{name}: {figure}");
        }
        if name != "empty" {
            // One path a run of points: the gap of the sample breaks each line in two, and tints lie below.
            let figure = dom.split_once("id=\"fig-net\"").unwrap().1.split_once("</figure>").unwrap().0;
            assert_eq!(figure.matches("<path class=\"line ").count(), 4, "{name}");
            assert!(dom.contains("<canvas"), "{name}");
        }
        assert_eq!(attribute(&dom, "<html", "data-ready"), Some("true"), "{name}");
        assert_eq!(attribute(&dom, "<html", "data-error"), None, "{name}");
        assert_eq!(attribute(&dom, "<html", "data-overflow"), Some("false"), "{name}");
        assert_eq!(attribute(&dom, "<html", "data-zoom"), Some("all"), "{name}");
    }
}

#[test]
fn a_comparison_draws_both_sides_of_every_metric_on_one_axis() {
    let Some(browser) = chromium() else { return };
    let dir = tempfile::tempdir().unwrap();
    let diff = sample::comparison();
    osd_report::write_diff(dir.path(), &diff, &Options::default()).unwrap();
    let dom = dom(&browser, dir.path(), &file(dir.path(), "index.html"));
    for i in 1..=diff.series.len() {
        let start = format!("id=\"fig-metric-{i}\"");
        assert_eq!(attribute(&dom, &start, "data-drawn"), Some("true"), "{i}");
        let figure = dom.split_once(&start).unwrap().1.split_once("</figure>").unwrap().0;
        // A gap breaks each of the two lines.
        assert_eq!(figure.matches("<path class=\"line line-0").count(), 2, "{i}");
        assert_eq!(figure.matches("<path class=\"line line-1").count(), 2, "{i}");
        assert!(figure.contains("before") && figure.contains("after"), "{i}");
    }
    assert!(dom.contains("<th scope=\"row\">fdatasync</th>") && dom.contains("What differs"));
    for (name, wanted) in [("data-ready", "true"), ("data-overflow", "false")] {
        assert_eq!(attribute(&dom, "<html", name), Some(wanted), "{name}");
    }
    assert_eq!(attribute(&dom, "<html", "data-error"), None);
    // Nothing to compare is a page, too.
    let empty = tempfile::tempdir().unwrap();
    osd_report::write_diff(empty.path(), &Default::default(), &Options::default()).unwrap();
}

#[test]
fn address_zooms_the_time_axis() {
    let Some(browser) = chromium() else { return };
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &sample::incident(), &Options::default()).unwrap();
    let dom = dom(&browser, dir.path(), &(file(dir.path(), "index.html") + "#zoom=36,46.5"));
    assert_eq!(attribute(&dom, "<html", "data-zoom"), Some("36,46.5"));
    assert_eq!(attribute(&dom, "data-window=\"1\"", "aria-pressed"), Some("true"));
    assert_eq!(attribute(&dom, "data-window=\"2\"", "aria-pressed"), Some("false"));
    let axis = dom.split_once("id=\"fig-heatmap\"").unwrap().1;
    assert!(axis.contains(">40</text>") && !axis.contains(">60</text>"));
    // A window has an address of its own, too.
    let page = self::dom(&browser, dir.path(), &(file(dir.path(), "index.html") + "#w2"));
    let (from, to) = attribute(&page, "<html", "data-zoom").unwrap().split_once(',').unwrap();
    assert!(from.starts_with("57.7") && to.starts_with("71.7"), "{from} {to}");
}

/// A page that holds the report in frames of several widths, uses it as a reader would and writes down what it sees.
const READER: &str = r##"const seen = {};
(async () => {
  const phone = await frame(390);
  const root = phone.document.documentElement;
  seen.overflow = root.dataset.overflow;
  seen.width = root.scrollWidth;
  const desk = await frame(1300);
  const $ = (selector) => desk.document.querySelector(selector);
  const zoom = () => desk.document.documentElement.dataset.zoom;
  const box = $("#fig-cpu .plot").getBoundingClientRect();
  const point = (type, part) => $("#fig-cpu .plot").dispatchEvent(new desk.PointerEvent(type,
    { clientX: box.left + 112 + (box.width - 124) * part, clientY: box.top + 9, pointerType: "mouse", pointerId: 1, bubbles: true }));
  point("pointermove", 0.54);
  seen.cpu = $("#fig-cpu output").textContent;
  seen.heat = $("#fig-heatmap output").textContent;
  point("pointermove", 77 / 120);
  seen.gap = $("#fig-cpu output").textContent;
  desk.Element.prototype.setPointerCapture = () => {}; // only real pointers can be captured
  point("pointerdown", 0.5);
  point("pointermove", 0.6);
  point("pointerup", 0.75);
  seen.dragged = zoom();
  $("#fig-cpu .plot").dispatchEvent(new desk.KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  seen.escaped = zoom();
  $("nav [data-window='2']").click();
  seen.chosen = zoom();
  $("#reset").click();
  seen.reset = zoom();
  $("[data-copy='2']").click();
  seen.copied = desk.document.documentElement.dataset.copied;
  seen.link = $("#w2 a.number").getAttribute("href");
  seen.title = $("h1").title === $("h1").textContent;
  document.getElementById("seen").textContent = JSON.stringify(seen);
})();
"##;

/// A page that holds the report in frames of a width, for a script that writes down what it sees.
const FRAMES: &str = r##"<!doctype html><meta charset="utf-8"><pre id="seen"></pre><script>
const page = DATA;
const frame = (width) => new Promise((ready) => {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width:${width}px;height:900px;border:0`;
  frame.onload = () => setTimeout(() => ready(frame.contentWindow), 300);
  frame.srcdoc = page;
  document.body.append(frame);
});
"##;

/// What `script` sees of the report of `findings`, as JSON.
fn seen(browser: &Path, dir: &Path, findings: &Findings, script: &str) -> serde_json::Value {
    let page = serde_json::to_string(&html(findings)).unwrap().replace('<', "\\u003c");
    std::fs::write(dir.join("seen.html"), FRAMES.replace("DATA", &page) + script + "</script>").unwrap();
    let dom = dom(browser, dir, &file(dir, "seen.html"));
    let seen = dom.split_once("id=\"seen\">").unwrap().1.split_once("</pre>").unwrap().0;
    serde_json::from_str(&seen.replace("&nbsp;", " ")).unwrap()
}

/// The numbers of the windows above the charts of a phone, with where they end; and where each card of a desk begins.
const PLACES: &str = r##"(async () => {
  const [phone, desk] = [await frame(390), await frame(1400)];
  const lane = phone.document.getElementById("lane").getBoundingClientRect();
  const chips = [...phone.document.querySelectorAll("#lane .chip")];
  const numbers = chips.map((chip) => [Number(chip.querySelector("text").textContent), chip.querySelector("rect").getBoundingClientRect().right <= lane.right]);
  const cards = [...desk.document.querySelectorAll("article")].map((card) => [card.getBoundingClientRect().left, card.getBoundingClientRect().top]);
  document.getElementById("seen").textContent = JSON.stringify({ numbers, cards });
})();
"##;

#[test]
fn every_window_has_its_number_on_a_phone_and_cards_are_read_across() {
    let Some(browser) = chromium() else { return };
    let dir = tempfile::tempdir().unwrap();
    // Ten windows of five seconds, one every 14, to within ten of the end: as the demo's.
    let mut findings = sample::incident();
    let start_ns = findings.recording.started_ns;
    findings.recording.ended_ns = start_ns + 160_000_000_000;
    let window = findings.windows[0].clone();
    let windows = (0..10_u32).map(|i| {
        let start_ns = start_ns + 20_000_000_000 + i64::from(i) * 14_000_000_000;
        Window { id: i + 1, start_ns, end_ns: start_ns + 5_000_000_000, ..window.clone() }
    });
    findings.windows = windows.collect();
    let seen = seen(&browser, dir.path(), &findings, PLACES);
    let wanted: Vec<(u32, bool)> = (1..=10).map(|id| (id, true)).collect();
    assert_eq!(seen["numbers"], serde_json::json!(wanted), "{seen}");
    let cards: Vec<(f64, f64)> = serde_json::from_value(seen["cards"].clone()).unwrap();
    for pair in cards.chunks_exact(2) {
        assert!(pair[0].0 < pair[1].0 && (pair[0].1 - pair[1].1).abs() < 1.0, "{seen}");
    }
    assert!(cards[1].1 < cards[2].1, "{seen}");
}

#[test]
fn reader_points_drags_and_chooses_on_any_width() {
    let Some(browser) = chromium() else { return };
    let dir = tempfile::tempdir().unwrap();
    let seen = seen(&browser, dir.path(), &sample::incident(), READER);
    let text = |key: &str| seen[key].as_str().unwrap_or_default().replace('\u{a0}', " ");
    assert_eq!(text("overflow"), "false", "{seen}");
    assert!(seen["width"].as_u64().is_some_and(|width| width <= 390), "{seen}");
    assert!(text("cpu").ends_with(" cores"), "{seen}");
    assert!(text("heat").starts_with("busiest: "), "{seen}");
    assert_eq!(text("gap"), "–", "{seen}");
    let (from, to) = seen["dragged"].as_str().unwrap().split_once(',').unwrap();
    let near = |text: &str, want: f64| (text.parse::<f64>().unwrap() - want).abs() < 0.5;
    assert!(near(from, 60.0) && near(to, 90.0), "{seen}");
    assert_eq!((text("escaped").as_str(), text("reset").as_str()), ("all", "all"), "{seen}");
    let (from, to) = seen["chosen"].as_str().unwrap().split_once(',').unwrap();
    assert!(near(from, 57.75) && near(to, 71.75), "{seen}");
    // For a ticket: what it is, what it says, and where.
    let window = &sample::incident().windows[1];
    let copied = text("copied");
    assert!(copied.starts_with(&format!("#2 {}, ", window.pattern)) && copied.ends_with("#w2"), "{copied}");
    assert!(copied.contains(&window.sentence) && copied.contains("What changed"), "{copied}");
    assert_eq!((text("link").as_str(), &seen["title"]), ("#w2", &serde_json::json!(true)));
}
