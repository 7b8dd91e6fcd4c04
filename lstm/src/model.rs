//! The weights of a forecaster, and whether they fit each other.

/// Most metrics, units of a layer and steps of a forecast. Beyond lies no model of osd but a broken or hostile file.
pub const MOST: usize = 4_096;
/// Most layers.
pub const MOST_LAYERS: usize = 16;
/// Largest weight: with larger ones sums might not be finite.
pub const MOST_WEIGHT: f32 = 1e6;

/// One layer. Matrices are row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Width of what comes in: the metrics, or the units of the layer below.
    pub input: usize,
    /// Units.
    pub hidden: usize,
    /// `[4 * hidden, input]`, gates in the order i, f, g, o.
    pub w_ih: Vec<f32>,
    /// `[4 * hidden, hidden]`.
    pub w_hh: Vec<f32>,
    /// `[4 * hidden]`.
    pub b_ih: Vec<f32>,
    /// `[4 * hidden]`. It only ever adds to `b_ih`; PyTorch keeps both.
    pub b_hh: Vec<f32>,
}

/// A forecaster of the next `horizon` rows of a series of `metrics`.
#[derive(Clone, Debug, PartialEq)]
pub struct Lstm {
    /// From the input up.
    pub layers: Vec<Layer>,
    /// `[horizon * metrics, hidden of the last layer]`; row `step * metrics + metric`.
    pub head_weight: Vec<f32>,
    /// `[horizon * metrics]`.
    pub head_bias: Vec<f32>,
    /// Columns of the series.
    pub metrics: usize,
    /// Rows forecast at once; the first of them is the next row.
    pub horizon: usize,
}

/// Why numbers are not a model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// A matrix of another size than the layers around it need.
    #[error("{what} has {found} values, and {wanted} fit")]
    Shape {
        /// PyTorch's name of the matrix.
        what: String,
        /// Values given.
        found: usize,
        /// Values that fit.
        wanted: usize,
    },
    /// A weight that is infinite or not a number.
    #[error("{what} holds a value that is not a finite number")]
    NotFinite {
        /// PyTorch's name of the matrix.
        what: String,
    },
    /// A weight beyond [`MOST_WEIGHT`].
    #[error("{what} holds {value:e}, and no weight that was trained is beyond {MOST_WEIGHT:e}")]
    Huge {
        /// PyTorch's name of the matrix.
        what: String,
        /// The weight.
        value: f32,
    },
    /// A size that is zero, or beyond [`MOST`] or [`MOST_LAYERS`].
    #[error("{found} {what}, and 1 to {most} are possible")]
    Size {
        /// Of what.
        what: &'static str,
        /// Given.
        found: usize,
        /// Most.
        most: usize,
    },
}

fn size(what: &'static str, found: usize, most: usize) -> Result<(), Unfit> {
    if (1..=most).contains(&found) { Ok(()) } else { Err(Unfit::Size { what, found, most }) }
}

fn matrix(what: &str, layer: Option<usize>, values: &[f32], wanted: usize) -> Result<(), Unfit> {
    let name = || layer.map_or_else(|| what.to_owned(), |l| format!("{what}_l{l}"));
    if values.len() != wanted {
        return Err(Unfit::Shape { what: name(), found: values.len(), wanted });
    }
    if values.iter().any(|v| !v.is_finite()) {
        return Err(Unfit::NotFinite { what: name() });
    }
    match values.iter().find(|v| v.abs() > MOST_WEIGHT) {
        Some(value) => Err(Unfit::Huge { what: name(), value: *value }),
        None => Ok(()),
    }
}

impl Lstm {
    /// A model of these parts.
    ///
    /// # Errors
    /// [`Unfit`] if they do not fit each other, or a weight is not finite.
    pub fn new(
        layers: Vec<Layer>,
        head_weight: Vec<f32>,
        head_bias: Vec<f32>,
        metrics: usize,
        horizon: usize,
    ) -> Result<Self, Unfit> {
        let lstm = Self { layers, head_weight, head_bias, metrics, horizon };
        lstm.check()?;
        Ok(lstm)
    }

    /// Whether the parts fit each other and are finite.
    ///
    /// # Errors
    /// [`Unfit`], naming the first that is not.
    pub fn check(&self) -> Result<(), Unfit> {
        size("metrics", self.metrics, MOST)?;
        size("steps of a forecast", self.horizon, MOST)?;
        size("layers", self.layers.len(), MOST_LAYERS)?;
        let mut below = self.metrics;
        for (l, layer) in self.layers.iter().enumerate() {
            size("units of a layer", layer.hidden, MOST)?;
            let gates = 4 * layer.hidden;
            // What a layer says of its input must be what the one below gives.
            matrix("lstm.weight_ih", Some(l), &layer.w_ih, gates * below)?;
            if layer.input != below {
                return Err(Unfit::Shape {
                    what: format!("the input of layer {l}"),
                    found: layer.input,
                    wanted: below,
                });
            }
            matrix("lstm.weight_hh", Some(l), &layer.w_hh, gates * layer.hidden)?;
            matrix("lstm.bias_ih", Some(l), &layer.b_ih, gates)?;
            matrix("lstm.bias_hh", Some(l), &layer.b_hh, gates)?;
            below = layer.hidden;
        }
        let outputs = self.horizon * self.metrics;
        matrix("head.weight", None, &self.head_weight, outputs * below)?;
        matrix("head.bias", None, &self.head_bias, outputs)
    }

    /// Units of the last layer.
    pub fn hidden(&self) -> usize {
        self.layers.last().map_or(0, |l| l.hidden)
    }

    /// Weights of all kinds.
    pub fn parameters(&self) -> usize {
        let layer = |l: &Layer| l.w_ih.len() + l.w_hh.len() + l.b_ih.len() + l.b_hh.len();
        self.layers.iter().map(layer).sum::<usize>() + self.head_weight.len() + self.head_bias.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Lstm {
        let layer = |input: usize, hidden: usize| Layer {
            input,
            hidden,
            w_ih: vec![0.1; 4 * hidden * input],
            w_hh: vec![0.2; 4 * hidden * hidden],
            b_ih: vec![0.0; 4 * hidden],
            b_hh: vec![0.0; 4 * hidden],
        };
        Lstm::new(vec![layer(2, 3), layer(3, 3)], vec![0.5; 6], vec![0.0; 2], 2, 1).unwrap()
    }

    #[test]
    fn parts_that_do_not_fit_are_named() {
        let check = |change: &dyn Fn(&mut Lstm), message: &str| {
            let mut lstm = tiny();
            change(&mut lstm);
            assert_eq!(lstm.check().unwrap_err().to_string(), message);
        };
        check(&|l| l.layers[1].w_hh.push(0.0), "lstm.weight_hh_l1 has 37 values, and 36 fit");
        check(&|l| l.layers[0].b_ih[2] = f32::NAN, "lstm.bias_ih_l0 holds a value that is not a finite number");
        check(&|l| l.head_weight[0] = f32::INFINITY, "head.weight holds a value that is not a finite number");
        check(&|l| l.head_bias[1] = -1e30, "head.bias holds -1e30, and no weight that was trained is beyond 1e6");
        check(&|l| l.layers.clear(), "0 layers, and 1 to 16 are possible");
        check(&|l| l.layers[0].hidden = 1 << 40, "1099511627776 units of a layer, and 1 to 4096 are possible");
        check(&|l| l.layers[1].input = 2, "the input of layer 1 has 2 values, and 3 fit");
    }
}
