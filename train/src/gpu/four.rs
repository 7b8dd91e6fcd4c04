//! Four numbers that a thread reads and writes at a time: sixteen bytes.

use burn_cubecl::cubecl::prelude::{Const, Vector};

pub(super) type Four = Vector<f32, Const<4>>;
