//! The folder of a service's SVID: key, certificate and authorities, that are never seen mixed.
//!
//! ```text
//! DIR/key.pem, svid.pem, bundle.pem, service.json   links to ..data/NAME
//! DIR/..data                                        a link to the newest generation
//! DIR/..1732300000000-4711/                         one generation: the files themselves
//! ```
//!
//! A generation is written whole and synced, then `..data` is renamed over: whoever opens the files before that gets the old
//! ones, whoever does after gets the new ones. It is the layout of mounted secrets in Kubernetes, so that what watches
//! those for a rename watches this.

use crate::cli::{Failure, page};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity::UnixTime;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use sync::Member;

/// The private key, PKCS#8.
const KEY: &str = "key.pem";
/// The SVID, leaf first.
const SVID: &str = "svid.pem";
/// The authorities of the trust domain.
const BUNDLE: &str = "bundle.pem";
/// What they are of, and until when.
const ABOUT: &str = "service.json";
/// Where the newest generation is.
const DATA: &str = "..data";
/// The same while it is made.
const NEXT: &str = "..data.new";
/// Held while files are replaced.
const LOCK: &str = "..lock";
/// Held by whoever keeps the folder fresh.
const WATCH: &str = "..watch";
/// How generations begin.
const GENERATION: &str = "..";
/// Generations kept: the newest, and the one that a reader may be in the middle of.
const KEPT: usize = 2;
/// Characters of a line (RFC 7468 section 2).
const LINE: usize = 64;

/// A folder of a service's SVID.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// What a generation is of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) spiffe_id: String,
    pub(super) renew_url: String,
    pub(super) expires_at: String,
    pub(super) renewable_until: String,
    /// When the files were written, by this host's clock.
    pub(super) written_at: String,
}

/// An SVID with its key, as a client shows it.
pub(super) struct Held {
    pub(super) about: About,
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) authorities: Vec<CertificateDer<'static>>,
}

/// Ends with the one who has it.
#[derive(Debug)]
pub(super) struct Alone(#[expect(dead_code, reason = "the lock ends with the file")] File);

impl Folder {
    /// A folder that there is.
    pub(super) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where a file is.
    pub(super) fn svid(&self) -> PathBuf {
        self.0.join(SVID)
    }

    /// Waits until nobody else replaces files.
    pub(super) fn lock(&self) -> Result<Alone, Failure> {
        let path = self.0.join(LOCK);
        let locked = || -> io::Result<File> {
            let file = private(&path)?;
            file.lock()?;
            Ok(file)
        };
        locked().map(Alone).map_err(|error| failed(&path, &error))
    }

    /// Keeps the folder for one watcher.
    pub(super) fn watch(&self) -> Result<Alone, Failure> {
        let path = self.0.join(WATCH);
        let file = private(&path).map_err(|error| failed(&path, &error))?;
        file.try_lock().map_err(|error| {
            Failure::new(
                "SERVICE_WATCHED",
                format!("{} is kept fresh already", self.0.display()),
            )
            .because(error.to_string())
            .fix("One program renews for a folder: two would each leave the other's key behind.")
        })?;
        Ok(Alone(file))
    }

    /// The newest generation.
    pub(super) fn read(&self) -> Result<Held, Failure> {
        let unusable = |path: &Path, why: &dyn std::fmt::Display| {
            Failure::new("SERVICE_FILES", format!("{} cannot be used", path.display()))
                .because(why.to_string())
                .fix("Let an operator write a first SVID: tabard service svid NAME --out DIR")
        };
        // Through the link once, so that all four are of one generation.
        let data = self.0.join(DATA);
        let generation = data.canonicalize().map_err(|error| unusable(&data, &error))?;
        let certificates = |name: &str| -> Result<Vec<CertificateDer<'static>>, Failure> {
            let path = generation.join(name);
            let read = CertificateDer::pem_file_iter(&path).and_then(Iterator::collect);
            let read: Vec<_> = read.map_err(|error| unusable(&path, &error))?;
            if read.is_empty() {
                return Err(unusable(&path, &"it holds no certificate"));
            }
            Ok(read)
        };
        let (key, about) = (generation.join(KEY), generation.join(ABOUT));
        let text = std::fs::read(&about).map_err(|error| unusable(&about, &error))?;
        Ok(Held {
            about: serde_json::from_slice(&text).map_err(|error| unusable(&about, &error))?,
            chain: certificates(SVID)?,
            key: PrivateKeyDer::from_pem_file(&key).map_err(|error| unusable(&key, &error))?,
            authorities: certificates(BUNDLE)?,
        })
    }

    /// Puts a new key and what was issued for it in the place of the files that are there.
    pub(super) fn write(&self, key: &Member, issued: &Value, now: UnixTime) -> Result<About, Failure> {
        let PrivateKeyDer::Pkcs8(pkcs8) = key.tls_key() else {
            return Err(failed(&self.0, &"the key is not PKCS#8"));
        };
        let certificates = |name: &str| -> String {
            let certificates = page::items(issued, name).iter().filter_map(Value::as_str);
            certificates.map(|der| pem("CERTIFICATE", der)).collect()
        };
        let member = |name: &str| page::text(issued, name);
        let about = About {
            spiffe_id: member("spiffe_id"),
            renew_url: member("renew_url"),
            expires_at: member("expires_at"),
            renewable_until: member("renewable_until"),
            written_at: now.rfc3339(),
        };
        let told = serde_json::to_string_pretty(&about).map_err(|error| failed(&self.0, &error))?;
        let files = [
            (
                KEY,
                pem("PRIVATE KEY", &STANDARD.encode(pkcs8.secret_pkcs8_der())),
            ),
            (SVID, certificates("chain")),
            (BUNDLE, certificates("authorities")),
            (ABOUT, format!("{told}\n")),
        ];
        let name = format!("{GENERATION}{:013}-{}", now.millis(), std::process::id());
        self.swap(&name, &files)
            .map_err(|error| failed(&self.0, &error))?;
        Ok(about)
    }

    fn swap(&self, name: &str, files: &[(&str, String)]) -> io::Result<()> {
        for (file, _) in files {
            // A file of somebody else's could not be replaced together with the others.
            let found = std::fs::symlink_metadata(self.0.join(file));
            if found.is_ok_and(|found| !found.is_symlink()) {
                return Err(io::Error::other(format!(
                    "{file} in it was not written by this command"
                )));
            }
        }
        let generation = self.0.join(name);
        DirBuilder::new().mode(0o700).create(&generation)?;
        for (file, text) in files {
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(generation.join(file))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
        }
        File::open(&generation)?.sync_all()?;
        let next = self.0.join(NEXT);
        gone(std::fs::remove_file(&next))?;
        symlink(name, &next)?;
        std::fs::rename(&next, self.0.join(DATA))?;
        for (file, _) in files {
            match symlink(Path::new(DATA).join(file), self.0.join(file)) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        File::open(&self.0)?.sync_all()?;
        self.forget()
    }

    /// Removes the generations that nobody reads any more.
    fn forget(&self) -> io::Result<()> {
        let mut generations = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_ours = name.to_str().is_some_and(is_generation);
            if is_ours && entry.file_type()?.is_dir() {
                generations.push(entry.path());
            }
        }
        // Their names begin with the time.
        generations.sort();
        let surplus = generations.len().saturating_sub(KEPT);
        generations
            .iter()
            .take(surplus)
            .try_for_each(std::fs::remove_dir_all)
    }
}

fn is_generation(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.strip_prefix(GENERATION)
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(millis, process)| millis.len() == 13 && digits(millis) && digits(process))
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn pem(label: &str, base64: &str) -> String {
    let mut lines = vec![format!("-----BEGIN {label}-----")];
    let mut rest = base64;
    while let Some((line, more)) = rest.split_at_checked(LINE) {
        lines.push(line.to_owned());
        rest = more;
    }
    if !rest.is_empty() {
        lines.push(rest.to_owned());
    }
    lines.push(format!("-----END {label}-----\n"));
    lines.join("\n")
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new("SERVICE_FILES", format!("{} cannot be used", path.display()))
        .because(why.to_string())
        .fix("Choose a folder that exists, is yours, and holds nothing but what this command writes.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn issued(serial: u64) -> Value {
        let der = STANDARD.encode(serial.to_be_bytes());
        json!({
            "spiffe_id": "spiffe://x/a/svc/b", "renew_url": "https://x", "expires_at": "e", "renewable_until": "r",
            "chain": [der], "authorities": [der],
        })
    }

    #[test]
    fn pem_has_lines_of_64_characters() {
        let text = pem("X", &"A".repeat(130));
        let lines: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(lines, [17, 64, 64, 2, 15]);
        assert_eq!(pem("X", &"A".repeat(64)).lines().count(), 3);
        assert!(text.ends_with("-----END X-----\n"));
    }

    #[test]
    fn files_are_the_owners_alone_and_two_generations_stay() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(place.path());
        // What was broken off earlier is in nobody's way.
        symlink("nowhere", place.path().join(NEXT)).unwrap();
        for turn in 1..=4 {
            let now = UnixTime::from_secs(1_800_000_000 + turn);
            folder.write(&Member::new().unwrap(), &issued(turn), now).unwrap();
        }
        for (name, mode) in [(KEY, 0o600), (SVID, 0o600), (BUNDLE, 0o600), (DATA, 0o700)] {
            let found = std::fs::metadata(place.path().join(name)).unwrap();
            assert_eq!(found.permissions().mode() & 0o777, mode, "{name}");
        }
        let dirs = std::fs::read_dir(place.path()).unwrap();
        let dirs = dirs.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_dir());
        assert_eq!(dirs.count(), KEPT);
        let held = folder.read().unwrap();
        assert_eq!(held.chain.first().unwrap().as_ref(), 4_u64.to_be_bytes());
        assert_eq!(
            held.about.written_at,
            UnixTime::from_secs(1_800_000_004).rfc3339()
        );
    }

    #[test]
    fn a_folder_with_other_files_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join(KEY), "another key").unwrap();
        let now = UnixTime::from_secs(1);
        let refused = Folder::at(place.path()).write(&Member::new().unwrap(), &issued(1), now);
        assert!(
            refused
                .unwrap_err()
                .text(str::to_owned)
                .contains("key.pem in it was not written")
        );
        assert_eq!(
            std::fs::read_to_string(place.path().join(KEY)).unwrap(),
            "another key"
        );
        assert!(Folder::at(place.path()).read().is_err());
    }

    #[test]
    fn one_program_watches_a_folder() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(place.path());
        let first = folder.watch().unwrap();
        assert!(folder.watch().is_err());
        drop(first);
        drop(folder.watch().unwrap());
    }

    /// A reader that follows the link once sees a key and the certificate that was issued for it, whatever happens meanwhile.
    #[test]
    fn key_and_certificate_are_never_seen_mixed() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(place.path());
        let write = |turn: u64| {
            let key = Member::new().unwrap();
            let PrivateKeyDer::Pkcs8(der) = key.tls_key() else {
                panic!("no PKCS#8")
            };
            // Its key in the place of a certificate: whether they belong together is seen by comparing.
            let own = STANDARD.encode(der.secret_pkcs8_der());
            let mut issued = issued(turn);
            issued["chain"] = json!([own]);
            let now = UnixTime::from_millis(1_800_000_000_000 + turn);
            folder.write(&key, &issued, now).unwrap();
        };
        write(0);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let (mut looks, mut seen) = (0_u32, std::collections::BTreeSet::new());
                while !done.load(Ordering::Relaxed) || looks < 100 {
                    // A generation may be gone that was begun to be read; it is never half of two.
                    if let Ok(held) = Folder::at(place.path()).read() {
                        assert_eq!(held.chain.first().unwrap().as_ref(), held.key.secret_der());
                        seen.insert(held.about.written_at);
                        looks += 1;
                    }
                }
                seen.len()
            });
            for turn in 1..60 {
                write(turn);
            }
            done.store(true, Ordering::Relaxed);
            assert!(reader.join().unwrap() > 1, "the reader saw it change");
        });
    }
}
