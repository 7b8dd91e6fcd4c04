//! The directory: what is written is read back, and what cannot be a model is refused by name.

use crate::server::{Server, model};
use osd_model::Model;
use osd_model::score::Options;
use std::fs;
use std::path::Path;

fn save(model: &Model, path: &Path, force: bool) -> osd_model::Result<()> {
    model.save(path, &serde_json::json!({ "loss": [1.0, 0.5] }), &[("loss.png", vec![1, 2, 3])], force)
}

#[test]
fn a_model_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (model, path) = (model(), dir.path().join("m"));
    save(&model, &path, false).unwrap();
    let back = Model::read(&path).unwrap();
    assert_eq!(back.config, model.config);
    assert!(back.lstm == model.lstm && back.id == model.id, "weights are the same to the bit");
    // Decimal text is read to the last digit but one.
    for (back, scale) in back.scaler.0.iter().zip(&model.scaler.0) {
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-15 * b.abs();
        assert!(near(back.median, scale.median) && near(back.spread, scale.spread));
    }
    let mut files: Vec<String> =
        fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    let wanted = ["config.json", "loss.png", "metrics.json", "model.safetensors", "scaler.json", "threshold.json"];
    assert_eq!(files, wanted);
    assert_eq!(model.config.recordings.len(), 3);
    assert_eq!(model.config.recordings[0].name, "1.parquet");
    let again = dir.path().join("again");
    save(&model, &again, false).unwrap();
    for file in wanted {
        assert_eq!(fs::read(path.join(file)).unwrap(), fs::read(again.join(file)).unwrap(), "{file}");
    }
}

#[test]
fn nothing_is_overwritten_unasked_and_nothing_but_a_model_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let (model, path) = (model(), dir.path().join("m"));
    save(&model, &path, false).unwrap();
    let error = save(&model, &path, false).unwrap_err();
    assert!(error.to_string().ends_with("m exists") && error.hint().unwrap().contains("--force"));
    save(&model, &path, true).unwrap();
    // A folder of somebody's, a model with somebody's folder in it, and a link.
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("thesis"), "x").unwrap();
    let error = save(&model, &home, true).unwrap_err();
    assert!(error.to_string().ends_with("home exists and is not a model"), "{error}");
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(save(&model, &link, true).is_err() && save(&model, &dir.path().join("link/"), true).is_err());
    fs::create_dir(path.join("inside")).unwrap();
    assert!(save(&model, &path, true).is_err());
    assert_eq!(fs::read_to_string(home.join("thesis")).unwrap(), "x");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing is left beside");
    let missing = save(&model, &dir.path().join("no/such/m"), false).unwrap_err();
    assert!(missing.hint().unwrap().contains("folder above"), "{missing}");
}

/// Writes a model, lets `spoil` change it, and expects reading to say `wanted`.
fn check(spoil: &dyn Fn(&Path), wanted: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m");
    thread_local!(static MODEL: Model = model());
    MODEL.with(|m| save(m, &path, false)).unwrap();
    spoil(&path);
    let error = Model::read(&path).unwrap_err();
    let (text, hint) = (error.to_string(), error.hint());
    assert!(text.contains(wanted), "{text}, not {wanted}");
    assert!(hint.is_some() && !text.contains('\n'), "{text} / {hint:?}");
}

fn replace(file: &'static str, from: &'static str, to: &'static str) -> impl Fn(&Path) {
    move |path| {
        let text = fs::read_to_string(path.join(file)).unwrap();
        assert!(text.contains(from), "{file} has {from}");
        fs::write(path.join(file), text.replacen(from, to, 1)).unwrap();
    }
}

fn weights(change: impl Fn(&mut Vec<u8>)) -> impl Fn(&Path) {
    move |path| {
        let file = path.join("model.safetensors");
        let mut bytes = fs::read(&file).unwrap();
        change(&mut bytes);
        fs::write(&file, bytes).unwrap();
    }
}

#[test]
fn a_model_of_another_version_or_none_at_all_is_refused() {
    check(&replace("config.json", "\"format_version\": 2", "\"format_version\": 7"), "model format v7 is newer");
    check(
        &replace("config.json", "\"format_version\": 2", "\"format_version\": 1"),
        "model format v1 is of an older osd",
    );
    check(&replace("config.json", "\"format_version\": 2", "\"version\": 1"), "has no format_version");
    check(&|p| fs::remove_file(p.join("config.json")).unwrap(), "no config.json in it");
    check(&|p| drop(fs::remove_dir_all(p).and_then(|()| fs::write(p, "x"))), "it is a file, and a model is a folder");
    check(&|p| fs::remove_dir_all(p).unwrap(), "cannot open");
}

#[test]
fn a_truncated_model_is_refused() {
    check(&weights(|b| b.truncate(b.len() - 1)), "model.safetensors: no whole safetensors file");
    check(&weights(|b| b.truncate(5)), "no whole safetensors file");
    check(&weights(Vec::clear), "no whole safetensors file");
    check(&|p| fs::remove_file(p.join("model.safetensors")).unwrap(), "model.safetensors: it is missing");
    check(&|p| fs::write(p.join("scaler.json"), "[{\"name\"").unwrap(), "scaler.json: EOF");
    check(&|p| fs::remove_file(p.join("threshold.json")).unwrap(), "threshold.json: it is missing");
}

#[test]
fn weights_that_are_no_numbers_or_do_not_fit_are_refused() {
    let last = |value: f32| {
        weights(move |b| {
            let at = b.len() - 4;
            b[at..].copy_from_slice(&value.to_le_bytes());
        })
    };
    check(&last(f32::NAN), "holds a value that is not a finite number");
    check(&last(f32::INFINITY), "holds a value that is not a finite number");
    check(&replace("config.json", "\"hidden\": 48", "\"hidden\": 49"), "and config.json makes it [196, 6]");
    check(&replace("config.json", "\"layers\": 1", "\"layers\": 2"), "there is no `lstm.weight_ih_l1`");
    check(&replace("config.json", "\"hidden\": 48", "\"hidden\": 99999999999"), "must lie between 1 and 4096");
    check(&replace("config.json", "\"runq\"", "\"rings\""), "scaler.json: scales cpu");
    check(&replace("scaler.json", "\"spread\": ", "\"spread\": -"), "`cpu` has no usable scale");
    check(&replace("threshold.json", "\"sd\": ", "\"sd\": -"), "no threshold can be made of");
}

#[test]
fn a_hostile_header_asks_for_nothing() {
    // A header that claims to be 2^60 bytes long, and one whose tensor lies outside of the file.
    check(&weights(|b| b[..8].copy_from_slice(&(1_u64 << 60).to_le_bytes())), "no whole safetensors file");
    let outside = br#"{"lstm.weight_ih_l0":{"dtype":"F32","shape":[192,6],"data_offsets":[0,99999999999]}}"#;
    check(
        &weights(move |b| {
            *b = [&(outside.len() as u64).to_le_bytes()[..], &outside[..]].concat();
        }),
        "no whole safetensors file",
    );
}

#[test]
fn no_damage_is_a_panic_or_a_score_that_is_no_number() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m");
    save(&model(), &path, false).unwrap();
    let recording = Server { seed: 40, seconds: 20, ..Server::default() }.write(&dir.path().join("r.parquet"));
    let mut read = 0;
    for (n, file) in
        ["model.safetensors", "config.json", "scaler.json", "threshold.json"].into_iter().cycle().take(400).enumerate()
    {
        let whole = fs::read(path.join(file)).unwrap();
        let mut bytes = whole.clone();
        // Near the beginning, where headers are, and all over; a bit, or the end.
        let at = (n * 7_919 + n * n * 31) % if n % 3 == 0 { bytes.len() } else { bytes.len().min(900) };
        if n % 7 == 0 {
            bytes.truncate(at)
        } else {
            bytes[at] ^= 1 << (n % 8)
        }
        fs::write(path.join(file), &bytes).unwrap();
        if let Ok(model) = Model::read(&path) {
            read += 1;
            if let Ok(scored) = model.score(&recording, Options::default()) {
                assert!(scored.total.iter().all(|t| t.is_finite()), "{file}, {at}");
            }
        }
        fs::write(path.join(file), &whole).unwrap();
    }
    assert!(read > 20 && read < 380, "{read} of 400 were read all the same");
}
