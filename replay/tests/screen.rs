//! The screen, drawn into cells that nobody sees: what a key does to it, and what it looks like.

use osd_recording::{Kind, Recording};
use osd_replay::pace::{Pace, Speed};
use osd_replay::rows::{Cursor, Wanted};
use osd_replay::screen::{self, CallRow, FileRow, Finding, Gather, Key, Lives, Moment, ProcessRow, State};
use osd_synth::{START_NS, Synth};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};

const S: i64 = 1_000_000_000;

fn state() -> State {
    let pace = Pace::new(0..600 * S, Speed::Times(1.0), false, 0);
    let mut state = State::new("osd replay run.parquet".into(), pace, S / 10);
    state.judged_ns = 600 * S;
    let finding = |start: i64, sentence: &str| Finding {
        id: start as u64,
        start_ns: start * S,
        end_ns: Some((start + 2) * S),
        sentence: sentence.into(),
    };
    state.findings = vec![
        finding(8, "CPU 1.90 cores, usually 0.21; most by burn/77 on 0.98 cores"),
        finding(40, "Failed calls 9 800 calls/s, usually 3; most by sh/81"),
    ];
    state
}

fn moment() -> Moment {
    let process = |pid: u32, ppid, comm: &str, cores, rss_bytes, calls_per_s| ProcessRow {
        pid,
        ppid,
        comm: comm.into(),
        cores,
        rss_bytes,
        threads: 2,
        calls_per_s,
    };
    let call = |name: &str, per_s, errors_per_s, p99: Option<f64>| CallRow {
        name: name.into(),
        per_s,
        errors_per_s,
        p50_ns: p99.map(|ns| ns / 10.0),
        p99_ns: p99,
        spark: (0..12).map(|i| f64::from(i % 5)).collect(),
    };
    Moment {
        at_ns: 10 * S,
        step_ns: S / 10,
        strip: (0..100)
            .map(|i| {
                (
                    i * S / 10,
                    [Some(0.2 + 0.02 * i as f64), Some(5e7 + 1e5 * i as f64), (i > 50).then_some(1e3), Some(4e3)],
                )
            })
            .collect(),
        processes: vec![
            process(10, 1, "nginx", 0.5, 80 << 20, 1_200.0),
            process(12, 10, "worker", 0.2, 300 << 20, 4_000.0),
            process(11, 10, "evil\x1b[2J\nname", 1.25, 1 << 20, 3.0),
        ],
        calls: vec![
            call("epoll_wait", 4_000.0, 0.0, Some(4.0e6)),
            call("openat", 120.0, 60.0, Some(9_000.0)),
            call("futex", 1.0, 0.0, None),
        ],
        files: vec![
            FileRow { path: "/etc/hosts".into(), per_s: 60.0 },
            FileRow { path: "/tmp/\x07x".into(), per_s: 1.0 },
        ],
    }
}

fn time(ns: i64) -> String {
    format!("{:02}:{:02}.{}", ns / S / 60, ns / S % 60, ns % S * 10 / S)
}

fn drawn(state: &State, moment: &Moment, (width, height): (u16, u16), color: bool) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen::draw(frame, state, moment, moment.at_ns, color, &time)).unwrap();
    terminal
}

fn text(terminal: &Terminal<TestBackend>) -> String {
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(buffer.area.width.into());
    let row = |cells: &[ratatui::buffer::Cell]| {
        cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()
    };
    rows.map(row).collect::<Vec<_>>().join("\n")
}

fn press(state: &mut State, keys: &[Key]) {
    keys.iter().for_each(|key| {
        state.press(*key, 0, &|_| None);
    });
}

#[test]
fn it_fits_into_80_by_24() {
    insta::assert_snapshot!(text(&drawn(&state(), &moment(), (80, 24), false)));
}

#[test]
fn a_large_terminal_shows_more() {
    insta::assert_snapshot!(text(&drawn(&state(), &moment(), (132, 40), true)));
}

#[test]
fn a_terminal_that_is_too_small_is_told_so() {
    let told = text(&drawn(&state(), &moment(), (20, 5), false));
    assert!(told.contains("20x5") && told.replace('\n', " ").contains("60x16"), "{told}");
    drawn(&state(), &moment(), (1, 1), false);
}

#[test]
fn the_help_and_a_filter_and_a_tree() {
    let mut state = state();
    press(&mut state, &[Key::Char('?')]);
    insta::assert_snapshot!("help", text(&drawn(&state, &moment(), (80, 24), false)));
    press(&mut state, &[Key::Esc, Key::Char('t'), Key::Char('s')]);
    insta::assert_snapshot!("tree", text(&drawn(&state, &moment(), (80, 24), false)));
    press(&mut state, &[Key::Char('/'), Key::Char('w'), Key::Char('o'), Key::Enter]);
    let filtered = text(&drawn(&state, &moment(), (80, 24), false));
    assert!(filtered.contains("worker") && !filtered.contains("epoll_wait"), "{filtered}");
    assert!(filtered.contains("only names with `wo`"), "{filtered}");
}

#[test]
fn hostile_names_do_not_act_and_do_not_break_a_row() {
    let drawn = text(&drawn(&state(), &moment(), (132, 40), true));
    assert!(!drawn.contains(['\x1b', '\x07']), "{drawn:?}");
    assert_eq!(drawn.lines().count(), 40);
}

#[test]
fn findings_are_shaded_by_colour_or_reversed_without_it() {
    let shaded = |color: bool, is: &dyn Fn(&ratatui::buffer::Cell) -> bool| {
        let terminal = drawn(&state(), &moment(), (130, 24), color);
        let buffer = terminal.backend().buffer();
        // The first row of the strip.
        (0..130).filter(|x| is(&buffer[(*x, 1)])).count()
    };
    // Two seconds of a finding are twenty bins.
    assert_eq!(shaded(true, &|cell| cell.bg == Color::Yellow), 20);
    assert_eq!(shaded(false, &|cell| cell.modifier.contains(Modifier::REVERSED)), 20);
    let colours = |color: bool| {
        let terminal = drawn(&state(), &moment(), (130, 24), color);
        terminal.backend().buffer().content().iter().any(|c| c.fg != Color::Reset || c.bg != Color::Reset)
    };
    assert!(colours(true) && !colours(false), "without colour there is none");
}

#[test]
fn what_is_shown_of_a_moment_is_what_the_recording_says_of_that_second() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.parquet");
    Synth { duration_s: 20, syscalls_per_s: 1_000, fault_s: Some((12, 15)), ..Synth::default() }.write(&path).unwrap();
    let recording = Recording::open(&path).unwrap();
    let at_ns = START_NS + 14 * S;
    let mut lives = Lives::default();
    let mut gather = Gather::new(recording.metadata(), at_ns - 5 * S, at_ns);
    let mut cursor =
        Cursor::new(vec![recording.clone()], Wanted { begin_in: Some(START_NS..at_ns + 1), ..Wanted::default() });
    while let Some(block) = cursor.next_until(at_ns).unwrap() {
        if block.kind == Kind::Process {
            lives.block(&block).unwrap();
        }
        gather.block(&block).unwrap();
    }
    let moment = gather.moment(40, &lives);
    assert_eq!(moment.strip.len(), 40);
    assert_eq!(moment.strip[39].0, at_ns - S / 10);
    assert_eq!((moment.processes.len(), moment.processes[0].comm.as_str()), (1, "synthd"));
    // In the fault there are two flushes for each call of the quiet server.
    assert_eq!(moment.calls[0].name, "fsync");
    assert!((1_700.0..2_400.0).contains(&moment.calls[0].per_s), "{:?}", moment.calls[0]);
    assert!(moment.calls[0].p50_ns < moment.calls[0].p99_ns && moment.calls[0].spark.len() == 12);
    assert!(moment.files[0].path.starts_with("/srv/data/"));
    let cpu = moment.strip[39].1[0].unwrap();
    assert!((cpu - moment.processes[0].cores).abs() < 0.1, "{cpu} {:?}", moment.processes[0]);
}
