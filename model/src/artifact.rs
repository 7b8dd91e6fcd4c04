//! The model as a directory, made to be read by others.
//!
//! - `config.json`: format version, features in order, interval, window, horizon, layer sizes, seed, version of osd, recordings;
//! - `model.safetensors`: weights under PyTorch's names, gates in PyTorch's order (i, f, g, o): see [`crate::artifact::weights`];
//! - `scaler.json`: median and spread of each feature;
//! - `threshold.json`: what the errors and scores are on normal data;
//! - `metrics.json`: what whoever trained measured; `loss.png` and other files of theirs.
//!
//! It is written beside its place and renamed, so that there is a whole model or none. What is read is hostile until checked.

mod folder;
pub mod weights;

use crate::features::{self, Feature};
use crate::normal::Normal;
use crate::prepare::TrainedOn;
use crate::{Error, Result};
use osd_detect::scaler::{Scale, Scaler};
use osd_lstm::{Lstm, MOST};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The model format that this crate writes and reads. Version 1 knew nothing of familiar values, and its weights got lost in a stream.
pub const FORMAT_VERSION: u32 = 2;

/// `config.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// [`FORMAT_VERSION`] of whoever wrote it.
    pub format_version: u32,
    /// Version of the osd that trained it.
    pub osd_version: String,
    /// Columns, by name.
    pub features: Vec<String>,
    /// Time between rows.
    pub interval_ns: u64,
    /// Rows that a forecast is made from in training; in scoring, rows until the first score.
    pub window: usize,
    /// Rows forecast at once.
    pub horizon: usize,
    /// Units of each layer.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Seed of the training.
    pub seed: u64,
    /// What it was trained on.
    pub recordings: Vec<TrainedOn>,
}

/// `scaler.json`: one feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ScaledFeature {
    name: String,
    unit: String,
    #[serde(flatten)]
    scale: Scale,
}

/// A trained model with all that is needed to score.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What it is.
    pub config: Config,
    /// Weights.
    pub lstm: Lstm,
    /// From units to what the weights work on.
    pub scaler: Scaler,
    /// Errors and scores on normal data.
    pub normal: Normal,
    /// Hex digits that change with any weight; scores name it.
    pub id: String,
}

/// Largest text file, and largest file of weights, that is read.
const MOST_TEXT: u64 = 16 << 20;
const MOST_WEIGHTS: u64 = 1 << 30;

impl Model {
    /// The features it sees.
    ///
    /// # Errors
    /// If this osd does not know one.
    pub fn features(&self) -> Result<Vec<&'static Feature>> {
        features::named(&self.config.features)
    }

    /// Writes the model to the folder `path`. `metrics` becomes `metrics.json`; `others` are further files, by name.
    ///
    /// # Errors
    /// If something is there already (with `force`: something that is not a model), or the disk says no. Then nothing is left behind.
    pub fn save(
        &self,
        path: &Path,
        metrics: &serde_json::Value,
        others: &[(&str, Vec<u8>)],
        force: bool,
    ) -> Result<()> {
        let scaler: Vec<ScaledFeature> = self
            .features()?
            .iter()
            .zip(&self.scaler.0)
            .map(|(f, scale)| ScaledFeature { name: f.name.into(), unit: f.unit.into(), scale: *scale })
            .collect();
        let mut files: Vec<(&str, Vec<u8>)> = vec![
            ("config.json", text(path, &self.config)?),
            ("model.safetensors", weights::encode(&self.lstm)),
            ("scaler.json", text(path, &scaler)?),
            ("threshold.json", text(path, &self.normal)?),
            ("metrics.json", text(path, metrics)?),
        ];
        files.extend(others.iter().map(|(name, bytes)| (*name, bytes.clone())));
        folder::write(path, &files, force)
    }

    /// Sees, before anything is learnt, that [`Model::save`] could write to `path`.
    ///
    /// # Errors
    /// As there.
    pub fn may_save(path: &Path, force: bool) -> Result<()> {
        folder::check(path, force)
    }

    /// Reads a model.
    ///
    /// # Errors
    /// Says which: no model, of a newer format, or a file of it is truncated, does not fit the others, or has values that are no numbers.
    pub fn read(path: &Path) -> Result<Self> {
        let file = |name: &str| path.join(name);
        let config = read_config(path)?;
        let bytes = folder::read(&file("model.safetensors"), MOST_WEIGHTS)?;
        let damaged = |name: &str, detail: String| Error::damaged(&file(name), detail);
        let sizes = (config.features.len(), config.hidden, config.layers, config.horizon);
        let lstm = weights::decode(&bytes, sizes).map_err(|e| damaged("model.safetensors", e))?;
        let scaled: Vec<ScaledFeature> = json(&file("scaler.json"))?;
        let names: Vec<&str> = scaled.iter().map(|s| s.name.as_str()).collect();
        if names != config.features.iter().map(String::as_str).collect::<Vec<_>>() {
            return Err(damaged(
                "scaler.json",
                format!("scales {}, and the model sees {}", names.join(", "), config.features.join(", ")),
            ));
        }
        if let Some(bad) =
            scaled.iter().find(|s| !(s.scale.median.is_finite() && s.scale.spread.is_finite() && s.scale.spread > 0.0))
        {
            return Err(damaged("scaler.json", format!("`{}` has no usable scale", bad.name)));
        }
        let normal: Normal = json(&file("threshold.json"))?;
        normal.check(config.features.len()).map_err(|e| damaged("threshold.json", e))?;
        let model = Self {
            id: weights::id(&lstm),
            scaler: Scaler(scaled.into_iter().map(|s| s.scale).collect()),
            config,
            lstm,
            normal,
        };
        model.features()?;
        Ok(model)
    }
}

fn text(path: &Path, value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::damaged(path, e))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&folder::read(path, MOST_TEXT)?).map_err(|e| Error::damaged(path, e))
}

fn read_config(path: &Path) -> Result<Config> {
    let file = path.join("config.json");
    let not = |detail: &str| Error::NotAModel { path: path.to_owned(), detail: detail.into() };
    let kind = std::fs::metadata(path).map_err(Error::io("open", path))?;
    if !kind.is_dir() {
        return Err(not("it is a file, and a model is a folder"));
    }
    if !file.is_file() {
        return Err(not("there is no config.json in it"));
    }
    let value: BTreeMap<String, serde_json::Value> = json(&file)?;
    match value.get("format_version").and_then(serde_json::Value::as_u64) {
        None | Some(0) => return Err(not("its config.json has no format_version")),
        // Before anything else of it is looked at: a later format may mean anything by it.
        Some(found) if found > u64::from(FORMAT_VERSION) => {
            return Err(Error::NewerFormat { path: path.to_owned(), found, max: FORMAT_VERSION });
        }
        Some(found) if found < u64::from(FORMAT_VERSION) => {
            return Err(Error::OlderFormat { path: path.to_owned(), found, wanted: FORMAT_VERSION });
        }
        Some(_) => {}
    }
    let config: Config = serde_json::from_value(serde_json::Value::Object(value.into_iter().collect()))
        .map_err(|e| Error::damaged(&file, e))?;
    let sane = |n: usize| (1..=MOST).contains(&n);
    if !(sane(config.features.len()) && sane(config.hidden) && sane(config.horizon) && sane(config.layers)) {
        return Err(Error::damaged(&file, "features, hidden, layers and horizon must lie between 1 and 4096"));
    }
    if config.interval_ns == 0 || !(1..=1_000_000).contains(&config.window) {
        return Err(Error::damaged(&file, "interval_ns and window must be above 0, and window at most a million"));
    }
    Ok(config)
}
