//! Wire records to values. What traced processes have put into them is hostile, and bounded here.

use crate::account::resolve::Call;
use crate::host::text::{ExecText, quote_args, until_nul};
use osd_bpf::wire::{self, Wire, asked_capability, call, ended_thread, life, life_exec, new_group, object, usage};
use std::net::{Ipv6Addr, SocketAddr};

/// A record of the life ring.
pub(crate) enum Life {
    Fork(life),
    Exec(life, ExecText),
    Exit(life),
    ThreadExit(life, Box<usage>),
    ThreadGone(ended_thread),
    Capability(asked_capability),
    /// A process that was met by a rule, and what it had used.
    Adopted(life, Box<usage>),
    Group(NewGroup),
}

/// A control group that was made.
pub(crate) struct NewGroup {
    pub(crate) id: u64,
    /// As `/proc/PID/cgroup` numbers it.
    pub(crate) hierarchy: u32,
    pub(crate) path: String,
}

/// Reads a life record; `None` for one this version does not know, or too short.
pub(crate) fn life_record(bytes: &[u8]) -> Option<Life> {
    let what = std::mem::offset_of!(life, what);
    if bytes.get(what..what + 4) == Some(&wire::LIFE_CAPABILITY.to_ne_bytes()) {
        return asked_capability::read(bytes).map(Life::Capability);
    }
    let head = life::read(bytes)?;
    match head.what {
        wire::LIFE_FORK => Some(Life::Fork(head)),
        wire::LIFE_EXIT => Some(Life::Exit(head)),
        wire::LIFE_THREAD_EXIT | wire::LIFE_ADOPTED => {
            let usage = usage::read(bytes.get(std::mem::offset_of!(wire::life_thread_exit, usage)..)?)?;
            Some(if head.what == wire::LIFE_ADOPTED {
                Life::Adopted(head, Box::new(usage))
            } else {
                Life::ThreadExit(head, Box::new(usage))
            })
        }
        wire::LIFE_GROUP => {
            let group = new_group::read(bytes)?;
            let path: Vec<u8> = group.path.iter().take(group.path_len as usize).map(|b| *b as u8).collect();
            (!path.is_empty())
                .then(|| Life::Group(NewGroup { id: group.id, hierarchy: group.hierarchy, path: until_nul(&path) }))
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

/// Reads a record of the path ring: the call, and its path or address if that could be read.
pub(crate) fn call_record(bytes: &[u8]) -> Option<Call> {
    let head = call::read(bytes)?;
    let is_address = bytes.get(std::mem::offset_of!(wire::call_with_path, is_address)).is_some_and(|b| *b != 0);
    let text = |path: &[u8]| if is_address { address(path) } else { Some(until_nul(path)) };
    let path = bytes.get(wire::PATH_OFFSET..).filter(|path| (1..=wire::PATH_BYTES).contains(&path.len()));
    Some((head, path.and_then(text).map(String::into_boxed_str)))
}

/// Reads an object: the record, and its names as far as they are there.
pub(crate) fn object_record(bytes: &[u8]) -> Option<(object, &[u8])> {
    // Sent only as far as the names go.
    let mut whole = [0; size_of::<object>()];
    let head = bytes.get(..wire::NAMES_OFFSET)?;
    whole.get_mut(..wire::NAMES_OFFSET)?.copy_from_slice(head);
    let object = object::read(&whole)?;
    let names = &bytes[wire::NAMES_OFFSET..];
    Some((object, names.get(..object.names_len as usize).unwrap_or(names)))
}

/// A record of a pass over what is open, with its names.
pub(crate) type OpenFile = (object, Vec<u8>);

/// Reads the records of a pass over what is open, each with its names and filled up to eight bytes.
pub(crate) fn object_records(mut bytes: &[u8]) -> Vec<OpenFile> {
    let mut all = Vec::new();
    while let Some((object, names)) = object_record(bytes) {
        let len = (names.len()).next_multiple_of(8);
        all.push((object, names.to_vec()));
        bytes = bytes.get(wire::NAMES_OFFSET + len..).unwrap_or_default();
    }
    all
}

/// A `struct sockaddr` as text: `127.0.0.1:80`, `[::1]:80`, `unix:/run/x.sock`, `unix:@name` of one without a file; of another family
/// its number. `None` if it is cut, or of no family: such a connect ends an association.
fn address(bytes: &[u8]) -> Option<String> {
    let (family, rest) = bytes.split_first_chunk::<2>()?;
    let port = || Some(u16::from_be_bytes(*rest.first_chunk()?));
    match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_UNSPEC => None,
        // Programs that do not count give the whole struct.
        libc::AF_UNIX if rest.first() == Some(&0) => {
            let name = rest[1..].iter().rposition(|b| *b != 0).map_or(&[][..], |last| &rest[1..last + 2]);
            Some(format!("unix:@{}", String::from_utf8_lossy(name)))
        }
        libc::AF_UNIX => Some(format!("unix:{}", until_nul(rest))),
        libc::AF_INET => Some(SocketAddr::from((*rest.get(2..)?.first_chunk::<4>()?, port()?)).to_string()),
        libc::AF_INET6 => {
            let host = Ipv6Addr::from(*rest.get(6..)?.first_chunk::<16>()?);
            // As a program writes it that talks to both: ::ffff:10.0.0.5 is 10.0.0.5.
            Some(SocketAddr::from((host.to_canonical(), port()?)).to_string())
        }
        libc::AF_NETLINK => Some("netlink".to_owned()),
        other => Some(format!("family {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_by_their_family() {
        let of = |family: i32, rest: &[u8]| address(&[&(family as u16).to_ne_bytes(), rest].concat());
        let told = |family: i32, rest: &[u8]| of(family, rest).unwrap();
        assert_eq!(told(libc::AF_INET, &[0x1f, 0x90, 127, 0, 0, 1]), "127.0.0.1:8080");
        let v6 = |host: Ipv6Addr| [&[0, 80, 0, 0, 0, 0], &host.octets()[..]].concat();
        assert_eq!(told(libc::AF_INET6, &v6(Ipv6Addr::LOCALHOST)), "[::1]:80");
        assert_eq!(told(libc::AF_INET6, &v6("::ffff:10.0.0.5".parse().unwrap())), "10.0.0.5:80");
        assert_eq!(told(libc::AF_UNIX, b"/run/x.sock\0"), "unix:/run/x.sock");
        assert_eq!(told(libc::AF_UNIX, b"\0name"), "unix:@name");
        assert_eq!(told(libc::AF_UNIX, b"\0a\0b\0\0\0"), "unix:@a\0b");
        assert_eq!(told(libc::AF_UNIX, b"\0\0\0"), "unix:@");
        assert_eq!((told(libc::AF_UNIX, b""), told(libc::AF_NETLINK, b"")), ("unix:".into(), "netlink".into()));
        assert_eq!(told(libc::AF_VSOCK, b""), "family 40");
        assert_eq!((of(libc::AF_INET, &[0, 80, 127, 0]), of(libc::AF_UNSPEC, b""), address(&[2])), (None, None, None));
    }

    proptest::proptest! {
        /// Whatever bytes the ring hands over, decoding ends in a record or in nothing.
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..5000), what in 0u32..10) {
            let mut bytes = bytes;
            if let Some(slot) = bytes.get_mut(24..28) {
                slot.copy_from_slice(&what.to_ne_bytes());
            }
            let _ = life_record(&bytes);
            let _ = call_record(&bytes);
            let _ = object_records(&bytes);
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
