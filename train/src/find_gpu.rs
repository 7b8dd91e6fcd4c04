//! Looks for a GPU to train on.

use burn::tensor::Device;

#[cfg(not(feature = "wgpu"))]
pub(crate) fn find(_software: bool) -> Result<(Device, String), String> {
    Err("this osd is built without it (feature `wgpu`)".to_owned())
}

/// A GPU that a small product works on. Drivers panic rather than answer, so each is asked on a thread of its own.
#[cfg(feature = "wgpu")]
pub(crate) fn find(software: bool) -> Result<(Device, String), String> {
    use burn::tensor::DeviceType;
    let ask = move || {
        let mut found = None;
        for device in Device::enumerate(DeviceType::Wgpu).into_vec() {
            let Some(identity) = device.identity() else { continue };
            let name = identity.name.to_string();
            let is_software = ["llvmpipe", "lavapipe", "swiftshader"].iter().any(|s| name.to_lowercase().contains(s));
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
    std::thread::spawn(ask).join().unwrap_or_else(|_| Err("the Vulkan driver failed".to_owned()))
}
