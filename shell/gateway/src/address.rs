//! What a request asks for, by its target and Host: an upstream of ours by base URL, or a declared host through the
//! forward proxy (RFC 9112 section 3.2). Host, authority and what a DPoP proof names are one and the same.

use crate::problem::Problem;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode, Uri};

/// Whom a request addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whom {
    /// `/{upstream}/…` at a base URL of ours.
    Name(identity::Name),
    /// `http://host/…` through the forward proxy.
    Host(String),
}

/// A request's target, taken apart. Nothing in it was decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) whom: Whom,
    /// Path and query for the upstream, exactly as they came.
    pub(crate) path_and_query: String,
    /// Length of the path in `path_and_query`.
    path_length: usize,
    /// What a DPoP proof has to name (`htu`).
    pub(crate) htu: String,
}

impl Address {
    pub(crate) fn path(&self) -> &str {
        self.path_and_query.get(..self.path_length).unwrap_or_default()
    }
    pub(crate) fn query(&self) -> Option<&str> {
        self.path_and_query.get(self.path_length + 1..)
    }

    /// Reads a request's target; `public` are our own base URLs, without a trailing `/`.
    pub(crate) fn of(
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        public: &[String],
    ) -> Result<Self, Problem> {
        if *method == Method::CONNECT {
            return Err(Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "CONNECT_REFUSED",
                "CONNECT is refused.",
                "a tunnel would hide the requests that have to be decided, and no credential could be put into them",
                "use the upstream's base URL at this gateway, or plain http:// through this proxy: the gateway speaks TLS to the upstream",
            ));
        }
        let host = single_host(headers)?;
        match (uri.scheme_str(), uri.authority()) {
            (None, None) => {
                let base = public
                    .iter()
                    .find(|base| authority_of(base).eq_ignore_ascii_case(host));
                Self::by_base_url(base.ok_or_else(misdirected)?, uri)
            }
            (Some(scheme), Some(authority)) => {
                if !authority.as_str().eq_ignore_ascii_case(host) {
                    return Err(mismatch());
                }
                let ours = public.iter().find(|base| {
                    base.split_once("://")
                        .is_some_and(|(s, a)| s == scheme && a.eq_ignore_ascii_case(host))
                });
                match ours {
                    Some(base) => Self::by_base_url(base, uri),
                    None => Self::by_host(scheme, host, uri),
                }
            }
            _ => Err(misdirected()),
        }
    }

    /// A request that somebody else forwards: it names its upstream by a declared host, at whatever port they listen.
    pub(crate) fn behind(scheme: &str, authority: &str, target: &PathAndQuery) -> Result<Self, Problem> {
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => authority,
        };
        if !matches!(scheme, "http" | "https") || host.is_empty() || host.contains('@') {
            return Err(misdirected());
        }
        let path = target.path();
        let htu = format!("{scheme}://{authority}{path}");
        let whom = Whom::Host(host.to_ascii_lowercase());
        Ok(Self::with(whom, path, target.query(), htu))
    }

    fn by_base_url(base: &str, uri: &Uri) -> Result<Self, Problem> {
        let path = uri.path();
        let (name, rest) = path.strip_prefix('/').map_or(("", ""), |path| {
            path.split_at(path.find('/').unwrap_or(path.len()))
        });
        let name = name.parse().map_err(|_| undeclared())?;
        let rest = if rest.is_empty() { "/" } else { rest };
        let htu = format!("{base}{path}");
        Ok(Self::with(Whom::Name(name), rest, uri.query(), htu))
    }

    fn by_host(scheme: &str, authority: &str, uri: &Uri) -> Result<Self, Problem> {
        if scheme != "http" {
            return Err(Problem::bad_request(
                "PROXY_SCHEME",
                "Only http:// is proxied.",
                "the gateway itself speaks TLS to the upstream, and has to see the request",
                "write http:// instead of https:// for hosts that are declared here",
            ));
        }
        let host = authority
            .strip_suffix(":80")
            .unwrap_or(authority)
            .to_ascii_lowercase();
        let path = uri.path();
        let htu = format!("http://{authority}{path}");
        Ok(Self::with(Whom::Host(host), path, uri.query(), htu))
    }

    fn with(whom: Whom, path: &str, query: Option<&str>, htu: String) -> Self {
        let path_and_query = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        Self {
            whom,
            path_and_query,
            path_length: path.len(),
            htu,
        }
    }
}

fn authority_of(base: &str) -> &str {
    base.split_once("://").map_or("", |(_, authority)| authority)
}

fn single_host(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next().map(http::HeaderValue::to_str), hosts.next()) {
        (Some(Ok(host)), None) if !host.is_empty() && !host.contains('@') => Ok(host),
        _ => Err(Problem::bad_request(
            "HOST",
            "The request has no Host header, or more than one.",
            "a request has exactly one authority (RFC 9112 section 3.2)",
            "send one Host header",
        )),
    }
}

fn mismatch() -> Problem {
    Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "HOST_MISMATCH",
        "The Host header and the request target name different hosts.",
        "a request has exactly one authority (RFC 9112 section 3.2.2)",
        "send the Host of the target",
    )
}

fn misdirected() -> Problem {
    Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "HOST_UNKNOWN",
        "This gateway is not known under that host.",
        "proofs are made for a known base URL",
        "use the gateway's public URL, or tell the operator to add this one to its public URLs",
    )
}

/// The same answer whether an upstream exists elsewhere or not at all.
pub(crate) fn undeclared() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "UPSTREAM_UNDECLARED",
        "No upstream of that name or host is declared for you.",
        "the gateway forwards to declared upstreams only",
        "ask an author of your org to publish the upstream, or correct the name",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, uri: &str, hosts: &[&str]) -> Result<Address, &'static str> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, host.parse().unwrap());
        }
        let public = ["http://127.0.0.1:7070".to_owned()];
        Address::of(&method.parse().unwrap(), &uri.parse().unwrap(), &headers, &public).map_err(|p| p.code)
    }

    #[test]
    fn a_base_url_names_the_upstream_first() {
        let address = of("GET", "/invoices/a%20b/c?x=1&y=%2F", &["127.0.0.1:7070"]).unwrap();
        assert_eq!(address.whom, Whom::Name("invoices".parse().unwrap()));
        assert_eq!((address.path(), address.query()), ("/a%20b/c", Some("x=1&y=%2F")));
        assert_eq!(address.htu, "http://127.0.0.1:7070/invoices/a%20b/c");
        let bare = of("GET", "/invoices", &["127.0.0.1:7070"]).unwrap();
        assert_eq!((bare.path(), bare.query()), ("/", None));
        let absolute = of("GET", "http://127.0.0.1:7070/invoices/x", &["127.0.0.1:7070"]).unwrap();
        assert_eq!(absolute.whom, bare.whom);
    }

    #[test]
    fn a_forward_proxy_request_names_a_host() {
        let address = of("GET", "http://Invoices.Demo/a?b", &["invoices.demo"]).unwrap();
        assert_eq!(address.whom, Whom::Host("invoices.demo".into()));
        assert_eq!((address.path(), address.query()), ("/a", Some("b")));
    }

    #[test]
    fn one_authority_or_none() {
        for (method, uri, hosts, code) in [
            (
                "CONNECT",
                "invoices.demo:443",
                &["invoices.demo:443"][..],
                "CONNECT_REFUSED",
            ),
            (
                "GET",
                "http://invoices.demo/a",
                &["evil.example"],
                "HOST_MISMATCH",
            ),
            (
                "GET",
                "http://u@invoices.demo/a",
                &["invoices.demo"],
                "HOST_MISMATCH",
            ),
            (
                "GET",
                "https://invoices.demo/a",
                &["invoices.demo"],
                "PROXY_SCHEME",
            ),
            ("GET", "/invoices/a", &["evil.example"], "HOST_UNKNOWN"),
            ("GET", "/invoices/a", &[], "HOST"),
            (
                "GET",
                "/invoices/a",
                &["127.0.0.1:7070", "127.0.0.1:7070"],
                "HOST",
            ),
            ("GET", "/inv%6fices/a", &["127.0.0.1:7070"], "UPSTREAM_UNDECLARED"),
            ("GET", "//invoices/a", &["127.0.0.1:7070"], "UPSTREAM_UNDECLARED"),
            ("OPTIONS", "*", &["127.0.0.1:7070"], "UPSTREAM_UNDECLARED"),
        ] {
            assert_eq!(of(method, uri, hosts).unwrap_err(), code, "{method} {uri}");
        }
    }
}
