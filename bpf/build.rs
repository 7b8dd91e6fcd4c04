//! Compiles the BPF programs and generates the skeleton. The only place that needs clang.

use libbpf_cargo::SkeletonBuilder;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=c");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let arch = match std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => "x86",
        Ok("aarch64") => "arm64",
        other => panic!("osd records on x86_64 and aarch64, not on {other:?}"),
    };
    for name in ["osd", "floor"] {
        let source = format!("c/{name}.bpf.c");
        let flags = [format!("-D__TARGET_ARCH_{arch}"), "-Wall".into(), "-Werror".into(), "-mcpu=v3".into()];
        let built = SkeletonBuilder::new()
            .source(&source)
            .clang_args(flags)
            .build_and_generate(out.join(format!("{name}.skel.rs")));
        if let Err(error) = built {
            panic!("cannot build {source}: {error:#}\nhint: apt-get install clang libelf-dev zlib1g-dev pkg-config");
        }
    }
}
