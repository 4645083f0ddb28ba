//! Contexts: where a server is and how to know it again. Written by whoever starts a server, read by every command.
//!
//! A context holds no authority: no token, no key. Who may do what is decided by the uid that connects to the admin
//! socket. What it does hold is what must not come from the server itself: the pin of its certificate authority and
//! the public key of its log.

use identity::{Digest, Name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Largest context file in bytes: hundreds of contexts.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// One installation, as its clients know it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// The Unix socket of the admin plane, where the server is on this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) admin_socket: Option<PathBuf>,
    /// Base URL of the server, `iss` of its credentials.
    pub(crate) issuer: String,
    /// The server's address for people, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) people: Option<String>,
    /// SHA-256 of the root certificate in DER.
    pub(crate) ca_pin: Digest,
    /// The root certificate in PEM; believed only if it has that digest.
    pub(crate) ca_file: PathBuf,
    /// Public key of the server's log, as C2SP vkey. Only a person or the server's own host says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log_vkey: Option<String>,
    /// The launch socket of the node agent on this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) launch_socket: Option<PathBuf>,
}

/// The file of contexts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Which one commands use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, Context>,
}

/// Why there is no context.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextError {
    /// No server was ever started or joined by this user.
    #[error("no server is known here: {} does not exist", .0.display())]
    NoFile(PathBuf),
    /// The file is not one.
    #[error("{} is not a file of contexts: {why}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// No such context.
    #[error("there is no context {wanted}; there are: {}", known.join(", "))]
    Unknown {
        /// The one asked for.
        wanted: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// Not a name that can stand in a file name.
    #[error("{0:?} is not a name for a context: {1}")]
    Name(String, identity::NameError),
    /// No home directory.
    #[error("neither TABARD_CONFIG_DIR, XDG_CONFIG_HOME nor HOME is set")]
    NoHome,
    /// The file system.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// `TABARD_CONFIG_DIR`, or `tabard` below `XDG_CONFIG_HOME` or `~/.config`.
pub(crate) fn config_dir() -> Result<PathBuf, ContextError> {
    directory("TABARD_CONFIG_DIR", "XDG_CONFIG_HOME", ".config")
}

/// `TABARD_STATE_DIR`, or `tabard` below `XDG_STATE_HOME` or `~/.local/state`.
pub(crate) fn state_dir() -> Result<PathBuf, ContextError> {
    directory("TABARD_STATE_DIR", "XDG_STATE_HOME", ".local/state")
}

/// The context called `wanted`, or the current one; with its name.
pub(crate) fn read(wanted: Option<&str>) -> Result<(String, Context), ContextError> {
    let path = path()?;
    let file = read_file(&path)?.ok_or_else(|| ContextError::NoFile(path.clone()))?;
    let only = || file.contexts.keys().next().filter(|_| file.contexts.len() == 1);
    let name = wanted
        .or(file.current.as_deref())
        .or_else(|| only().map(String::as_str));
    let name = name.ok_or_else(|| ContextError::Unknown {
        wanted: "(none chosen: use --context)".to_owned(),
        known: file.contexts.keys().cloned().collect(),
    })?;
    match file.contexts.get(name) {
        Some(context) => Ok((name.to_owned(), context.clone())),
        None => Err(ContextError::Unknown {
            wanted: name.to_owned(),
            known: file.contexts.keys().cloned().collect(),
        }),
    }
}

/// Writes a context and makes it the current one if there is none yet. Readable by its owner only.
pub(crate) fn write(name: &str, context: &Context) -> Result<PathBuf, ContextError> {
    let name: Name = name
        .parse()
        .map_err(|error| ContextError::Name(name.to_owned(), error))?;
    let path = path()?;
    let mut file = read_file(&path)?.unwrap_or_default();
    file.contexts.insert(name.to_string(), context.clone());
    file.current.get_or_insert_with(|| name.to_string());
    let text = toml::to_string(&file).map_err(|error| ContextError::Malformed {
        path: path.clone(),
        why: error.to_string(),
    })?;
    replace(&path, text.as_bytes())?;
    Ok(path)
}

/// Says where the launch socket of this host is: in the context of that name if it is of the same installation,
/// otherwise in `fresh`, which is written under that name.
pub(crate) fn launch_here(
    name: &str,
    fresh: Context,
    launch_socket: PathBuf,
) -> Result<PathBuf, ContextError> {
    let known = read_file(&path()?)?.and_then(|mut file| file.contexts.remove(name));
    let mut context = known
        .filter(|known| known.ca_pin == fresh.ca_pin)
        .unwrap_or(fresh);
    context.launch_socket = Some(launch_socket);
    write(name, &context)
}

/// Replaces a file of the user's own in one step, so that no reader sees half of it.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ContextError> {
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| ContextError::Io { what, path, source }
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed("make", folder))?;
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&draft).map_err(failed("write", &draft))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed("write", &draft))?;
    std::fs::rename(&draft, path).map_err(failed("replace", path))
}

fn path() -> Result<PathBuf, ContextError> {
    Ok(config_dir()?.join("contexts.toml"))
}

fn read_file(path: &Path) -> Result<Option<File>, ContextError> {
    let io = |source| ContextError::Io {
        what: "read",
        path: path.to_owned(),
        source,
    };
    let malformed = |why: String| ContextError::Malformed {
        path: path.to_owned(),
        why,
    };
    let size = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    if size > FILE_BYTES_MAX {
        return Err(malformed(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(io)?;
    toml::from_str(&text)
        .map(Some)
        .map_err(|error| malformed(error.to_string().trim_end().to_owned()))
}

fn directory(own: &str, base: &str, below_home: &str) -> Result<PathBuf, ContextError> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set(own)
        .or_else(|| set(base).map(|base| base.join("tabard")))
        .or_else(|| set("HOME").map(|home| home.join(below_home).join("tabard")))
        .ok_or(ContextError::NoHome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context {
            admin_socket: Some("/run/tabard/admin.sock".into()),
            issuer: "https://127.0.0.1:7443".into(),
            people: None,
            ca_pin: Digest::from_bytes([1; 32]),
            ca_file: "/data/root.pem".into(),
            log_vkey: Some("dev.tabard/log/0+00000000+AQ".into()),
            launch_socket: None,
        }
    }

    #[test]
    fn a_file_of_contexts_reads_back_and_refuses_what_it_does_not_know() {
        let file = File {
            current: Some("dev".into()),
            contexts: [("dev".to_owned(), context())].into(),
        };
        let text = toml::to_string(&file).unwrap();
        assert_eq!(toml::from_str::<File>(&text).unwrap(), file);
        let more = text.replace("issuer =", "token = \"x\"\nissuer =");
        assert!(toml::from_str::<File>(&more).is_err());
    }
}
