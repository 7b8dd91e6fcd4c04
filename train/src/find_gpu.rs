//! Looks for a GPU to train on.

use crate::no_gpu::NoGpu;
use burn::tensor::Device;

#[cfg(not(feature = "wgpu"))]
pub(crate) fn find(_software: bool) -> Result<(Device, String), NoGpu> {
    Err(NoGpu::NotBuilt)
}

/// A GPU that a small product works on. Drivers panic rather than answer, so each is asked on a thread of its own, and what a panic
/// says becomes the reason instead of a message on stderr.
#[cfg(feature = "wgpu")]
pub(crate) fn find(software: bool) -> Result<(Device, String), NoGpu> {
    use crate::no_gpu;
    use std::path::Path;
    use std::sync::{Mutex, PoisonError};

    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    let root = Path::new("/");
    // Without a loader Vulkan need not be asked, and OpenGL, which wgpu would ask next, is left alone.
    if !has_loader() {
        return Err(NoGpu::NoLoader { card: no_gpu::card(root) });
    }
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found = std::thread::spawn(move || ask(software)).join();
    std::panic::set_hook(loud);
    let why = match found {
        Ok(Ok(found)) => return Ok(found),
        Ok(Err(why)) => why,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default();
            NoGpu::Failed { why: text.lines().next().unwrap_or_default().to_owned() }
        }
    };
    let closed =
        matches!(why, NoGpu::NoDevice { .. } | NoGpu::Software { .. }).then(|| no_gpu::refused(root)).flatten();
    Err(closed.map_or(why, |path| NoGpu::Refused { path }))
}

#[cfg(feature = "wgpu")]
fn ask(software: bool) -> Result<(Device, String), NoGpu> {
    use crate::no_gpu;
    use burn::tensor::Tensor;
    let mut stand_in = None;
    let mut found = None;
    for device in by_vulkan() {
        let Some(identity) = device.identity() else { continue };
        let name = identity.name.to_string();
        let is_software = ["llvmpipe", "lavapipe", "swiftshader"].iter().any(|s| name.to_lowercase().contains(s));
        if !is_software {
            found = Some((device, name));
            break;
        }
        stand_in.get_or_insert((device, name));
    }
    let card = || no_gpu::card(std::path::Path::new("/"));
    let (device, name) = match (found, stand_in) {
        (Some(found), _) => found,
        (None, Some(found)) if software => found,
        (None, Some((_, name))) => return Err(NoGpu::Software { name, card: card() }),
        (None, None) => return Err(NoGpu::NoDevice { card: card() }),
    };
    let one = Tensor::<2>::ones([4, 4], &device);
    let sum: f32 = one.clone().matmul(one).sum().into_scalar();
    if sum == 64.0 { Ok((device, name)) } else { Err(NoGpu::Wrong { name, sum: sum.to_string() }) }
}

/// Every device of Vulkan, cards first. Left to choose, wgpu asks OpenGL, too, whose libraries print and whose devices nobody has tried.
#[cfg(feature = "wgpu")]
fn by_vulkan() -> Vec<Device> {
    use burn_cubecl::CubeDevice;
    use burn_cubecl::cubecl::wgpu::{WgpuBackend, WgpuDevice, WgpuDeviceKind as Kind};
    let kinds = [Kind::DiscreteGpu(0), Kind::IntegratedGpu(0), Kind::VirtualGpu(0), Kind::Other(0), Kind::Cpu];
    let of_kind = |kind| CubeDevice::enumerate(CubeDevice::Wgpu(WgpuDevice::new(kind).on(WgpuBackend::Vulkan)).to_id());
    kinds.into_iter().flat_map(of_kind).map(|id| Device::new(CubeDevice::from_id(id))).collect()
}

/// Whether the library that finds Vulkan's drivers is installed.
#[cfg(feature = "wgpu")]
fn has_loader() -> bool {
    // SAFETY: what runs when it is opened is the system's Vulkan loader, which wgpu opens next.
    unsafe { libloading::Library::new("libvulkan.so.1") }.is_ok()
}
