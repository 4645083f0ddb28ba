//! `tabard audit verify`: every entry, every tile, the signed head, and the head that was kept.

use super::kept::Kept;
use super::tiles::{Directory, HEAD, Server};
use crate::cli::https::Https;
use crate::cli::page::{Page, Tone};
use crate::cli::{Exit, Failure, Place};
use audit::checkpoint::{VerifiedCheckpoint, log_of_origin, verify_checkpoint};
use audit::note::NoteKey;
use audit::tile::{ReadError, TileSource};
use audit::verify::{Fault, Report, Verifier};
use clap::Args;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// A directory written by `audit export`, or the log folder of a data directory; without one, the running server
    dir: Option<PathBuf>,
    /// The log's public key as you were given it; without one, the context's. Never from the directory itself
    #[arg(long)]
    vkey: Option<String>,
    /// A checkpoint that you kept; without one, the context's own
    #[arg(long)]
    kept: Option<PathBuf>,
    /// Accept that the bytes of entries below this index were deleted by retention
    #[arg(long, default_value_t = 0)]
    pruned_below: u64,
}

pub(super) fn run(
    asked: &Verify,
    at: impl Fn() -> Result<Place, Failure>,
    page: &Page,
) -> Result<Exit, Failure> {
    // With a key and a directory, no installation has to be known: an auditor's machine knows none.
    let place = if asked.vkey.is_some() && asked.dir.is_some() {
        None
    } else {
        Some(at()?)
    };
    let vkey = asked
        .vkey
        .as_ref()
        .or_else(|| place.as_ref().and_then(|place| place.context.log_vkey.as_ref()));
    let key = key(vkey.map_or("", String::as_str))?;
    let log = log_of_origin(key.name()).ok_or_else(|| {
        Failure::new("VKEY", format!("{} is not the name of a log", key.name()))
            .fix("Use the key as `tabard status -o json` shows it.")
    })?;
    let kept = match (&asked.kept, &place) {
        (Some(file), _) => Some(Kept::at(file.clone())),
        (None, Some(place)) => Some(Kept::of(&place.name)?),
        (None, None) => None,
    };
    let before = kept.as_ref().map(|kept| kept.read(&key)).transpose()?.flatten();
    if let (Some(file), None) = (&asked.kept, &before) {
        return Err(
            Failure::new("FILE_UNREADABLE", format!("{} does not exist", file.display()))
                .fix("Check the path."),
        );
    }

    let mut verifier = Verifier::new(key.clone(), log).pruned_below(asked.pruned_below);
    if let Some(before) = &before {
        verifier = verifier.continuing(before.clone());
    }
    let source: Box<dyn TileSource + '_> = match (&asked.dir, &place) {
        (Some(dir), _) => Box::new(Directory(dir.clone())),
        (None, Some(place)) => Box::new(Server {
            site: Https::of(&place.context)?,
            admin: &place.admin,
        }),
        (None, None) => return Err(Failure::new("USAGE", "Say which log.").ending(Exit::Usage)),
    };
    let tiles = Pinned::new(&*source);
    let report = verifier.verify(&tiles);
    let newest = tiles.head(&key);
    say(&report, page);
    if !report.is_sound() {
        advise(report.fault.as_ref(), before.as_ref(), page);
        return Ok(Exit::Error);
    }
    // Only the context's own memory is kept up to date; a file given with --kept stays what it was.
    if let (Some(kept), Some((note, newest)), None) = (&kept, newest, &asked.kept)
        && before.is_none_or(|before| before.get().size < newest.get().size)
    {
        kept.write(&note)?;
        page.note(&format!(
            "kept the checkpoint of {} entries in {}",
            newest.get().size,
            kept.path()
        ));
    }
    Ok(Exit::Done)
}

fn key(text: &str) -> Result<NoteKey, Failure> {
    text.parse().map_err(|error: audit::note::NoteKeyError| {
        Failure::new("VKEY", "This is not the public key of a log.")
            .because(error.to_string())
            .fix("Use the key as `tabard status -o json` shows it.")
    })
}

/// A source whose head is read once: the log grows while it is verified.
struct Pinned<'a> {
    tiles: &'a dyn TileSource,
    head: RefCell<Option<Vec<u8>>>,
}

impl<'a> Pinned<'a> {
    const fn new(tiles: &'a dyn TileSource) -> Self {
        Self {
            tiles,
            head: RefCell::new(None),
        }
    }
    fn head(&self, key: &NoteKey) -> Option<(Vec<u8>, VerifiedCheckpoint)> {
        let note = self.head.borrow().clone()?;
        let verified = verify_checkpoint(&note, key).ok()?;
        Some((note, verified))
    }
}

impl TileSource for Pinned<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        let bytes = self.tiles.read(path)?;
        if path == HEAD {
            self.head.replace(Some(bytes.clone()));
        }
        Ok(bytes)
    }
}

fn say(report: &Report, page: &Page) {
    if page.is_json() {
        page.json(&json!({
            "sound": report.is_sound(),
            "origin": report.origin,
            "size": report.head.as_ref().map(|head| head.size),
            "root": report.head.as_ref().map(|head| head.root.to_string()),
            "entries": report.entries,
            "pruned": report.pruned,
            "tiles": report.tiles,
            "unknown_kinds": report.unknown_kinds,
            "continues": report.continues,
            "first_at": report.first_at.map(identity::UnixTime::rfc3339),
            "last_at": report.last_at.map(identity::UnixTime::rfc3339),
            "fault": report.fault.as_ref().map_or(Value::Null, |fault| fault.to_string().into()),
            "limits": report.limits(),
        }));
        return;
    }
    page.out(&report.to_string());
    let verdict = if report.is_sound() {
        page.tone(Tone::Good, "sound")
    } else {
        page.tone(Tone::Bad, "NOT SOUND")
    };
    page.line(&verdict);
}

/// What a person does after a fault. The evidence comes first.
fn advise(fault: Option<&Fault>, before: Option<&VerifiedCheckpoint>, page: &Page) {
    let advice = match fault {
        Some(Fault::Truncated { .. }) => {
            "An older export is shorter, too: if this one is, verify it with --vkey and the checkpoint you kept beside it (--kept). Otherwise entries were removed: keep this directory and the kept checkpoint as evidence."
        }
        Some(Fault::Fork { .. } | Fault::Root { .. }) => {
            "History was rewritten. Keep this directory and the kept checkpoint as evidence, and stop the server."
        }
        Some(Fault::Read(_)) => {
            "A part could not be read. Export again, or restore the missing files from a backup."
        }
        _ => "Keep this directory as evidence; compare with a backup or another export.",
    };
    page.note(&format!("  fix:     {advice}"));
    if before.is_none() {
        page.note("  note:    there was no earlier checkpoint to compare with");
    }
}
