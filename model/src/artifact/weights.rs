//! Weights as safetensors, under the names that PyTorch gives them.
//!
//! With `H` units and `I` inputs: `lstm.weight_ih_l0` of shape `4H, I`, `lstm.weight_hh_l0` of `4H, H`, `lstm.bias_ih_l0` and
//! `lstm.bias_hh_l0` of `4H`, the same with `_l1` and so on, `head.weight` of `horizon * metrics, H`, `head.bias` of `horizon * metrics`;
//! F32, row-major. The rows of a gate matrix are the gates i, f, g, o, as in `torch.nn.LSTM`; the rows of the head are step after step,
//! in each its metrics.
//!
//! The file is the length of a JSON header, the header and the numbers, little-endian throughout
//! (<https://github.com/huggingface/safetensors>); written here, because the crate for it changes features of serde below all of DataFusion.

use osd_lstm::{Layer, Lstm};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the header says of one tensor.
#[derive(Serialize, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    /// First byte and the one after the last, from the end of the header.
    data_offsets: [usize; 2],
}

/// Names and shapes of a layer's matrices, in the order of [`Layer`]'s fields.
fn shapes(layer: usize, input: usize, hidden: usize) -> [(String, Vec<usize>); 4] {
    let gates = 4 * hidden;
    [
        (format!("lstm.weight_ih_l{layer}"), vec![gates, input]),
        (format!("lstm.weight_hh_l{layer}"), vec![gates, hidden]),
        (format!("lstm.bias_ih_l{layer}"), vec![gates]),
        (format!("lstm.bias_hh_l{layer}"), vec![gates]),
    ]
}

/// The file's bytes; the same for the same weights.
pub fn encode(lstm: &Lstm) -> Vec<u8> {
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let mut body: Vec<u8> = vec![];
    let mut add = |(name, shape): (String, Vec<usize>), values: &[f32]| {
        let start = body.len();
        body.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        entries.insert(name, Entry { dtype: "F32".into(), shape, data_offsets: [start, body.len()] });
    };
    for (l, layer) in lstm.layers.iter().enumerate() {
        let values = [&layer.w_ih, &layer.w_hh, &layer.b_ih, &layer.b_hh];
        shapes(l, layer.input, layer.hidden).into_iter().zip(values).for_each(|(named, values)| add(named, values));
    }
    let outputs = lstm.horizon * lstm.metrics;
    add(("head.weight".into(), vec![outputs, lstm.hidden()]), &lstm.head_weight);
    add(("head.bias".into(), vec![outputs]), &lstm.head_bias);
    let mut header = serde_json::to_vec(&entries).expect("names and numbers are JSON");
    // Spaces, so that the numbers begin at a multiple of their size.
    header.resize(header.len().next_multiple_of(8), b' ');
    [&(header.len() as u64).to_le_bytes()[..], &header, &body].concat()
}

/// Header and numbers of a file.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// The weights in `bytes`, of a model of so many metrics, units, layers and steps.
pub(crate) fn decode(
    bytes: &[u8],
    (metrics, hidden, n_layers, horizon): (usize, usize, usize, usize),
) -> Result<Lstm, String> {
    let (header, body) = split(bytes).ok_or("no whole safetensors file: it ends within its header")?;
    let mut entries: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).map_err(|e| format!("no whole safetensors file: {e}"))?;
    entries.remove("__metadata__");
    let wanted = n_layers * 4 + 2;
    if entries.len() > wanted {
        return Err(format!("{} tensors, and {n_layers} layers have {wanted}", entries.len()));
    }
    let mut read = |(name, shape): (String, Vec<usize>)| {
        let entry = entries.remove(&name).ok_or_else(|| format!("there is no `{name}`"))?;
        let entry: Entry = serde_json::from_value(entry).map_err(|e| format!("`{name}`: {e}"))?;
        if entry.dtype != "F32" {
            return Err(format!("`{name}` is of type {}, and F32 is read", entry.dtype));
        }
        if entry.shape != shape {
            return Err(format!("`{name}` has shape {:?}, and config.json makes it {shape:?}", entry.shape));
        }
        let [start, end] = entry.data_offsets;
        let data = body.get(start..end).filter(|d| d.len() == 4 * shape.iter().product::<usize>());
        let data = data.ok_or_else(|| format!("no whole safetensors file: `{name}` does not lie in it"))?;
        Ok(data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect::<Vec<f32>>())
    };
    let mut layers = vec![];
    for l in 0..n_layers {
        let input = if l == 0 { metrics } else { hidden };
        let [ih, hh, b_ih, b_hh] = shapes(l, input, hidden);
        layers.push(Layer { input, hidden, w_ih: read(ih)?, w_hh: read(hh)?, b_ih: read(b_ih)?, b_hh: read(b_hh)? });
    }
    let outputs = horizon * metrics;
    let head = read(("head.weight".into(), vec![outputs, hidden]))?;
    let bias = read(("head.bias".into(), vec![outputs]))?;
    Lstm::new(layers, head, bias, metrics, horizon).map_err(|e| e.to_string())
}

/// Sixteen hex digits that change with any weight (FNV-1a): a name, no protection.
pub fn id(lstm: &Lstm) -> String {
    let layers = lstm.layers.iter().flat_map(|l| [&l.w_ih, &l.w_hh, &l.b_ih, &l.b_hh]);
    let all = layers.chain([&lstm.head_weight, &lstm.head_bias]).flatten();
    let add = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = all.fold(0xcbf2_9ce4_8422_2325, |hash, v| v.to_le_bytes().into_iter().fold(hash, add));
    format!("{hash:016x}")
}
