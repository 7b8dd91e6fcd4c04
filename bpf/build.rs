//! Compiles the BPF programs and generates the skeleton. The only place that needs clang.

use libbpf_cargo::SkeletonBuilder;
use std::path::PathBuf;

const SOURCE: &str = "c/osd.bpf.c";

fn main() {
    println!("cargo:rerun-if-changed=c");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("osd.skel.rs");
    let arch = match std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => "x86",
        Ok("aarch64") => "arm64",
        other => panic!("osd records on x86_64 and aarch64, not on {other:?}"),
    };
    let flags = [format!("-D__TARGET_ARCH_{arch}"), "-Wall".into(), "-Werror".into(), "-mcpu=v3".into()];
    if let Err(error) = SkeletonBuilder::new().source(SOURCE).clang_args(flags).build_and_generate(&out) {
        panic!("cannot build {SOURCE}: {error:#}\nhint: clang 11 or later is needed: apt-get install clang libelf-dev zlib1g-dev");
    }
}
