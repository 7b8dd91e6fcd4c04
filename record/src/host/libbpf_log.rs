//! What libbpf says while it loads: the only place where it names the program that the kernel
//! refused.

use osd_bpf::libbpf_rs::{PrintLevel, set_print};
use std::sync::{Mutex, PoisonError};

static REFUSED: Mutex<Option<String>> = Mutex::new(None);

pub(crate) fn listen() {
    *REFUSED.lock().unwrap_or_else(PoisonError::into_inner) = None;
    set_print(Some((PrintLevel::Warn, heard)));
}

fn heard(_: PrintLevel, line: String) {
    // libbpf: prog 'call_entered': BPF program load failed: ...
    let name = line.split_once("prog '").and_then(|(_, rest)| rest.split_once('\''));
    if let (Some((name, _)), true) = (name, line.contains("fail")) {
        REFUSED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| name.to_owned());
    }
}

pub(crate) fn refused_program() -> Option<String> {
    REFUSED.lock().unwrap_or_else(PoisonError::into_inner).take()
}
