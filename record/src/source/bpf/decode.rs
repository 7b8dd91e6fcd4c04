//! Wire records to values. What traced processes have put into them is hostile, and bounded here.

use crate::account::resolve::Call;
use crate::host::text::{ExecText, quote_args, until_nul};
use osd_bpf::wire::{self, Wire, call, ended_thread, life, life_exec, usage};

/// A record of the life ring.
pub(crate) enum Life {
    Fork(life),
    Exec(life, ExecText),
    Exit(life),
    ThreadExit(life, usage),
    ThreadGone(ended_thread),
}

/// Reads a life record; `None` for one this version does not know, or too short.
pub(crate) fn life_record(bytes: &[u8]) -> Option<Life> {
    let head = life::read(bytes)?;
    match head.what {
        wire::LIFE_FORK => Some(Life::Fork(head)),
        wire::LIFE_EXIT => Some(Life::Exit(head)),
        wire::LIFE_THREAD_EXIT => {
            let usage = usage::read(bytes.get(std::mem::offset_of!(wire::life_thread_exit, usage)..)?)?;
            Some(Life::ThreadExit(head, usage))
        }
        wire::LIFE_THREAD_GONE => ended_thread::read(bytes).map(Life::ThreadGone),
        wire::LIFE_EXEC => {
            let number =
                |offset: usize| Some(u32::from_ne_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?) as usize);
            let file_len = number(std::mem::offset_of!(life_exec, file_len))?;
            let argv_len = number(std::mem::offset_of!(life_exec, argv_len))?;
            let argv_full = number(std::mem::offset_of!(life_exec, argv_full))?;
            let text = bytes.get(wire::EXEC_TEXT_OFFSET..)?;
            let file = text.get(..file_len)?;
            let argv = text.get(file_len..file_len.checked_add(argv_len)?)?;
            let exe = (file_len > 1).then(|| until_nul(file));
            let cut = argv_full > argv_len && argv_len > 0;
            let argv = (argv_len > 0).then(|| quote_args(argv, cut));
            Some(Life::Exec(head, ExecText { exe, argv, cut }))
        }
        _ => None,
    }
}

/// Reads a record of the path ring: the call, and its path if that could be read.
pub(crate) fn call_record(bytes: &[u8]) -> Option<Call> {
    let head = call::read(bytes)?;
    let path = bytes.get(wire::PATH_OFFSET..).filter(|path| (1..=wire::PATH_BYTES).contains(&path.len()));
    Some((head, path.map(|path| until_nul(path).into_boxed_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Whatever bytes the ring hands over, decoding ends in a record or in nothing.
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..5000), what in 0u32..7) {
            let mut bytes = bytes;
            if let Some(slot) = bytes.get_mut(24..28) {
                slot.copy_from_slice(&what.to_ne_bytes());
            }
            let _ = life_record(&bytes);
            let _ = call_record(&bytes);
        }

        /// An exec as the kernel side writes it is read as it was; with any lengths claimed, cut anywhere, it is read within its bytes or refused.
        #[test]
        fn an_exec_is_read_within_its_bytes_whatever_lengths_it_claims(
            file in "[a-z/]{1,200}",
            args in proptest::collection::vec("[a-z0-9]{1,20}", 0..20),
            claims in proptest::array::uniform3(proptest::option::weighted(0.5, proptest::prelude::any::<u32>())),
            cut in proptest::prelude::any::<proptest::sample::Index>(),
        ) {
            let argv: Vec<u8> = args.iter().flat_map(|a| a.bytes().chain([0])).collect();
            let mut bytes = vec![0; wire::EXEC_TEXT_OFFSET];
            bytes[24..28].copy_from_slice(&wire::LIFE_EXEC.to_ne_bytes());
            let lengths = [file.len() as u32 + 1, argv.len() as u32, argv.len() as u32];
            let at = std::mem::offset_of!(life_exec, file_len);
            for (i, length) in lengths.iter().enumerate() {
                bytes[at + 4 * i..at + 4 * i + 4].copy_from_slice(&length.to_ne_bytes());
            }
            bytes.extend(file.bytes().chain([0]).chain(argv));
            let Some(Life::Exec(_, text)) = life_record(&bytes) else { panic!("an exec is an exec") };
            proptest::prop_assert_eq!(text.exe.as_deref(), Some(file.as_str()));
            proptest::prop_assert_eq!(text.argv, (!args.is_empty()).then(|| args.join(" ")));
            for (i, claim) in claims.iter().enumerate() {
                if let Some(claim) = claim {
                    bytes[at + 4 * i..at + 4 * i + 4].copy_from_slice(&claim.to_ne_bytes());
                }
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            if let Some(Life::Exec(_, text)) = life_record(&bytes) {
                // An empty argument is the shortest that grows: one byte to two quotes and a space.
                proptest::prop_assert!(text.exe.map_or(0, |t| t.len()) + text.argv.map_or(0, |t| t.len()) <= 4 * bytes.len());
            }
        }
    }
}
