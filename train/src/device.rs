//! Where training runs: the CPU, or a GPU if there is one.

use burn::tensor::Device;

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// A real GPU where there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, software Vulkan included; the CPU with a warning where there is none.
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
    /// Why it is not what was asked for.
    pub warning: Option<String>,
}

impl Chosen {
    fn cpu(warning: Option<String>) -> Self {
        Self { device: Device::flex(), fused: true, gpu: false, name: "cpu".to_owned(), warning }
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
    match gpu::find(wanted == Wanted::Gpu) {
        Ok(chosen) => chosen,
        Err(_) if wanted == Wanted::Auto => Chosen::cpu(None),
        Err(why) => Chosen::cpu(Some(format!("no GPU: {why}; training on the CPU"))),
    }
}

#[cfg(not(feature = "wgpu"))]
mod gpu {
    pub(super) fn find(_software: bool) -> Result<super::Chosen, String> {
        Err("this osd is built without it (feature `wgpu`)".to_owned())
    }
}

#[cfg(feature = "wgpu")]
mod gpu {
    use super::Chosen;
    use burn::tensor::{Device, DeviceType};

    /// A GPU that a small product works on. Drivers panic rather than answer, so each is asked on a thread of its own.
    pub(super) fn find(software: bool) -> Result<Chosen, String> {
        let ask = move || {
            let mut found = None;
            for device in Device::enumerate(DeviceType::Wgpu).into_vec() {
                let Some(identity) = device.identity() else { continue };
                let name = identity.name.to_string();
                let is_software =
                    ["llvmpipe", "lavapipe", "swiftshader"].iter().any(|s| name.to_lowercase().contains(s));
                if !is_software {
                    found = Some((device, name));
                    break;
                }
                if software && found.is_none() {
                    found = Some((device, name));
                }
            }
            let (device, name) = found.ok_or_else(|| "no Vulkan device was found".to_owned())?;
            let one = burn::tensor::Tensor::<2>::ones([4, 4], &device);
            let sum: f32 = one.clone().matmul(one).sum().into_scalar();
            if sum == 64.0 { Ok((device, name)) } else { Err(format!("{name} computes 64 as {sum}")) }
        };
        match std::thread::spawn(ask).join() {
            Ok(Ok((device, name))) => Ok(Chosen { device, fused: true, gpu: true, name, warning: None }),
            Ok(Err(why)) => Err(why),
            Err(_) => Err("the Vulkan driver failed".to_owned()),
        }
    }
}
