//! Flows: `slots` reads what the kernel side counts by process and socket, `rows` tells it.

mod rows;
mod slots;

pub(super) use slots::{KernelFlows, Sockets, seed, size};
