//! A request as Envoy tells us of it, in the types that the rest of the gateway reads.

use super::auth_v3::AttributeContext;
use crate::address::Address;
use crate::fields;
use crate::problem::Problem;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use credential::sha256;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use identity::Thumbprint;

/// Longest certificate of a client, URL-encoded, in bytes.
const CERTIFICATE_BYTES_MAX: usize = 32 * 1024;

/// One request.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) address: Address,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What the client proved to Envoy's listener.
    pub(super) client: Option<Client>,
}

/// A client certificate that Envoy's listener verified.
#[derive(Debug)]
pub(super) struct Client {
    /// Its URI SAN.
    pub(super) principal: String,
    /// SHA-256 of the certificate.
    pub(super) certificate: Thumbprint,
}

impl Received {
    pub(super) fn of(attributes: AttributeContext) -> Result<Self, Problem> {
        let http = attributes.request.and_then(|request| request.http);
        let http = http.ok_or_else(|| malformed("it holds no HTTP request"))?;
        let method: Method = http.method.parse().map_err(|_| malformed("its method is none"))?;
        // The query is inside the path. One that is not could be read by one of two and not by the other.
        if !http.query.is_empty() || !http.fragment.is_empty() || http.path.contains('#') {
            return Err(malformed("its query or fragment stands apart from its path"));
        }
        if !http.path.starts_with('/') {
            return Err(malformed("its path does not begin with a slash"));
        }
        let target: PathAndQuery = http.path.parse().map_err(|_| malformed("its path is no path"))?;
        // What is decided on are the bytes that are sent, not a reader's idea of them.
        if target.as_str() != http.path {
            return Err(malformed("its path has more than one spelling"));
        }
        let headers = if let Some(raw) = &http.header_map {
            let each = raw.headers.iter().map(|one| {
                let value = if one.raw_value.is_empty() {
                    one.value.as_bytes()
                } else {
                    &one.raw_value
                };
                (one.key.as_str(), value)
            });
            headers(each, false)?
        } else {
            let each = http.headers.iter();
            headers(each.map(|(name, value)| (name.as_str(), value.as_bytes())), true)?
        };
        fields::check_length(&target.clone().into(), &headers)?;
        fields::check_connection(&headers)?;
        let body = if http.raw_body.is_empty() {
            Bytes::from(http.body)
        } else {
            Bytes::from(http.raw_body)
        };
        Ok(Self {
            address: Address::behind(&http.scheme, &http.host, &target)?,
            client: attributes.source.and_then(|source| {
                let certificate = thumbprint(&source.certificate)?;
                // Empty unless the listener verified the certificate.
                (!source.principal.is_empty()).then_some(Client {
                    principal: source.principal,
                    certificate,
                })
            }),
            method,
            headers,
            body,
        })
    }
}

/// Header fields. Where values of one name were joined, a comma may stand between two: such a value goes in twice, so that
/// whoever wants exactly one is told that there are two.
fn headers<'h>(each: impl Iterator<Item = (&'h str, &'h [u8])>, joined: bool) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    for (name, value) in each {
        // Pseudo header fields are members of their own.
        if name.starts_with(':') {
            continue;
        }
        if headers.len() >= fields::FIELDS_MAX {
            return Err(malformed("it has more than 100 header fields"));
        }
        let known: HeaderName = name
            .parse()
            .map_err(|_| malformed("the name of a header field is none"))?;
        let value =
            HeaderValue::from_bytes(value).map_err(|_| malformed("the value of a header field is none"))?;
        if joined && value.as_bytes().contains(&b',') {
            headers.append(known.clone(), value.clone());
        }
        headers.append(known, value);
    }
    Ok(headers)
}

/// SHA-256 of a certificate in URL-encoded PEM: of the first one, which is the client's own.
fn thumbprint(encoded: &str) -> Option<Thumbprint> {
    if encoded.is_empty() || encoded.len() > CERTIFICATE_BYTES_MAX {
        return None;
    }
    let pem = decoded(encoded)?;
    let after = pem.split_once("-----BEGIN CERTIFICATE-----")?.1;
    let base64 = after.split_once("-----END CERTIFICATE-----")?.0;
    let base64: String = base64.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(base64).ok()?;
    Some(Thumbprint::from_bytes(sha256(&der)))
}

fn decoded(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn malformed(why: &str) -> Problem {
    Problem::bad_request(
        "CHECK_MALFORMED",
        "The request cannot be decided on as the proxy tells of it.",
        why,
        "send it in the one plain spelling that every server reads alike",
    )
}

#[cfg(test)]
mod tests {
    use super::super::auth_v3::attribute_context::{HttpRequest, Peer, Request};
    use super::super::core_v3::{HeaderMap as RawHeaders, HeaderValue as RawHeader};
    use super::*;
    use crate::fields::Fields;
    use broker::upstream::CallHeaders as _;

    fn http(path: &str) -> HttpRequest {
        HttpRequest {
            method: "GET".into(),
            path: path.into(),
            host: "invoices.demo:10000".into(),
            scheme: "https".into(),
            ..HttpRequest::default()
        }
    }

    fn received(http: HttpRequest) -> Result<Received, Problem> {
        Received::of(AttributeContext {
            source: None,
            request: Some(Request { http: Some(http) }),
        })
    }

    #[test]
    fn the_query_is_in_the_path_and_two_slashes_are_a_path() {
        let it = received(http("/a/b?x=1")).unwrap();
        assert_eq!((it.address.path(), it.address.query()), ("/a/b", Some("x=1")));
        assert_eq!(it.address.htu, "https://invoices.demo:10000/a/b");
        assert_eq!(
            it.address.whom,
            crate::address::Whom::Host("invoices.demo".into())
        );
        // Not an authority: the routes refuse the empty segment.
        assert_eq!(received(http("//admin")).unwrap().address.path(), "//admin");
        for (why, wrong) in [
            (
                "query apart",
                HttpRequest {
                    query: "x=1".into(),
                    ..http("/a")
                },
            ),
            (
                "fragment apart",
                HttpRequest {
                    fragment: "f".into(),
                    ..http("/a")
                },
            ),
            ("fragment", http("/a#b")),
            ("asterisk", http("*")),
            ("absolute", http("http://other/a")),
            ("empty", http("")),
            ("space", http("/a b")),
            (
                "no method",
                HttpRequest {
                    method: "GE T".into(),
                    ..http("/a")
                },
            ),
            (
                "user info",
                HttpRequest {
                    host: "a@b".into(),
                    ..http("/a")
                },
            ),
            (
                "no host",
                HttpRequest {
                    host: String::new(),
                    ..http("/a")
                },
            ),
            (
                "no scheme",
                HttpRequest {
                    scheme: "ftp".into(),
                    ..http("/a")
                },
            ),
        ] {
            assert!(received(wrong).is_err(), "{why}");
        }
        assert!(Received::of(AttributeContext::default()).is_err());
    }

    #[test]
    fn a_header_that_may_be_two_is_two() {
        let with = |value: &str| HttpRequest {
            headers: [
                ("x-amount".to_owned(), value.to_owned()),
                (":path".to_owned(), "/".to_owned()),
            ]
            .into(),
            ..http("/a")
        };
        let one = received(with("1")).unwrap();
        assert_eq!(Fields(&one.headers).single("x-amount").unwrap(), Some("1"));
        assert_eq!(one.headers.len(), 1, "pseudo header fields are none");
        let two = received(with("1,1000")).unwrap();
        assert!(Fields(&two.headers).single("x-amount").is_err());
        // Raw, a comma is a comma, and twice is twice.
        let raw = |values: &[&str]| HttpRequest {
            header_map: Some(RawHeaders {
                headers: values
                    .iter()
                    .map(|value| RawHeader {
                        key: "x-amount".into(),
                        value: String::new(),
                        raw_value: value.as_bytes().to_vec(),
                    })
                    .collect(),
            }),
            ..http("/a")
        };
        let one = received(raw(&["1,1000"])).unwrap();
        assert_eq!(Fields(&one.headers).single("x-amount").unwrap(), Some("1,1000"));
        assert!(
            Fields(&received(raw(&["1", "2"])).unwrap().headers)
                .single("x-amount")
                .is_err()
        );
        let many: Vec<&str> = std::iter::repeat_n("1", 101).collect();
        assert!(received(raw(&many)).is_err());
    }

    #[test]
    fn a_certificate_counts_only_with_the_principal_of_a_verified_one() {
        let pem = "-----BEGIN%20CERTIFICATE-----%0AAQID%0A-----END%20CERTIFICATE-----%0A";
        let of = |principal: &str, certificate: &str| {
            Received::of(AttributeContext {
                source: Some(Peer {
                    principal: principal.into(),
                    certificate: certificate.into(),
                }),
                request: Some(Request {
                    http: Some(http("/a")),
                }),
            })
            .unwrap()
            .client
        };
        let client = of("spiffe://td/a", pem).unwrap();
        assert_eq!(client.certificate, Thumbprint::from_bytes(sha256(&[1, 2, 3])));
        for (principal, certificate) in [
            ("", pem),
            ("spiffe://td/a", ""),
            ("spiffe://td/a", "AQID"),
            ("spiffe://td/a", "%zz"),
            (
                "spiffe://td/a",
                "-----BEGIN%20CERTIFICATE-----%0A!%0A-----END%20CERTIFICATE-----",
            ),
        ] {
            assert!(of(principal, certificate).is_none(), "{principal} {certificate}");
        }
    }
}
