//! `tabard audit export`: the log as C2SP tlog-tiles, for tools of others.

use super::tiles::{HEAD, Plane, exactly};
use crate::cli::page::Page;
use crate::cli::{Exit, Failure, Place};
use audit::checkpoint::verify_checkpoint;
use audit::note::NoteKey;
use audit::tile::{TilePath, TileSource as _};
use std::path::Path;

pub(super) fn run(dir: &Path, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        Failure::new("EXPORT", format!("{} cannot be written", path.display()))
            .because(error.to_string())
            .fix("Choose a directory of your own.")
    };
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
    if std::fs::read_dir(dir)
        .map_err(|error| failed(dir, &error))?
        .next()
        .is_some()
    {
        return Err(Failure::new("EXPORT", format!("{} is not empty", dir.display()))
            .because("an export that is mixed with an older one verifies as neither")
            .fix("Choose a new directory."));
    }
    let unread = |error: audit::tile::ReadError| {
        Failure::new("EXPORT", "The log cannot be read.")
            .because(error.to_string())
            .fix("It takes the role auditor over the whole installation; see `tabard status`.")
    };
    let key: NoteKey = at
        .context
        .log_vkey
        .as_deref()
        .unwrap_or_default()
        .parse()
        .map_err(|error: audit::note::NoteKeyError| {
            Failure::new("VKEY", "The context's log_vkey is not a key.").because(error.to_string())
        })?;
    let tiles = Plane(&at.admin);
    let head = tiles.read(HEAD).map_err(unread)?;
    let signed = verify_checkpoint(&head, &key).map_err(|error| {
        Failure::new("EXPORT", "The log's checkpoint is not to be believed.").because(error.to_string())
    })?;
    let size = signed.get().size;
    let write = |path: &Path, bytes: &[u8]| {
        let parent = path.parent().unwrap_or(dir);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(path, bytes))
            .map_err(|error| failed(path, &error))
    };
    for path in TilePath::of_tree(size) {
        write(
            &dir.join(path.to_string()),
            &exactly(&tiles, path).map_err(unread)?,
        )?;
    }
    for path in TilePath::bundles_of_tree(size) {
        write(
            &dir.join(path.to_string()),
            &tiles.read(&path.to_string()).map_err(unread)?,
        )?;
    }
    // Last, so that an export that was interrupted is not mistaken for a whole one.
    write(&dir.join(HEAD), &head)?;
    page.note(&format!(
        "{size} entries of {} in {}",
        signed.get().origin,
        dir.display()
    ));
    page.note(&format!(
        "check it anywhere: tabard audit verify {} --vkey '{key}'",
        dir.display()
    ));
    Ok(Exit::Done)
}
