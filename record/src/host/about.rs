//! What the host says of itself: its name, its kernel, its size.

use osd_recording::Host;

pub(super) fn read_trimmed(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The machine, for the metadata.
pub(crate) fn describe() -> Host {
    // SAFETY: plain call.
    let n_cpus = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    let meminfo = read_trimmed("/proc/meminfo");
    Host {
        hostname: read_trimmed("/proc/sys/kernel/hostname"),
        kernel: read_trimmed("/proc/sys/kernel/osrelease"),
        arch: std::env::consts::ARCH.into(),
        boot_id: read_trimmed("/proc/sys/kernel/random/boot_id"),
        n_cpus: u32::try_from(n_cpus).unwrap_or(0),
        page_bytes: page_bytes(),
        memory_bytes: meminfo_bytes(&meminfo, "MemTotal:").unwrap_or(0),
    }
}

/// Bytes of a page.
pub(crate) fn page_bytes() -> u64 {
    // SAFETY: plain call.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// How many processors there are room for now: one more than the highest number of those present.
pub(crate) fn n_present_cpus() -> usize {
    highest_cpu(&read_trimmed("/sys/devices/system/cpu/present"))
        .map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), |highest| highest + 1)
}

/// The highest number in a list such as `0-3,8`.
fn highest_cpu(list: &str) -> Option<usize> {
    list.split([',', '-']).filter_map(|n| n.parse().ok()).max()
}

/// A random name, 32 hex digits.
pub(crate) fn random_id() -> String {
    read_trimmed("/proc/sys/kernel/random/uuid").replace('-', "")
}

/// A number of kibibytes in `/proc/meminfo`, in bytes.
pub(super) fn meminfo_bytes(meminfo: &str, name: &str) -> Option<u64> {
    let kib: u64 = meminfo.lines().find_map(|l| l.strip_prefix(name))?.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_name_has_32_digits() {
        assert_eq!(random_id().len(), 32);
    }
}
