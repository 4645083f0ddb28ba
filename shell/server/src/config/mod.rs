//! The server's configuration: one TOML file, parsed completely before anything listens.
//!
//! Unknown keys are errors with the nearest known one; secrets stand in it only by reference. There is no hot
//! reload and no environment override here: what the file says is what runs until the next start.

mod issuer;
mod known;
mod people;

pub use issuer::{Issuer, IssuerError};
pub(crate) use people::is_usable;
pub use people::{People, Provider};

use broker::succession::FourEyes;
use identity::TrustDomain;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A complete configuration with every setting and a comment for each: what `docs/reference/config.md` shows.
pub const EXAMPLE: &str = include_str!("example.toml");

/// Largest configuration file in bytes; ours has under 4 KiB, and a larger one is some other file.
pub const CONFIG_BYTES_MAX: u64 = 256 * 1024;

/// Everything the server needs to know before it starts.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Where the store, the log and the sealed keys live.
    pub data_dir: PathBuf,
    /// Where HTTPS is served.
    pub listen: SocketAddr,
    /// `iss` of every credential, and the base of every URL in the discovery documents.
    pub issuer: Issuer,
    /// Namespace of every SPIFFE ID of the installation.
    pub trust_domain: TrustDomain,
    /// Further DNS names or addresses in the server's own certificate, besides the issuer's host and loopback.
    pub tls_names: Vec<String>,
    /// The file with the key-encryption key.
    pub kek: PathBuf,
    /// Where the newest checkpoint is kept outside the data directory.
    pub checkpoint_copy: PathBuf,
    /// The Unix socket of the admin plane.
    pub admin_socket: PathBuf,
    /// Where people come in; `None` where nobody does.
    pub people: Option<People>,
    /// Which changes of a contract take two people.
    pub four_eyes: FourEyes,
    /// Authorities that webhooks' certificates must come from; `None` for the system's.
    pub webhook_ca: Option<PathBuf>,
    /// Connections at once; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Token requests at once; more are told to come back.
    pub exchanges_max: usize,
}

/// Why a configuration is not one. Each message says where, and what to write instead.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Larger than 256 KiB.
    #[error("{path} is larger than {CONFIG_BYTES_MAX} bytes; is it the right file?")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not TOML, or a value of the wrong type; the message has line and column.
    #[error("{path}: {message}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The TOML reader's message.
        message: String,
    },
    /// A key that nobody reads.
    #[error("{path}: there is no setting \"{key}\"{}", hint(.nearest.as_ref()))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key with its section.
        key: String,
        /// The nearest known one.
        nearest: Option<String>,
    },
    /// A value that cannot work.
    #[error("{path}: {key}: {problem}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key with its section.
        key: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
}

fn hint(nearest: Option<&String>) -> String {
    nearest
        .map(|it| format!("; did you mean \"{it}\"?"))
        .unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    server: ServerSection,
    keys: KeysSection,
    log: LogSection,
    #[serde(default)]
    admin: AdminSection,
    people: Option<people::Section>,
    #[serde(default)]
    contracts: ContractsSection,
    #[serde(default)]
    webhooks: WebhooksSection,
    #[serde(default)]
    limits: LimitsSection,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerSection {
    data_dir: PathBuf,
    listen: SocketAddr,
    issuer: String,
    trust_domain: String,
    #[serde(default)]
    tls_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysSection {
    kek: FileReference,
}

/// A secret by reference. Only files: a systemd credential is one, and an environment variable is seen by children.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileReference {
    pub(super) file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogSection {
    checkpoint_copy: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AdminSection {
    socket: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContractsSection {
    four_eyes: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhooksSection {
    ca: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsSection {
    connections_max: usize,
    exchanges_max: usize,
}

impl Default for LimitsSection {
    fn default() -> Self {
        // A connection costs about 40 KiB of buffers: 4,096 are 160 MiB at the worst. An exchange costs under
        // 300 µs of processor: 512 in flight are a queue of 80 ms on two cores.
        Self {
            connections_max: 4096,
            exchanges_max: 512,
        }
    }
}

impl Config {
    /// Reads and judges the file at `path`. Relative paths in it are relative to its folder.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        };
        if std::fs::metadata(path).map_err(unreadable)?.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge {
                path: path.to_owned(),
            });
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(unreadable)?)
    }

    /// Judges `text`; `path` is where it came from.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let malformed = |error: toml::de::Error| ConfigError::Malformed {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        };
        let table: toml::Table = text.parse().map_err(malformed)?;
        if let Some((key, nearest)) = known::first_unknown(&table) {
            return Err(ConfigError::UnknownKey {
                path: path.to_owned(),
                key,
                nearest,
            });
        }
        let file: File = toml::from_str(text).map_err(malformed)?;
        file.judge(path)
    }
}

impl File {
    fn judge(self, path: &Path) -> Result<Config, ConfigError> {
        let value = |key, problem: String| ConfigError::Value {
            path: path.to_owned(),
            key,
            problem,
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        let data_dir = folder.join(self.server.data_dir);
        let outside = |key, place: PathBuf| {
            let place = folder.join(place);
            if place.starts_with(&data_dir) {
                let why = format!(
                    "{} lies inside the data directory; put it on another volume",
                    place.display()
                );
                return Err(value(key, why));
            }
            Ok(place)
        };
        let issuer = self
            .server
            .issuer
            .parse()
            .map_err(|why: IssuerError| value("server.issuer", why.to_string()))?;
        let trust_domain = self.server.trust_domain.parse();
        if self.limits.connections_max == 0 || self.limits.exchanges_max == 0 {
            return Err(value(
                "limits",
                "a limit of 0 would refuse everybody; leave it out for the default".into(),
            ));
        }
        let four_eyes = self.contracts.four_eyes.map_or(Ok(FourEyes::Widening), |word| {
            let known = FourEyes::ALL.iter().copied().find(|known| known.as_str() == word);
            known.ok_or_else(|| {
                let problem = format!("{word:?} is not one of off, widening, always");
                value("contracts.four_eyes", problem)
            })
        })?;
        Ok(Config {
            four_eyes,
            webhook_ca: self.webhooks.ca.map(|it| folder.join(it)),
            listen: self.server.listen,
            issuer,
            trust_domain: trust_domain
                .map_err(|why: identity::SpiffeIdError| value("server.trust_domain", why.to_string()))?,
            tls_names: self.server.tls_names,
            kek: outside("keys.kek", self.keys.kek.file)?,
            checkpoint_copy: outside("log.checkpoint_copy", self.log.checkpoint_copy)?,
            admin_socket: self
                .admin
                .socket
                .map_or_else(|| data_dir.join("admin.sock"), |it| folder.join(it)),
            people: self
                .people
                .map(|section| section.judge(folder))
                .transpose()
                .map_err(|(key, problem)| value(key, problem))?,
            connections_max: self.limits.connections_max,
            exchanges_max: self.limits.exchanges_max,
            data_dir,
        })
    }
}

#[cfg(test)]
mod tests;
