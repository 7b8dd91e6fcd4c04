use super::*;
use std::os::unix::fs::symlink;

fn write(path: &Path, force: bool, text: &str) -> Result<()> {
    let mut file = OutputFile::create(path, force)?;
    file.write_all(text.as_bytes()).unwrap();
    file.finish()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_has_no_name_until_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let mut file = OutputFile::create(&path, false).unwrap();
    file.write_all(b"1").unwrap();
    assert!(!path.exists());
    drop(file);
    assert_eq!(names(dir.path()), Vec::<String>::new());
    write(&path, false, "2").unwrap();
    assert!(matches!(write(&path, false, "3"), Err(Error::Exists { .. })));
    write(&path, true, "4").unwrap();
    assert_eq!((std::fs::read_to_string(&path).unwrap(), names(dir.path())), ("4".into(), vec!["a".to_owned()]));
}

#[test]
fn what_appears_meanwhile_is_not_replaced_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let file = OutputFile::create(&path, false).unwrap();
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(file.finish(), Err(Error::Exists { .. })));
    let file = OutputFile::create(&path, true).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(file.finish(), Err(Error::NotReplaceable { .. })));
    std::fs::remove_dir(&path).unwrap();
    let file = OutputFile::create(&path, true).unwrap();
    symlink("nowhere", &path).unwrap();
    assert!(matches!(file.finish(), Err(Error::DanglingLink { .. })));
    assert!(path.symlink_metadata().unwrap().is_symlink());
    assert_eq!(names(dir.path()), ["a"]);
}

/// The way of file systems that have no files without names.
#[test]
fn a_named_temporary_ends_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let begin = |force: bool| {
        let named = tempfile::Builder::new().prefix(&prefix(&path)).suffix(SUFFIX).tempfile_in(dir.path()).unwrap();
        let mut file = OutputFile { path: path.clone(), force, sink: Sink::Named(named, path.clone()) };
        file.write_all(b"new").unwrap();
        file
    };
    drop(begin(false));
    assert_eq!(names(dir.path()), Vec::<String>::new());
    begin(false).finish().unwrap();
    assert!(matches!(begin(false).finish(), Err(Error::Exists { .. })));
    std::fs::write(&path, "old").unwrap();
    begin(true).finish().unwrap();
    assert_eq!((std::fs::read_to_string(&path).unwrap(), names(dir.path())), ("new".into(), vec!["a".to_owned()]));
    std::fs::remove_file(&path).unwrap();
    let late = begin(true);
    symlink("nowhere", &path).unwrap();
    assert!(matches!(late.finish(), Err(Error::DanglingLink { .. })));
    assert!(path.symlink_metadata().unwrap().is_symlink());
}

#[test]
fn a_recording_that_cannot_settle_keeps_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let (from, path) = (dir.path().join("data"), dir.path().join("a"));
    std::fs::write(&from, "rows").unwrap();
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(settle(&from, &path, false), Err(Error::Exists { .. })));
    assert_eq!(std::fs::read_to_string(&from).unwrap(), "rows");
    settle(&from, &path, true).unwrap();
    assert_eq!((std::fs::read_to_string(&path).unwrap(), names(dir.path())), ("rows".into(), vec!["a".to_owned()]));
    assert!(
        matches!(settle(&from, &path, true), Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound)
    );
}

#[test]
fn a_name_that_no_file_can_have_is_refused() {
    for path in ["no/such/", "..", "/"] {
        assert!(OutputFile::create(Path::new(path), true).is_err(), "{path}");
    }
    assert!(matches!(OutputFile::create(Path::new("-"), true), Err(Error::NotToStdout)));
}
