//! The section about people: where they come in, and which identity providers may say who they are.

use super::{FileReference, Issuer, IssuerError};
use identity::Name;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Where people come in.
#[derive(Clone, PartialEq, Debug)]
pub struct People {
    /// Where their browsers and command lines connect.
    pub listen: SocketAddr,
    /// The one origin of the pages. Its host is the relying party id of passkeys.
    pub url: Issuer,
    /// Identity providers, by name.
    pub providers: BTreeMap<Name, Provider>,
}

/// An identity provider that people log in at.
#[derive(Clone, PartialEq, Debug)]
pub struct Provider {
    /// `iss`. Over http only on loopback, where there is nobody in between.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// The file with our secret there; `None` for a public client.
    pub client_secret: Option<PathBuf>,
    /// The certificate authorities that it is trusted under; `None` for the system's.
    pub ca: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    listen: SocketAddr,
    url: String,
    #[serde(default)]
    providers: BTreeMap<String, ProviderSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderSection {
    issuer: String,
    client_id: String,
    client_secret: Option<FileReference>,
    ca: Option<PathBuf>,
}

impl People {
    /// Pages at `url`, without any identity provider: people come in by passkeys alone.
    pub const fn at(listen: SocketAddr, url: Issuer) -> Self {
        Self {
            listen,
            url,
            providers: BTreeMap::new(),
        }
    }
}

impl Section {
    /// Judges the section; relative paths are relative to `folder`. An error names its key.
    pub(super) fn judge(self, folder: &Path) -> Result<People, (&'static str, String)> {
        let url: Issuer = self
            .url
            .parse()
            .map_err(|why: IssuerError| ("people.url", why.to_string().replacen("issuer", "address", 1)))?;
        if url.host().parse::<IpAddr>().is_ok() {
            let why =
                "passkeys belong to a name, not to an address; on this host that is https://localhost:PORT";
            return Err(("people.url", why.to_owned()));
        }
        let providers = self
            .providers
            .into_iter()
            .map(|(name, provider)| {
                let name = name
                    .parse()
                    .map_err(|why: identity::NameError| ("people.providers", format!("\"{name}\": {why}")))?;
                if !is_usable(&provider.issuer) {
                    let why = "the issuer is an https:// URL without query and fragment; http:// works for a loopback address alone";
                    return Err(("people.providers", format!("{name}: {why}")));
                }
                if provider.client_id.is_empty() {
                    return Err(("people.providers", format!("{name}: client_id is empty")));
                }
                let provider = Provider {
                    issuer: provider.issuer,
                    client_id: provider.client_id,
                    client_secret: provider.client_secret.map(|it| folder.join(it.file)),
                    ca: provider.ca.map(|it| folder.join(it)),
                };
                Ok((name, provider))
            })
            .collect::<Result<_, _>>()?;
        Ok(People {
            listen: self.listen,
            url,
            providers,
        })
    }
}

/// OpenID Connect Discovery section 3: https, no query, no fragment. Plain http only where nobody can listen in.
pub(crate) fn is_usable(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else {
        return false;
    };
    let here = |host: &str| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    };
    let clear = uri.query().is_none() && !url.contains('#') && !url.contains('@');
    clear
        && match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(host)) => !host.is_empty(),
            (Some("http"), Some(host)) => here(host),
            _ => false,
        }
}
