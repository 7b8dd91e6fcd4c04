//! Why there is no GPU to train on, and what would help.
//!
//! Vulkan is a loader (`libvulkan.so.1`) that finds drivers, and drivers that find cards. Each may be missing on its own, so what this
//! machine has is looked at apart from Vulkan: the kernel lists the cards.

#[cfg(any(feature = "wgpu", test))]
use std::path::Path;
use std::path::PathBuf;

/// Why training goes on the CPU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoGpu {
    /// The feature `wgpu` was left away.
    #[error("this osd is built without it (feature `wgpu`)")]
    NotBuilt,
    /// `libvulkan.so.1` cannot be opened.
    #[error("there is no Vulkan loader (libvulkan.so.1)")]
    NoLoader {
        /// The card that waits for it.
        card: Option<Card>,
    },
    /// A card is there, and this user may not open it.
    #[error("{} may not be opened by this user", path.display())]
    Refused {
        /// The card's file in `/dev/dri`.
        path: PathBuf,
    },
    /// No driver shows a device.
    #[error("Vulkan has no device")]
    NoDevice {
        /// The card that no driver is for.
        card: Option<Card>,
    },
    /// There is only what computes on the CPU, which was not asked for.
    #[error("Vulkan has only {name}, which computes on the CPU")]
    Software {
        /// Its name, such as `llvmpipe`.
        name: String,
        /// The card that no driver is for.
        card: Option<Card>,
    },
    /// The device gives wrong results.
    #[error("{name} computes 64 as {sum}")]
    Wrong {
        /// Its name.
        name: String,
        /// What it computed.
        sum: String,
    },
    /// The driver ended in a panic.
    #[error("the Vulkan driver failed: {why}")]
    Failed {
        /// What the panic said, in one line.
        why: String,
    },
}

impl NoGpu {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        const SOFTWARE: &str = "no graphics card is seen here; to try it in software: ";
        match self {
            Self::NotBuilt => "build with the default features: cargo build --release".to_owned(),
            Self::NoLoader { card: Some(card) } => format!("for the {} card: {}", card.name(), card.packages(true)),
            Self::NoLoader { card: None } => format!("{SOFTWARE}{}", Card::Mesa("").packages(true)),
            Self::NoDevice { card: Some(card) } | Self::Software { card: Some(card), .. } => {
                format!("for the {} card: {}", card.name(), card.packages(false))
            }
            Self::NoDevice { card: None } => format!("{SOFTWARE}{}", Card::Mesa("").packages(false)),
            Self::Software { card: None, .. } => "to train there all the same: --device gpu".to_owned(),
            Self::Refused { .. } => "sudo usermod -aG render \"$USER\", and log in again".to_owned(),
            Self::Wrong { .. } | Self::Failed { .. } => {
                "a newer driver may help; without the GPU: --device cpu".to_owned()
            }
        }
    }

    /// The card that training does not use, where the kernel lists one.
    #[must_use]
    pub fn card(&self) -> Option<&'static str> {
        match self {
            Self::NoLoader { card } | Self::NoDevice { card } | Self::Software { card, .. } => card.map(Card::name),
            _ => None,
        }
    }
}

/// Who made a card, which decides what drives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Card {
    /// Driven by Mesa; the maker's name.
    Mesa(&'static str),
    /// Driven by its maker's own driver.
    Nvidia,
}

impl Card {
    fn name(self) -> &'static str {
        match self {
            Self::Mesa(name) => name,
            Self::Nvidia => "NVIDIA",
        }
    }

    /// How to get its driver, and the loader.
    fn packages(self, loader: bool) -> String {
        let loader = if loader { "libvulkan1 " } else { "" };
        match self {
            Self::Mesa(_) => format!("sudo apt-get install {loader}mesa-vulkan-drivers"),
            Self::Nvidia => {
                format!(
                    "sudo apt-get install {loader}nvidia-vulkan-icd (on Ubuntu libnvidia-gl-VERSION, as nvidia-smi has it)"
                )
            }
        }
    }
}

/// The first graphics card of `root`'s `sys/bus/pci/devices` that computes; none of a server's console or of a virtual machine.
#[cfg(any(feature = "wgpu", test))]
pub(crate) fn card(root: &Path) -> Option<Card> {
    let read = |path: &Path, name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
    let mut all: Vec<_> =
        std::fs::read_dir(root.join("sys/bus/pci/devices")).ok()?.flatten().map(|e| e.path()).collect();
    all.sort();
    // Of the PCI classes 0x03 is display.
    all.into_iter().filter(|path| read(path, "class").starts_with("0x03")).find_map(|path| {
        match read(&path, "vendor").trim() {
            "0x10de" => Some(Card::Nvidia),
            "0x1002" => Some(Card::Mesa("AMD")),
            "0x8086" => Some(Card::Mesa("Intel")),
            _ => None,
        }
    })
}

/// A card's file that this user may not open.
#[cfg(feature = "wgpu")]
pub(crate) fn refused(root: &Path) -> Option<PathBuf> {
    let all = std::fs::read_dir(root.join("dev/dri")).ok()?.flatten().map(|e| e.path());
    let mut all: Vec<_> =
        all.filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("renderD"))).collect();
    all.sort();
    let denied = |path: &PathBuf| {
        let tried = std::fs::File::options().read(true).write(true).open(path);
        tried.is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied)
    };
    all.into_iter().find(denied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pci(root: &Path, slot: &str, class: &str, vendor: &str) {
        let dir = root.join("sys/bus/pci/devices").join(slot);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("class"), format!("{class}\n")).unwrap();
        std::fs::write(dir.join("vendor"), format!("{vendor}\n")).unwrap();
    }

    #[test]
    fn the_card_that_computes_is_found_among_others() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(card(root.path()), None, "no PCI");
        pci(root.path(), "0000:00:01.0", "0x020000", "0x10de"); // a network card
        pci(root.path(), "0000:00:02.0", "0x030000", "0x1a03"); // a server's console
        assert_eq!(card(root.path()), None);
        pci(root.path(), "0000:00:04.0", "0x038000", "0x1002");
        assert_eq!(card(root.path()), Some(Card::Mesa("AMD")));
        pci(root.path(), "0000:00:03.0", "0x030200", "0x10de"); // no screen: a card of a data centre
        assert_eq!(card(root.path()), Some(Card::Nvidia));
    }

    #[test]
    fn what_is_missing_is_said_with_how_to_get_it() {
        let amd = Some(Card::Mesa("AMD"));
        let says = |why: NoGpu| format!("{why}: {}", why.hint());
        assert_eq!(
            says(NoGpu::NoLoader { card: amd }),
            "there is no Vulkan loader (libvulkan.so.1): for the AMD card: sudo apt-get install libvulkan1 mesa-vulkan-drivers"
        );
        assert_eq!(
            says(NoGpu::NoDevice { card: Some(Card::Nvidia) }),
            "Vulkan has no device: for the NVIDIA card: sudo apt-get install nvidia-vulkan-icd (on Ubuntu \
             libnvidia-gl-VERSION, as nvidia-smi has it)"
        );
        assert_eq!(
            says(NoGpu::NoDevice { card: None }),
            "Vulkan has no device: no graphics card is seen here; to try it in software: sudo apt-get install mesa-vulkan-drivers"
        );
        let software = |card| says(NoGpu::Software { name: "llvmpipe".into(), card });
        assert!(software(None).ends_with("computes on the CPU: to train there all the same: --device gpu"));
        assert!(software(amd).ends_with("for the AMD card: sudo apt-get install mesa-vulkan-drivers"));
        assert!(says(NoGpu::Refused { path: "/dev/dri/renderD128".into() }).contains("usermod -aG render"));
    }
}
