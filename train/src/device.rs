//! Where training runs: the CPU, or a GPU if there is one.

use crate::find_gpu;
use crate::no_gpu::NoGpu;
use burn::tensor::Device;

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// A real GPU where there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, software Vulkan included; the CPU where there is none.
    Gpu,
}

/// What was taken.
#[derive(Clone, Debug)]
pub struct Chosen {
    pub(crate) device: Device,
    /// Whether by osd's own operation, where the device has it; Burn's layers do it otherwise.
    pub(crate) fused: bool,
    /// Whether it is a GPU.
    pub gpu: bool,
    /// Its name, such as `cpu` or that of the graphics card.
    pub name: String,
    /// Why there is no GPU, where one was looked for.
    pub no_gpu: Option<NoGpu>,
}

impl Chosen {
    fn cpu(no_gpu: Option<NoGpu>) -> Self {
        Self { device: Device::flex(), fused: true, gpu: false, name: "cpu".to_owned(), no_gpu }
    }

    /// The same device by Burn's own layers: what osd's operation is measured against.
    #[must_use]
    pub fn with_stock_layers(self) -> Self {
        Self { fused: false, ..self }
    }
}

/// Takes a device. Looks for a GPU only if one is wanted.
pub fn choose(wanted: Wanted) -> Chosen {
    if wanted == Wanted::Cpu {
        return Chosen::cpu(None);
    }
    match find_gpu::find(wanted == Wanted::Gpu) {
        Ok((device, name)) => Chosen { device, fused: true, gpu: true, name, no_gpu: None },
        Err(why) => Chosen::cpu(Some(why)),
    }
}
