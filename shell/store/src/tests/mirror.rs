//! The directory as a machine that lost its power would find it: see `tests/shim/dropsync.c`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The shim, compiled once for all tests.
pub(super) fn shim() -> &'static Path {
    static SHIM: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = SHIM.get_or_init(|| {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("dropsync.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shim/dropsync.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&path, &source])
            .arg("-ldl")
            .status();
        assert!(built.unwrap().success(), "the shim needs a C compiler (cc)");
        (root, path)
    });
    path
}

/// Builds `to` from what the mirror holds.
pub(super) fn restore(mirror: &Path, to: &Path) {
    let root = fs::read_to_string(mirror.join("root")).unwrap();
    directory(mirror, root.trim(), to);
}

fn directory(mirror: &Path, id: &str, to: &Path) {
    fs::create_dir_all(to).unwrap();
    // Created but never fsynced: it has no names.
    let names = fs::read_to_string(mirror.join(format!("{id}.dir"))).unwrap_or_default();
    for line in names.lines() {
        let mut parts = line.splitn(3, ' ');
        let (id, kind, name) = (
            parts.next().unwrap(),
            parts.next().unwrap(),
            parts.next().unwrap(),
        );
        let place = to.join(name);
        if kind == "d" {
            directory(mirror, id, &place);
        } else if fs::copy(mirror.join(format!("{id}.file")), &place).is_err() {
            fs::write(&place, []).unwrap();
        }
    }
}
