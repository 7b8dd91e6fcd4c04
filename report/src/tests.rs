use crate::sample;
#[test]
#[ignore = "writes pictures to look at, into $OSD_LOOK"]
fn look() {
    let Some(dir) = std::env::var_os("OSD_LOOK") else { return };
    let dir = std::path::Path::new(&dir);
    let options = crate::Options { force: true };
    for (name, findings) in [
        ("incident", sample::incident()),
        ("many", sample::many_windows(12)),
        ("quiet", sample::quiet()),
        ("hostile", sample::hostile()),
        ("empty", Default::default()),
    ] {
        crate::write(&dir.join(name), &findings, &options).unwrap();
    }
}
