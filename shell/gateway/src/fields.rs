//! Header fields on their way through: what an agent may not send, what an upstream may not answer.
//!
//! Names are compared as CGI and its heirs do, with `_` read as `-`, so that `X_Api_Key` is not another header.

use crate::problem::Problem;
use broker::upstream::{CallHeaders, Repeated};
use http::header::{CONNECTION, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

/// Longest request head in bytes: target and fields. Real ones stay under 8 KiB, tokens and proofs included.
pub(crate) const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Most header fields of a request.
pub(crate) const FIELDS_MAX: usize = 100;

/// Fields that end at this gateway: hop-by-hop (RFC 9110 section 7.6.1), Tabard's own, other authority than ours
/// (cookies), what rewrites method, host or path behind our back, and what claims where a request comes from.
const NEVER_FORWARDED: [&str; 29] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "dpop",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "tabard-approval",
    "tabard-justification",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Fields that end at this gateway on the way back; cookies are credentials.
const NEVER_RETURNED: [&str; 13] = [
    "alt-svc",
    "connection",
    "dpop-nonce",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-connection",
    "set-cookie",
    "set-cookie2",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a Connection header may list without changing what was decided on.
const CONNECTION_OPTIONS: [&str; 6] = [
    "close",
    "keep-alive",
    "te",
    "upgrade",
    "http2-settings",
    "proxy-connection",
];

/// Refuses a head over [`HEAD_BYTES_MAX`]: the connection's buffer alone lets somewhat longer ones through.
pub(crate) fn check_length(target: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let path = target.path_and_query().map_or(0, |text| text.as_str().len());
    let fields: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if path + fields <= HEAD_BYTES_MAX {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "HEAD_TOO_LONG",
        "The request's head is too long.",
        "a head has at most 32768 bytes",
        "send shorter header fields",
    ))
}

/// Refuses a Connection header that would strip fields which the decision looked at (RFC 9110 section 7.6.1).
pub(crate) fn check_connection(headers: &HeaderMap) -> Result<(), Problem> {
    for value in headers.get_all(CONNECTION) {
        let plain = value.to_str().is_ok_and(|text| {
            text.split(',').map(str::trim).all(|option| {
                option.is_empty() || CONNECTION_OPTIONS.iter().any(|o| o.eq_ignore_ascii_case(option))
            })
        });
        if !plain {
            return Err(Problem::bad_request(
                "CONNECTION_OPTIONS",
                "The Connection header lists fields of the request.",
                "a field that is stripped on the way is not the field that was decided on",
                "list nothing but close or keep-alive there",
            ));
        }
    }
    Ok(())
}

fn is_forwarded(name: &str) -> bool {
    let plain: std::borrow::Cow<'_, str> = if name.contains('_') {
        name.replace('_', "-").into()
    } else {
        name.into()
    };
    !NEVER_FORWARDED.contains(&&*plain) && !plain.starts_with("x-forwarded-") && !plain.ends_with("-identity")
}

/// The fields that go on to the upstream. `ours` are names that the gateway itself writes.
pub(crate) fn for_upstream(headers: HeaderMap, ours: &[&HeaderName]) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(headers.len() + 4);
    let mut last: Option<HeaderName> = None;
    let is_ours = |name: &str| ours.iter().any(|own| same(own.as_str(), name));
    for (name, value) in headers {
        // A repeated field comes without its name.
        let Some(name) = name.or_else(|| last.clone()) else {
            continue;
        };
        if is_forwarded(name.as_str()) && !is_ours(name.as_str()) {
            out.append(name.clone(), value);
        }
        last = Some(name);
    }
    out.insert(
        http::header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    out
}

/// Fields that whoever forwards the request writes or needs himself: what frames it, and where it came from.
const OF_THE_FORWARDER: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// The fields that a forwarder has to take out, besides those of `ours` that it overwrites by their very names.
pub(crate) fn to_remove(headers: &HeaderMap, ours: &[&HeaderName]) -> Vec<String> {
    let is_ours = |name: &str| ours.iter().any(|own| own.as_str() == name);
    let resembles = |name: &str| ours.iter().any(|own| same(own.as_str(), name));
    let its_own = |name: &str| OF_THE_FORWARDER.contains(&name) || name.starts_with("x-forwarded-");
    let mut names: Vec<String> = headers
        .keys()
        .map(HeaderName::as_str)
        .chain(["authorization", "dpop", "cookie", "proxy-authorization"])
        .filter(|name| (!is_forwarded(name) && !its_own(name)) || resembles(name))
        .filter(|name| !is_ours(name))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Equal for readers that take `_` for `-`.
fn same(a: &str, b: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte };
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| plain(a) == plain(b))
}

/// Removes from a response what is not for the agent.
pub(crate) fn for_agent(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|option| option.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in NEVER_RETURNED {
        headers.remove(name);
    }
}

/// Header fields as routes read them.
pub(crate) struct Fields<'h>(pub(crate) &'h HeaderMap);

impl CallHeaders for Fields<'_> {
    fn single(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut twins = self.0.keys().filter(|known| same(known.as_str(), name));
        let Some(only) = twins.next() else { return Ok(None) };
        if twins.next().is_some() || only.as_str() != name {
            return Err(Repeated);
        }
        let mut values = self.0.get_all(only).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().map(Some).map_err(|_| Repeated),
            _ => Err(Repeated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| {
                (
                    name.parse::<HeaderName>().unwrap(),
                    value.parse::<HeaderValue>().unwrap(),
                )
            })
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            })
    }

    #[test]
    fn nothing_that_carries_authority_or_origin_is_forwarded() {
        let sent = headers(&[
            ("authorization", "DPoP x"),
            ("dpop", "x"),
            ("cookie", "a=b"),
            ("x-api-key", "mine"),
            ("x-api-key", "mine too"),
            ("x_api_key", "mine again"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x_forwarded_host", "a"),
            ("x-user-identity", "root"),
            ("x-http-method-override", "DELETE"),
            ("proxy-authorization", "x"),
            ("te", "trailers"),
            ("accept", "a"),
            ("accept", "b"),
            ("accept-encoding", "gzip"),
        ]);
        let key: HeaderName = "x-api-key".parse().unwrap();
        let out = for_upstream(sent, &[&key]);
        let names: Vec<&str> = out.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["accept", "accept-encoding"]);
        assert_eq!(out.get_all("accept").iter().count(), 2);
        assert_eq!(out["accept-encoding"], "identity");
    }

    #[test]
    fn a_connection_header_strips_nothing_that_was_decided_on() {
        assert!(check_connection(&headers(&[("connection", "keep-alive, Close")])).is_ok());
        for listed in ["authorization", "x-tenant", "close, x-api-key", "content-type"] {
            assert!(
                check_connection(&headers(&[("connection", listed)])).is_err(),
                "{listed}"
            );
        }
    }

    #[test]
    fn an_argument_has_one_header() {
        let twice = headers(&[("x-a", "1"), ("x-a", "2")]);
        assert_eq!(Fields(&twice).single("x-a"), Err(Repeated));
        let twins = headers(&[("x-a", "1"), ("x_a", "2")]);
        assert_eq!(Fields(&twins).single("x-a"), Err(Repeated));
        assert_eq!(Fields(&headers(&[("x_a", "2")])).single("x-a"), Err(Repeated));
        assert_eq!(Fields(&headers(&[("x-a", "1")])).single("x-a"), Ok(Some("1")));
        assert_eq!(Fields(&headers(&[])).single("x-a"), Ok(None));
    }

    #[test]
    fn cookies_and_what_connection_names_do_not_come_back() {
        let mut answer = headers(&[
            ("set-cookie", "a"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("etag", "e"),
        ]);
        for_agent(&mut answer);
        assert_eq!(
            answer.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["etag"]
        );
    }
}
