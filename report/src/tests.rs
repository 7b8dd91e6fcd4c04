#![allow(clippy::unwrap_used, reason = "tests")]

use crate::draw::Font;
use crate::sample;
use crate::view::{MAX_WINDOWS, View};
use crate::view::{runs, thin};
use crate::words::units::*;
use crate::words::{clean, escape};
use crate::{Error, Options, html, png, svg, write};
use osd_findings::{Findings, LabelSpan, MetricShift, Series};
use std::path::PathBuf;

/// An empty place of its own for each test.
fn place(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("osd-report-{}-{name}", std::process::id()));
    std::fs::remove_dir_all(&dir).ok();
    dir
}

/// Width and height that a PNG states.
fn size(png: &[u8]) -> (u32, u32) {
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    (number(16), number(20))
}

#[test]
fn quantities_have_prefixes_and_units() {
    let check = |value, unit, want: &str| assert_eq!(quantity(value, unit).replace('\u{a0}', " "), want);
    check(0.0, "bytes", "0 B");
    check(1023.0, "bytes", "1023 B");
    check(1023.9, "bytes", "1 KiB");
    check(1536.0, "bytes/s", "1.5 KiB/s");
    check(64.0 * 1048576.0, "bytes", "64 MiB");
    check(999.4, "calls/s", "999 /s");
    check(999.7, "calls/s", "1 k/s");
    check(13_820.0, "calls/s", "13.8 k/s");
    check(0.416, "cores", "0.42 cores");
    check(0.0042, "s/s", "4.2 ms/s");
    check(2_500.0, "ns", "2.5 µs");
    check(0.5, "fraction", "50 %");
    check(12.0, "widgets", "12 widgets");
    check(f64::NAN, "bytes", "–");
    check(f64::INFINITY, "calls/s", "–");
    assert_eq!(grouped(1_234_567).replace('\u{202f}', " "), "1 234 567");
}

#[test]
fn only_all_of_it_is_100_percent() {
    let check = |share, want: &str| assert_eq!(percent(share).replace('\u{a0}', " "), want);
    check(1.0, "100 %");
    check(0.99999, "> 99.9 %");
    check(0.979, "97.9 %");
    check(0.5, "50 %");
    check(0.00001, "< 0.1 %");
    check(0.0, "0 %");
    check(-0.42, "−42 %");
}

#[test]
fn ticks_are_round_few_and_inside() {
    assert_eq!(ticks(0.0, 2.2, 4, false), [0.0, 1.0, 2.0]);
    assert_eq!(ticks(0.0, 100.0, 4, false), [0.0, 50.0, 100.0]);
    let mebi = 1048576.0;
    assert_eq!(ticks(0.0, 2.3 * mebi, 4, true), [0.0, mebi, 2.0 * mebi]);
    assert_eq!(ticks(5.0, 5.0, 4, false), [5.0]);
    assert_eq!(time_ticks(120.0, 13), (0..=12).map(|i| f64::from(i) * 10.0).collect::<Vec<_>>());
    for span_s in [1e-3, 0.1, 1.0, 7.0, 119.9, 600.0, 3601.0, 86_400.0, 1e9] {
        let ticks = time_ticks(span_s, 13);
        assert!((2..=22).contains(&ticks.len()) || span_s > 1e8, "{span_s}: {}", ticks.len());
        assert!(ticks.iter().all(|t| *t <= span_s * 1.001), "{span_s}: {ticks:?}");
    }
}

#[test]
fn times_read_as_clock_times_once_long() {
    assert_eq!(time_label(30.0, 120.0), "30");
    assert_eq!(time_label(90.0, 900.0), "1:30");
    assert_eq!(moment(63.5, 120.0), "63.5\u{a0}s");
    assert_eq!(moment(1890.0, 3600.0), "31:30");
    assert_eq!(moment(5490.4, 9000.0), "1:31:30");
    assert_eq!(time_label(5400.0, 10_000.0), "1:30");
    assert_eq!(utc(1_767_225_600_000_000_000), "2026-01-01 00:00:00");
    assert_eq!(utc(-1), "1969-12-31 23:59:59");
    assert_eq!(utc(1_709_210_096_000_000_000), "2024-02-29 12:34:56");
    utc(i64::MIN);
    utc(i64::MAX);
}

#[test]
fn decimation_keeps_extremes_and_gaps() {
    let mut points: Vec<(f64, Option<f64>)> = (0..100_000).map(|i| (f64::from(i) / 1000.0, Some(1.0))).collect();
    points[41_235].1 = Some(99.0);
    points[77_777].1 = Some(-5.0);
    points[60_000].1 = None;
    let runs = runs(&points, 100.0, 500);
    assert_eq!(runs.len(), 2);
    let kept: Vec<_> = runs.concat();
    assert!(kept.len() <= 2_010, "{}", kept.len());
    assert!(kept.contains(&(41.235, 99.0)) && kept.contains(&(77.777, -5.0)));
    assert!(kept.is_sorted_by(|a, b| a.0 <= b.0));
    let thinned = thin(&points, 100.0, 500);
    assert_eq!(thinned.iter().filter(|p| p.1.is_none()).count(), 1);
    assert!(thinned.contains(&(41.235, Some(99.0))));
}

#[test]
fn text_is_cleaned_escaped_fitted_and_wrapped() {
    assert_eq!(clean("a\u{1b}[31m\u{202e}b\nc\0", 99), "a\u{fffd}[31m\u{fffd}b\u{fffd}c\u{fffd}");
    assert_eq!(clean("abcdef", 4), "abc…");
    assert_eq!(escape("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    let font = Font::sans(13.0);
    assert!(font.width("wide text") > font.width("wide") && font.width("") == 0.0);
    let fitted = font.fit("a name that is much too long for its cell", 100.0);
    assert!(fitted.ends_with('…') && font.width(&fitted) <= 100.0, "{fitted}");
    let text = format!("some words and {} then more", "x".repeat(200));
    let lines = font.wrap(&text, 120.0, 50);
    assert!(lines.iter().all(|line| font.width(line) <= 120.0), "{lines:?}");
    assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
    let short = font.wrap(&text, 120.0, 2);
    assert!(short.len() == 2 && short[1].ends_with('…') && font.width(&short[1]) <= 120.0, "{short:?}");
    font.wrap("a", 0.0, 3);
}

#[test]
fn same_findings_same_bytes() {
    let findings = sample::incident();
    assert!(svg(&findings) == svg(&findings) && html(&findings) == html(&findings));
    assert!(png(&findings) == png(&findings));
    assert_eq!(size(&png(&findings)).0, 1600);
}

#[test]
fn page_without_windows_says_so_with_its_false_alarm_rate() {
    let findings = sample::quiet();
    for page in [html(&findings), svg(&findings)] {
        let page = page.replace("&#39;", "'").replace("&apos;", "'").replace('\u{a0}', " ");
        assert!(
            page.contains("No anomalous window in 2 min. The detector's stated rate of false windows is 0.5 per hour")
        );
        assert!(page.contains("nothing lost"));
    }
}

#[test]
fn recording_within_the_learning_period_is_not_called_clean() {
    let mut findings = sample::quiet();
    findings.detector.warm_up_s = 300.0;
    let page = html(&findings).replace('\u{a0}', " ");
    assert!(
        page.contains(
            "Nothing could be found: the recording lasts 2 min, and the detector learns for the first 5 min."
        )
    );
    assert!(!page.contains("No anomalous window"));
}

#[test]
fn strongest_windows_are_kept_and_the_rest_counted() {
    let findings = sample::many_windows(40);
    let view = View::new(&findings);
    assert_eq!(view.cards.len(), MAX_WINDOWS);
    assert!(view.cards.is_sorted_by_key(|card| card.id));
    let mut severities: Vec<f64> = findings.windows.iter().map(|w| w.severity).collect();
    severities.sort_by(|a, b| b.total_cmp(a));
    let strongest = findings.windows.iter().find(|w| w.severity == severities[0]).unwrap().id;
    assert!(view.cards.iter().any(|card| card.id == strongest));
    for page in [html(&findings), svg(&findings)] {
        assert!(page.contains("The strongest 16 of 40 windows are shown; 24 weaker ones are in findings.json."));
    }
}

#[test]
fn windows_of_a_group_share_a_colour_and_a_group_has_a_card() {
    let findings = sample::many_windows(9);
    let view = View::new(&findings);
    assert_eq!(view.cards.iter().map(|c| c.color).collect::<Vec<_>>(), [1, 2, 3, 1, 2, 3, 1, 2, 3]);
    assert!(view.cards[3].strength.ends_with(", group 1 of 3 windows"), "{}", view.cards[3].strength);
    assert_eq!(view.groups.len(), 3);
    let page = html(&findings);
    assert!(page.matches("<div class=\"group g").count() == 3 && page.matches("class=\"g2\"").count() >= 6);
    for id in [2, 5, 8] {
        assert!(page.contains(&format!("<article id=\"w{id}\" class=\"g2\">")), "{id}");
    }
    // In the picture, too: the sentence of a group, and its colour.
    let picture = svg(&findings);
    assert!(picture.contains("Group 2") && picture.contains("3 windows, every 15 s"), "no group is drawn");
    // The seventh group has the first one's colour again, and a window in none has none.
    let mut one = findings.clone();
    one.windows.truncate(1);
    one.windows[0].group = None;
    one.groups.clear();
    assert_eq!(View::new(&one).cards[0].color, 0);
    assert!(!html(&one).contains("id=\"groups\""));
}

#[test]
fn groups_without_a_window_on_the_page_are_counted() {
    let mut findings = sample::many_windows(3 * MAX_WINDOWS as u32);
    for w in findings.windows.iter_mut().filter(|w| w.group == Some(3)) {
        w.severity = 1.0;
    }
    let view = View::new(&findings);
    assert_eq!((view.groups.len(), view.groups_left_out), (2, 1));
    assert!(html(&findings).contains("windows that are alike; 1 more in findings.json"));
    assert!(view.groups[0].windows.iter().any(|(_, has_card)| !has_card), "not all fit on the page");
}

#[test]
fn hostile_strings_stay_text() {
    let findings = sample::hostile();
    let (page, picture) = (html(&findings), svg(&findings));
    // The data block, the page's own script, and nothing that a process wrote.
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script").count(), 2);
    assert!(!page.contains("<img") && !picture.contains("<img") && !picture.contains("<script"));
    for text in [&page, &picture] {
        let bad = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!text.contains(bad), "{:?}", text.chars().find(|c| bad(*c)));
    }
    assert_eq!(size(&png(&findings)).0, 1600);
}

#[test]
fn placeholders_in_names_are_not_filled_in() {
    let mut findings = sample::quiet();
    findings.recording.target = "{{data}} {{script}} }}".into();
    assert!(html(&findings).contains("<h1 title=\"{{data}} {{script}} }}\">{{data}} {{script}} }}</h1>"));
}

#[test]
fn page_forbids_the_network_and_asks_for_nothing() {
    let page = html(&sample::incident());
    assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"));
    let address = |text: &str| text.matches("://").count() - text.matches("http://www.w3.org/").count();
    assert_eq!(address(&page), 0);
    for id in ["cpu", "rss", "net", "syscalls", "runq", "loss", "heatmap"] {
        assert_eq!(page.matches(&format!("id=\"fig-{id}\"")).count(), 1, "{id}");
    }
}

#[test]
fn spike_of_one_sample_is_in_the_picture() {
    let calm = sample::incident();
    let mut spiked = calm.clone();
    // Between two others of its pixel column.
    let series = &mut spiked.series[4];
    let more: Vec<i64> = series.ts_ns.iter().flat_map(|ts| (0..20).map(move |i| ts + i * 5_000_000)).collect();
    series.values = series.values.iter().flat_map(|v| [*v; 20]).collect();
    series.ts_ns = more;
    series.values[10_007] = Some(90_000.0);
    assert!(svg(&spiked).contains("max 90") && html(&spiked).contains(",90000,"));
}

#[test]
fn long_recording_makes_no_long_page() {
    let findings = sample::stretched(60);
    assert_eq!(findings.series[0].values.len(), 72_000);
    let (page, picture) = (html(&findings), svg(&findings));
    assert!(page.len() < 4_000_000 && picture.len() < 2_000_000, "{} {}", page.len(), picture.len());
    assert!(picture.contains("min:s since start"));
}

#[test]
fn degenerate_recordings_are_drawn() {
    let one = |values: Vec<Option<f64>>| {
        let mut findings = sample::incident();
        let ts_ns = findings.series[0].ts_ns[..values.len()].to_vec();
        for series in &mut findings.series {
            (series.ts_ns, series.values) = (ts_ns.clone(), values.clone());
        }
        findings
    };
    let mut backwards = sample::incident();
    backwards.recording.ended_ns = i64::MIN;
    backwards.recording.started_ns = i64::MAX;
    backwards.recording.interval_ns = u64::MAX;
    let mut ragged = sample::incident();
    ragged.series[0].values.truncate(3);
    ragged.heatmap.rows[0].per_s.truncate(1);
    ragged.heatmap.edges_ns.truncate(20);
    ragged.windows[0].end_ns = ragged.windows[0].start_ns;
    ragged.windows[1].end_ns = i64::MAX;
    ragged.series.push(Series { metric: "cpu".into(), ..Series::default() });
    for findings in [Findings::default(), one(vec![Some(1.0)]), one(vec![]), one(vec![None; 5]), backwards, ragged] {
        assert_eq!(size(&png(&findings)).0, 1600);
        assert!(svg(&findings).trim_end().ends_with("</svg>"));
        assert!(html(&findings).trim_end().ends_with("</html>"));
    }
}

#[test]
fn report_is_written_once_and_replaced_only_by_force() {
    let dir = place("write").join("deep/er");
    let findings = sample::quiet();
    let paths = write(&dir, &findings, &Options::default()).unwrap();
    let names: Vec<_> = paths.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["index.html", "incident.png", "incident.svg", "findings.json"]);
    let json = std::fs::read(&paths[3]).unwrap();
    let read: Findings = serde_json::from_slice(&json).unwrap();
    assert!(read.recording == findings.recording && read.series.len() == findings.series.len());
    let again = write(&dir, &findings, &Options::default()).unwrap_err();
    assert!(matches!(&again, Error::Exists { path } if path == &paths[0]), "{again}");
    assert!(again.hint().unwrap().contains("--force"));
    write(&dir, &findings, &Options { force: true }).unwrap();
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 4);
    std::fs::remove_dir_all(dir.ancestors().nth(2).unwrap()).unwrap();
}

#[test]
fn unwritable_place_is_named() {
    let file = place("file");
    std::fs::write(&file, "").unwrap();
    let error = write(&file.join("report"), &sample::quiet(), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("report: "), "{error}");
    std::fs::remove_file(file).unwrap();
}

#[test]
#[ignore = "writes reports to look at into the directory that OSD_LOOK names"]
fn look() {
    let Some(dir) = std::env::var_os("OSD_LOOK").map(PathBuf::from) else { return };
    let mut one = sample::incident();
    one.windows.truncate(1);
    // Twelve windows, each with a label, within twelve seconds.
    let mut crowded = sample::many_windows(12);
    let (start, model) = (crowded.recording.started_ns, crowded.labels[0].clone());
    for (i, window) in crowded.windows.iter_mut().enumerate() {
        window.start_ns = start + (60 + i as i64) * 1_000_000_000;
        window.end_ns = window.start_ns + 700_000_000;
        crowded.labels.push(LabelSpan { ts_ns: window.start_ns, dur_ns: 800_000_000, ..model.clone() });
    }
    let all = [
        ("crowded", crowded),
        ("incident", sample::incident()),
        ("one", one),
        ("many", sample::many_windows(12)),
        ("hour", sample::stretched(30)),
        ("quiet", sample::quiet()),
        ("hostile", sample::hostile()),
        ("empty", Findings::default()),
    ];
    for (name, findings) in all {
        write(&dir.join(name), &findings, &Options { force: true }).unwrap();
    }
}

#[test]
fn metrics_that_lead_a_window_get_a_panel() {
    let mut findings = sample::incident();
    for metric in ["fds", "ctx", "errors", "threads", "calls_sync"] {
        let series = Series { metric: metric.into(), unit: "calls/s".into(), ..findings.series[4].clone() };
        findings.series.push(series);
        findings.windows[1].metrics.push(MetricShift { metric: metric.into(), ..MetricShift::default() });
    }
    findings.windows[0].metric = "calls_sync".into();
    let view = View::new(&findings);
    let shown: Vec<_> = view.panels[4..].iter().map(|panel| panel.lines[0].metric.as_str()).collect();
    assert_eq!(shown, ["calls_sync", "fds", "ctx"]);
    assert!(html(&findings).contains("id=\"fig-extra-3\""));
}

#[test]
fn what_recurs_is_shaded_each_time_and_a_call_that_fell_has_no_share() {
    let mut findings = sample::many_windows(1);
    let s = 1_000_000_000;
    let first = &mut findings.windows[0];
    let spans_ns = (0..3).map(|i| (first.start_ns + 20 * i * s, first.end_ns + 20 * i * s)).collect();
    first.recurs = Some(osd_findings::Recurrence { every_ns: 20 * s, spans_ns });
    first.syscalls = vec![osd_findings::SyscallShift { syscall: "read".into(), share: -275.18, ..Default::default() }];
    let view = View::new(&findings);
    assert_eq!(view.cards[0].again_s.len(), 2, "the first is the window itself");
    assert!((view.cards[0].again_s[0].0 - view.cards[0].from_s - 20.0).abs() < 1e-6);
    assert!(view.cards[0].calls[0].cells.contains(&"fell".to_owned()), "{:?}", view.cards[0].calls[0].cells);
    let page = html(&findings);
    assert!(page.contains("\"again\":[["), "the page knows of each");
    // Coordinates and values are full of digits: a share would have its sign and its unit.
    assert!(view.cards[0].calls[0].cells.iter().all(|cell| !cell.contains('%')), "{:?}", view.cards[0].calls[0].cells);
    for share in ["275.18", "27518", "27 518", "27\u{a0}518", "27\u{202f}518", "27.5 k"] {
        assert!(!page.contains(share), "a share of nothing is no share: {share}");
    }
}

#[test]
fn the_page_says_how_the_recording_was_read() {
    let mut findings = sample::quiet();
    for (reading, said) in [
        ("live", "It judges each moment by those before it, as it does live."),
        ("whole", "It reads the recording as a whole: a moment is judged by what came after it, too."),
        ("baselines", "What is usual comes from good.parquet."),
    ] {
        findings.detector.reading = reading.into();
        findings.detector.baselines = vec!["good.parquet".into()];
        assert!(html(&findings).contains(said), "{reading}");
    }
}
