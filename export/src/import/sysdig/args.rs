//! The arguments of an event, `res=-2(ENOENT) name=/etc/passwd flags=1(O_RDONLY) mode=0 `: what it
//! returned, a path, and others by name.
//!
//! Texts in them are not quoted, so a file whose name has ` flags=` in it can say what it likes from there on. What returned comes first.

/// Calls whose result is an address, in hexadecimal without a mark.
const ADDRESSES: &[&str] = &["brk", "mmap", "mmap2", "mremap", "shmat"];
/// As many bytes of a path are kept as a recorder keeps.
const MOST_PATH: usize = 255;

/// What a call returned. Of some sysdig does not say it.
pub(super) fn returned(call: &str, args: &str) -> Option<i64> {
    let value = args.strip_prefix("res=").or_else(|| args.strip_prefix("fd="))?;
    let end = value.find([' ', '(']).unwrap_or(value.len());
    let value = &value[..end];
    if ADDRESSES.contains(&call) && !value.starts_with('-') {
        return u64::from_str_radix(value, 16).ok().map(|n| n as i64);
    }
    value.parse().ok()
}

/// The descriptor that a call begins with.
pub(super) fn fd(args: &str) -> Option<i32> {
    let value = args.strip_prefix("fd=")?;
    value[..value.find([' ', '(']).unwrap_or(value.len())].parse().ok()
}

/// The value of `name=`, to the next blank.
pub(super) fn word<'a>(args: &'a str, name: &str) -> Option<&'a str> {
    let from = after(args, name)?;
    Some(&from[..from.find(' ').unwrap_or(from.len())])
}

/// A number, `17498` or `17498(curl)`.
pub(super) fn number(args: &str, name: &str) -> Option<i64> {
    let value = word(args, name)?;
    value[..value.find('(').unwrap_or(value.len())].parse().ok()
}

/// What comes after `name=`, where that is a name and not in one.
fn after<'a>(args: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = args;
    loop {
        let at = rest.find(name)?;
        let value = rest[at + name.len()..].strip_prefix('=');
        match value.filter(|_| at == 0 || rest.as_bytes()[at - 1] == b' ') {
            Some(value) => return Some(value),
            None => rest = rest.get(at + name.len()..)?,
        }
    }
}

/// Names of arguments that come after a path.
const AFTER_PATH: &[&str] = &[
    " flags=",
    " mode=",
    " dirfd=",
    " dev=",
    " ino=",
    " newpath=",
    " newdir=",
    " linkpath=",
    " target=",
    " fd=",
    " how=",
];

/// The path of a call, if it has one, and whether that was cut.
pub(super) fn path(args: &str) -> Option<(Box<str>, bool)> {
    let value = ["name", "path", "filename", "oldpath", "pathname"].into_iter().find_map(|name| after(args, name))?;
    let end = AFTER_PATH.iter().filter_map(|name| value.find(name)).min().unwrap_or(value.len());
    let value = value[..end].trim_end_matches(' ');
    // Of a path that is not absolute sysdig says in brackets which it is.
    let value = match value.rsplit_once('(') {
        Some((given, whole)) if whole.starts_with('/') && whole.ends_with(')') => given,
        _ => value,
    };
    if value.is_empty() || value == "<NA>" {
        return None;
    }
    let cut = (0..=value.len().min(MOST_PATH)).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
    Some((value[..cut].into(), cut < value.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn arguments_as_sysdig_writes_them() {
        assert_eq!(returned("open", "fd=3(<f>/etc/x) name=/etc/x flags=1(O_RDONLY) mode=0 "), Some(3));
        assert_eq!(returned("access", "res=-2(ENOENT) name=/etc/ld.so.nohwcap "), Some(-2));
        assert_eq!(returned("mmap", "res=7FA69774E000 vm_size=536 "), Some(0x7FA6_9774_E000));
        assert_eq!(returned("mmap", "res=-12(ENOMEM) vm_size=536 "), Some(-12));
        assert_eq!(returned("clone", "res=17498(curl) exe=curl "), Some(17_498));
        assert_eq!(returned("mprotect", ""), None);
        assert_eq!(returned("write", "data=res=7 "), None);
        assert_eq!(fd("fd=3(<f>/etc/ld.so.cache) "), Some(3));
        assert_eq!(fd("fd=-1(EPERM) offset=0 "), Some(-1));
        assert_eq!(number("res=0 exe=a tid=17498(curl) pid=17497(curl) ", "pid"), Some(17_497));
        assert_eq!(word("res=0 flags=65536(CLONE_FS|CLONE_THREAD) ", "flags"), Some("65536(CLONE_FS|CLONE_THREAD)"));
        let path = |args: &str| path(args).map(|(path, cut)| (path.into_string(), cut));
        let is = |text: &str| Some((text.to_owned(), false));
        assert_eq!(path("fd=3(<f>/a b) name=/a b flags=4097(O_RDONLY) mode=0 "), is("/a b"));
        assert_eq!(path("res=0 path=/etc/resolv.conf "), is("/etc/resolv.conf"));
        assert_eq!(path("dirfd=-100(AT_FDCWD) name=x(/home/x) flags=1 "), is("x"));
        assert_eq!(path("res=0 "), None);
        assert_eq!(path("filename=<NA> "), None);
        assert_eq!(path(&format!("res=0 path=/{}", "x".repeat(300))).map(|p| (p.0.len(), p.1)), Some((255, true)));
    }

    proptest! {
        #[test]
        fn any_arguments_are_survived(text in ".{0,80}", key in "(res|fd|name|path|pid)=.{0,20}") {
            for args in [&*text, &*key, &format!("{key} {text}")] {
                let _ = (returned("open", args), returned("mmap", args), fd(args), number(args, "pid"), path(args));
            }
        }
    }
}
