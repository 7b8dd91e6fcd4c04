//! Made-up series whose relations are known, learnt and checked: what breaks is found, what does
//! not is not, and the same comes out every time.

use super::*;
use osd_detect::rng::Rng;
use osd_findings::{BrokenBy, Relations};

fn history(names: &[&str], values: Vec<Vec<f64>>) -> History {
    let metrics = names.iter().map(|n| Named { name: (*n).to_owned(), unit: String::new() }).collect();
    History { step_ns: 1_000_000_000, metrics, stretches: vec![Stretch { start_ns: 0, values }] }
}

/// A load that wanders between 0 and 1.
fn load(rng: &mut Rng, n: usize) -> Vec<f64> {
    let mut level = 0.0_f64;
    let wander = (0..n).map(|_| {
        level = 0.9 * level + 0.35 * rng.normal();
        1.0 / (1.0 + (-level).exp())
    });
    wander.collect()
}

fn noisy(rng: &mut Rng, values: &[f64], f: impl Fn(f64) -> f64, noise: f64) -> Vec<f64> {
    values.iter().map(|v| f(*v) + noise * rng.normal()).collect()
}

/// x, y = 2x, and z that goes with both.
fn three(seed: u64, n: usize) -> Vec<Vec<f64>> {
    let mut rng = Rng(seed);
    let x = load(&mut rng, n);
    let y = noisy(&mut rng, &x, |v| 2.0 * v, 0.05);
    let z = noisy(&mut rng, &x, |v| 5.0 - v, 0.05);
    vec![x, y, z]
}

const XYZ: [&str; 3] = ["x", "y", "z"];

fn fit(history: &History, settings: &Settings) -> Model {
    learn(history, settings, vec!["normal".to_owned()]).unwrap()
}

fn checked(model: &Model, history: &History) -> Relations {
    check(model, history, vec![], false).unwrap()
}

fn spans(r: &Relations) -> Vec<(i64, i64)> {
    r.episodes.iter().map(|e| (e.start_ns / 1_000_000_000, e.end_ns / 1_000_000_000)).collect()
}

fn shown(r: &Relations) -> String {
    let all = r.episodes.iter().zip(spans(r));
    all.map(|(e, s)| format!("{s:?} {:?} x{:.2} {} moved {:?}\n", e.by, e.severity, e.sentence, e.moved)).collect()
}

/// x, y and z of which y is that of another time from 300 to 400: each by itself is what it always is.
fn decoupled() -> Vec<Vec<f64>> {
    let mut values = three(2, 600);
    let other = three(3, 600)[1].clone();
    values[1][300..400].copy_from_slice(&other[300..400]);
    values
}

/// §G (i): the marginals stay what they were, and only together they are wrong.
#[test]
fn a_pair_that_decouples_is_told_though_each_metric_is_as_ever() {
    let model = fit(&history(&XYZ, three(1, 1_500)), &Settings::default());
    assert_eq!(model.relations().len(), 3);
    let values = decoupled();
    let r = checked(&model, &history(&XYZ, values.clone()));
    assert!(!r.episodes.is_empty(), "{}", r.sentence);
    let (from, to) = (spans(&r)[0].0, spans(&r).last().unwrap().1);
    assert!((300..320).contains(&from) && (380..415).contains(&to), "{}", shown(&r));
    let first = &r.episodes[0];
    assert_eq!(
        (first.by, first.metrics[0].metric.as_str(), first.metrics[0].of),
        (BrokenBy::Pairs, "y", 2),
        "{first:#?}"
    );
    // The move that is told is one of those that were made, and it is unfit.
    let t = &first.pairs[0].transition;
    let at = usize::try_from(t.ts_ns / 1_000_000_000).unwrap();
    let a = XYZ.iter().position(|n| *n == first.pairs[0].a).unwrap();
    let b = XYZ.iter().position(|n| *n == first.pairs[0].b).unwrap();
    assert_eq!((t.from, t.to), ((values[a][at - 1], values[b][at - 1]), (values[a][at], values[b][at])));
    assert!((290..400).contains(&at) && t.fitness < 0.7 && first.pairs[0].a == "y", "{t:?}");
    let cell = t.to_cell.unwrap();
    assert!((cell[0]..=cell[1]).contains(&t.to.0) && (cell[2]..=cell[3]).contains(&t.to.1), "{t:?}");
}

/// The same by the moves alone, as published: the fitness falls, by less.
#[test]
fn fitness_falls_also_as_published() {
    let fall = |published: bool| {
        let model = fit(&history(&XYZ, three(1, 1_500)), &Settings { published, ..Settings::default() });
        let r = checked(&model, &history(&XYZ, decoupled()));
        let mean =
            |from: usize, to: usize| r.fitness[from..to].iter().filter_map(|f| f.1).sum::<f64>() / (to - from) as f64;
        mean(50, 300) - mean(310, 400)
    };
    let (published, smoothed) = (fall(true), fall(false));
    assert!(published > 0.01 && smoothed > 2.0 * published, "{published} {smoothed}");
}

/// A metric that is stuck in a place where it may be, while the others go on.
#[test]
fn a_metric_that_is_stuck_is_told_for_as_long_as_it_is() {
    let model = fit(&history(&XYZ, three(1, 1_500)), &Settings::default());
    let mut values = three(5, 600);
    // A value that it often has: a busy moment goes on for ever.
    let stuck = 1.5;
    values[1][300..420].fill(stuck);
    let r = checked(&model, &history(&XYZ, values));
    let covered: i64 = spans(&r).iter().map(|(from, to)| to.min(&430) - from.max(&300)).filter(|s| *s > 0).sum();
    assert!(covered > 60 && spans(&r).iter().all(|s| s.0 >= 295 && s.1 <= 440), "{}", shown(&r));
}

/// §G (ii).
#[test]
fn a_relation_need_not_be_a_line() {
    let square = |seed: u64, n: usize| {
        let mut rng = Rng(seed);
        let x: Vec<f64> = load(&mut rng, n).iter().map(|v| 2.0 * v - 1.0).collect();
        let y = noisy(&mut rng, &x, |v| v * v, 0.02);
        vec![x, y]
    };
    let model = fit(&history(&XYZ[..2], square(1, 2_000)), &Settings::default());
    let (_, _, correlation, information, usual) = model.relations()[0];
    assert!(correlation.abs() < 0.3 && information > 0.2 && usual > 0.8, "{correlation} {information} {usual}");
    let mut values = square(2, 600);
    assert_eq!(spans(&checked(&model, &history(&XYZ[..2], values.clone()))), []);
    values[1][300..380].iter_mut().for_each(|v| *v = 1.0 - *v);
    let r = checked(&model, &history(&XYZ[..2], values));
    assert!(spans(&r).first().is_some_and(|s| (300..320).contains(&s.0)), "{}", shown(&r));
}

/// Three groups of four metrics, each of which follows a load of its own.
fn groups(seed: u64, n: usize) -> (Vec<String>, Vec<Vec<f64>>) {
    let mut rng = Rng(seed);
    let mut values = vec![];
    for _ in 0..3 {
        let own = load(&mut rng, n);
        values.extend((0..4).map(|i| noisy(&mut rng, &own, |v| f64::from(i + 1) * v, 0.05 * f64::from(i + 1))));
    }
    ((0..12).map(|i| format!("g{}.m{}", i / 4 + 1, i % 4)).collect(), values)
}

/// §G (iii).
#[test]
fn a_group_whose_regime_shifts_relabels_and_no_other_does() {
    let (names, values) = groups(1, 3_000);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let model = fit(&history(&names, values), &Settings::default());
    let found = model.groups().unwrap();
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 4], "{found:?}");
    assert!(found.iter().all(|g| g.iter().all(|m| m[..2] == g[0][..2])), "{found:?}");
    let (_, mut values) = groups(2, 900);
    // The second group stays at the upper end of what it was, all of it together.
    for (i, column) in values.iter_mut().enumerate().skip(4).take(4) {
        let mut rng = Rng(70 + i as u64);
        let scale = f64::from(i as u32 - 3);
        column[400..700].iter_mut().for_each(|v| *v = scale * (0.93 + 0.02 * rng.normal()));
    }
    let r = checked(&model, &history(&names, values));
    let mut moved: Vec<&str> = r.episodes.iter().flat_map(|e| &e.moved).map(|m| m.metric.as_str()).collect();
    moved.sort_unstable();
    moved.dedup();
    assert_eq!(moved, ["g2.m0", "g2.m1", "g2.m2", "g2.m3"], "{}", shown(&r));
    assert!(spans(&r).iter().all(|s| s.1 > 400 && s.0 < 760), "{}", shown(&r));
}

/// §G (iv).
#[test]
fn what_is_white_noise_is_related_to_nothing_and_alarms_nobody() {
    let noise = |seed: u64, n: usize| (0..6).map(|i| noisy(&mut Rng(seed + i), &vec![0.0; n], |v| v, 1.0)).collect();
    let names = ["a", "b", "c", "d", "e", "f"];
    let failed = learn(&history(&names, noise(10, 1_000)), &Settings::default(), vec![]).unwrap_err();
    assert!(matches!(failed, Error::Unrelated { metrics: 6 }), "{failed}");
    // Beside a relation, too: nothing is related to noise, and nothing is said of it.
    let mut values = three(1, 1_500);
    values.push(noisy(&mut Rng(99), &vec![0.0; 1_500], |v| v, 1.0));
    let model = fit(&history(&["x", "y", "z", "noise"], values), &Settings::default());
    assert_eq!(model.unrelated, ["noise"]);
    let mut values = three(2, 600);
    values.push(noisy(&mut Rng(98), &vec![0.0; 600], |v| v, 9.0));
    let r = checked(&model, &history(&["x", "y", "z", "noise"], values));
    assert_eq!(spans(&r), [], "{}", shown(&r));
}

/// §G (v).
#[test]
fn a_level_that_shifts_with_its_relation_breaks_no_pair() {
    let model = fit(&history(&XYZ, three(1, 2_000)), &Settings::default());
    let mut rng = Rng(7);
    // From low to high in one step, and somewhat past the edge of what was learnt.
    for high in [0.85, 1.02] {
        let x: Vec<f64> = (0..600).map(|t| if t < 300 { 0.2 } else { high } + 0.02 * rng.normal()).collect();
        let y = noisy(&mut rng, &x, |v| 2.0 * v, 0.05);
        let z = noisy(&mut rng, &x, |v| 5.0 - v, 0.05);
        let r = checked(&model, &history(&XYZ, vec![x, y, z]));
        assert!(r.episodes.iter().all(|e| e.by != BrokenBy::Pairs), "{}", shown(&r));
    }
}

/// §G (vi), and the same over more processors than this machine has.
#[test]
fn the_same_history_gives_the_same_model_and_the_same_answer() {
    let (names, values) = groups(1, 1_200);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let learnt = || fit(&history(&names, values.clone()), &Settings::default());
    let (a, b) = (learnt(), learnt());
    assert_eq!(a, b);
    let (_, fresh) = groups(2, 600);
    assert_eq!(checked(&a, &history(&names, fresh.clone())), checked(&b, &history(&names, fresh)));
}

/// A rate of false alarms is stated: one an hour, for the pairs and for all together. Over ten hours, some, and not dozens.
#[test]
fn normal_hours_have_few_alarms() {
    let (names, values) = groups(1, 3_600);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let model = fit(&history(&names, values), &Settings::default());
    let n: usize = (0..10).map(|h| checked(&model, &history(&names, groups(100 + h, 3_600).1)).episodes.len()).sum();
    assert!(n <= 20, "{n} in ten hours");
}

#[test]
fn points_that_come_one_by_one_are_judged_as_a_whole_history_is() {
    let model = fit(&history(&XYZ, three(1, 1_000)), &Settings::default());
    let values = three(4, 200);
    let r = checked(&model, &history(&XYZ, values.clone()));
    let mut watch = Watch::new(&model, XYZ.into_iter(), false);
    for (t, (_, fitness)) in r.fitness.iter().enumerate() {
        let moment = watch.push(&[values[0][t], values[1][t], values[2][t]]);
        assert_eq!(moment.fitness, *fitness);
    }
}

#[test]
fn what_goes_on_learning_gets_used_to_what_is_new() {
    let model = fit(&history(&XYZ, three(1, 1_500)), &Settings::default());
    let mut values = three(2, 3_000);
    // From now on y is something else, for good.
    values[1][500..].iter_mut().for_each(|v| *v = 2.0 - *v);
    let late = |adapt: bool| {
        let r = check(&model, &history(&XYZ, values.clone()), vec![], adapt).unwrap();
        let late =
            r.episodes.iter().map(|e| (e.end_ns / 1_000_000_000 - (e.start_ns / 1_000_000_000).max(2_000)).max(0));
        late.sum::<i64>()
    };
    assert!(late(false) > 700 && late(true) < 100, "{} {}", late(false), late(true));
}

#[test]
fn gaps_constants_and_strangers_cost_nothing_but_what_they_hide() {
    let mut values = three(1, 1_500);
    values.push(vec![7.0; 1_500]);
    values.push(vec![f64::NAN; 1_500]);
    for t in (0..1_500).filter(|t| t % 97 < 5) {
        values[1][t] = f64::NAN;
    }
    values[2][300] = f64::INFINITY;
    let names = ["x", "y", "z", "constant", "never"];
    let model = fit(&history(&names, values), &Settings::default());
    assert_eq!(
        (model.constant.as_slice(), model.relations().len()),
        (["constant".to_owned(), "never".to_owned()].as_slice(), 3)
    );
    // Another order, a metric less, and one that the model does not know.
    let fresh = three(2, 300);
    let r = checked(&model, &history(&["new", "z", "x"], vec![vec![1.0; 300], fresh[2].clone(), fresh[0].clone()]));
    assert_eq!((r.missing.as_slice(), r.episodes.len()), (["y".to_owned()].as_slice(), 0), "{}", shown(&r));
    assert!(r.notes[0].contains("1 of the 3 metrics") && r.notes[0].contains("2 of 3 relations"), "{:?}", r.notes);
    // Nothing that it knows; nothing at all; one point; nothing but gaps.
    let failed = check(&model, &history(&["new"], vec![vec![1.0; 9]]), vec![], false).unwrap_err();
    assert!(failed.to_string().contains("x, y, z") && failed.hint().is_some(), "{failed}");
    for n in [0, 1] {
        let r = checked(&model, &history(&XYZ, three(3, n)));
        assert!(r.episodes.is_empty() && r.sentence.starts_with("nothing could be judged"), "{}", r.sentence);
    }
    let r = checked(&model, &history(&XYZ, vec![vec![f64::NAN; 50]; 3]));
    assert!(r.episodes.is_empty() && r.notes[0].contains("3 relations could not be judged"), "{r:?}");
    let failed = learn(&history(&XYZ, three(1, 30)), &Settings::default(), vec![]).unwrap_err();
    assert!(matches!(failed, Error::TooShort { found: 30, .. }), "{failed}");
}

#[test]
fn a_model_is_a_file_that_comes_back_and_another_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let model = fit(&history(&XYZ, three(1, 1_000)), &Settings::default());
    let path = model.write(dir.path(), false).unwrap();
    let read = Model::read(dir.path()).unwrap();
    let names =
        |m: &Model| m.relations().iter().map(|r| format!("{} {} {:.9} {:.9}", r.0, r.1, r.2, r.4)).collect::<Vec<_>>();
    assert_eq!((names(&read), &read.settings), (names(&model), &model.settings));
    assert_eq!(Model::read(&path).unwrap(), read);
    let fresh = history(&XYZ, three(2, 300));
    assert_eq!(spans(&checked(&read, &fresh)), spans(&checked(&model, &fresh)));
    assert!(matches!(model.write(dir.path(), false), Err(Error::Recording(_))), "nothing is replaced unasked");
    let text = std::fs::read_to_string(&path).unwrap();
    // A line a relation.
    assert_eq!(text.lines().filter(|l| l.starts_with("{\"a\":")).count(), 3);
    let long = "9".repeat(30);
    for (from, to, wanted) in [
        ("\"osd_relations\": 1", "\"osd_relations\": 2", "a model of version 2, and this osd reads version 1"),
        ("\"osd_relations\": 1", "\"other\": 1", "which is its version"),
        ("\"a\":0,\"b\":1", "\"a\":0,\"b\":7", "of metrics 0 and 7, of 3"),
        ("\"decay\":2.0", "\"decay\":1.0", "`decay` of its settings is out of range"),
        ("\"edges\":[", "\"edges\":[1e9,", "the edges of x do not ascend"),
        ("\"moves\":{", "\"moves\":{\"4000000\":[[1,1]],", "has moves outside its grid"),
        ("\"points\": 1000", long.as_str(), "no model of relations"),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let failed = Model::read(dir.path()).unwrap_err();
        assert!(failed.to_string().contains(wanted) && failed.hint().is_some(), "{to}: {failed}");
    }
    assert!(Model::read(&dir.path().join("nowhere")).unwrap_err().hint().unwrap().contains("osd relations fit"));
}
