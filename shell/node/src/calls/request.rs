//! What a process of a run asked its listener for.

use super::Stopped;
use broker::upstream::Upstream;
use http::{Request, StatusCode, Uri};

/// A plain HTTP request, either through the proxy (absolute form) or under the base URL `/<upstream>/…`.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) method: String,
    pub(crate) uri: Uri,
    host: Option<String>,
}

impl Wanted {
    /// Reads the request's target.
    pub(crate) fn of<B>(request: &Request<B>) -> Result<Self, Stopped> {
        if request.method() == http::Method::CONNECT {
            return Err(Stopped::of(
                StatusCode::METHOD_NOT_ALLOWED,
                "CONNECT_NOT_SUPPORTED",
                "This listener takes plain http:// requests only: inside a tunnel nothing could be decided.",
                "address the upstream as http://; the gateway speaks TLS to it",
            ));
        }
        let uri = request.uri().clone();
        let host = match (uri.scheme_str(), uri.host()) {
            (Some("http"), Some(host)) => Some(host.to_ascii_lowercase()),
            (None, None) => None,
            _ => {
                return Err(Stopped::of(
                    StatusCode::BAD_REQUEST,
                    "TARGET_FORM",
                    "The request's target is neither http:// nor a path.",
                    "address the upstream as http://HOST/PATH",
                ));
            }
        };
        Ok(Self {
            method: request.method().as_str().to_owned(),
            uri,
            host,
        })
    }

    /// Whether the request is for this upstream.
    pub(crate) fn addresses(&self, upstream: &Upstream) -> bool {
        match &self.host {
            Some(host) => upstream.hosts.contains(host),
            None => self.uri.path().split('/').nth(1) == Some(upstream.name.as_str()),
        }
    }

    /// The path at the upstream.
    pub(crate) fn path(&self, upstream: &Upstream) -> Option<String> {
        let path = self.uri.path();
        if self.host.is_some() {
            return Some(path.to_owned());
        }
        let rest = path.strip_prefix('/')?.strip_prefix(upstream.name.as_str())?;
        rest.starts_with('/').then(|| rest.to_owned())
    }
    pub(crate) fn query(&self) -> Option<&[u8]> {
        self.uri.query().map(str::as_bytes)
    }
    /// Whether it came through the proxy.
    pub(crate) const fn is_absolute(&self) -> bool {
        self.host.is_some()
    }
    /// For the record: never the query, which may carry personal data.
    pub(crate) fn shown(&self) -> String {
        match &self.host {
            Some(host) => format!("http://{host}{}", self.uri.path()),
            None => self.uri.path().to_owned(),
        }
    }
}
