//! Users by name and number, as `/etc/passwd` has them.

use std::path::PathBuf;

/// An account of this host.
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    home: PathBuf,
}

/// All of them.
pub(super) fn accounts() -> Vec<Account> {
    parse(&String::from_utf8_lossy(&std::fs::read("/etc/passwd").unwrap_or_default()))
}

fn parse(passwd: &str) -> Vec<Account> {
    let one = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, _, _, home, ..] = fields[..] else { return None };
        Some(Account { name: name.into(), uid: uid.parse().ok()?, home: home.into() })
    };
    passwd.lines().filter_map(one).collect()
}

/// The folder of a user.
pub(super) fn home_of(uid: u32) -> Option<PathBuf> {
    accounts().into_iter().find(|a| a.uid == uid).map(|a| a.home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_and_broken_lines_passed_over() {
        let all = parse("root:x:0:0:root:/root:/bin/bash\nbroken\n:::\nweb:x:33:33::/var/www:/bin/sh\n");
        let of = |a: &Account| (a.name.clone(), a.uid, a.home.clone());
        assert_eq!(
            all.iter().map(of).collect::<Vec<_>>(),
            [("root".into(), 0, "/root".into()), ("web".into(), 33, "/var/www".into())]
        );
        assert_eq!(home_of(0), Some("/root".into()));
    }
}
