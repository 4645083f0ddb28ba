//! A JSON body as one reading that every server shares, for routes whose arguments stand in it.
//!
//! Duplicate members are refused anywhere, and on the way to an argument also members that differ only in case:
//! some parsers match names without it, and the last one wins (RFC 8259 section 4). The body is forwarded as it came.

use credential::json::{self, JsonError};
use serde_json::Value;

/// Longest body that a decision looks into. Larger ones belong on routes whose arguments stand elsewhere.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting of such a body: a few times the deepest documented API, and no threat to a recursive reader.
pub const BODY_DEPTH_MAX: usize = 32;

/// Why a body cannot be decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Over [`BODY_BYTES_MAX`].
    #[error("the body is longer than 1048576 bytes, the most that a decision looks into")]
    TooLong,
    /// Over [`BODY_DEPTH_MAX`].
    #[error("the body nests deeper than 32 levels")]
    TooDeep,
    /// Not one JSON value in UTF-8, or a member stands twice.
    #[error("the body is not one JSON value in UTF-8 without duplicate members")]
    Malformed,
    /// Two members on the way to an argument are the same to a reader that ignores case.
    #[error("two members of the body on the way to an argument differ only in case")]
    CaseTwins,
}

/// Reads a whole body.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, BodyError> {
    if bytes.len() > BODY_BYTES_MAX {
        return Err(BodyError::TooLong);
    }
    json::parse_within(bytes, BODY_DEPTH_MAX).map_err(|error| match error {
        JsonError::TooDeep => BodyError::TooDeep,
        JsonError::Malformed(_) => BodyError::Malformed,
    })
}

/// What a JSON pointer (RFC 6901), already split and unescaped, names in `body`.
pub(super) fn find<'v>(body: &'v Value, pointer: &[Box<str>]) -> Result<Option<&'v Value>, BodyError> {
    let mut at = body;
    for token in pointer {
        let next = match at {
            Value::Object(members) => {
                let folded = fold(token);
                if members
                    .keys()
                    .any(|name| **name != **token && fold(name) == folded)
                {
                    return Err(BodyError::CaseTwins);
                }
                members.get(&**token)
            }
            Value::Array(items) => index(token).and_then(|place| items.get(place)),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// The tokens of a pointer; `None` when it is not one or names the whole body.
pub(super) fn pointer(text: &str) -> Option<Box<[Box<str>]>> {
    let rest = text.strip_prefix('/')?;
    rest.split('/')
        .map(|token| {
            let plain = token.replace("~1", "").replace("~0", "");
            (!plain.contains('~')).then(|| token.replace("~1", "/").replace("~0", "~").into_boxed_str())
        })
        .collect()
}

/// An array index without a sign or leading zero.
fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| token.parse().ok()).flatten()
}

/// Equal for names that some reader takes for the same: upper case first, so that `ſ` and the Kelvin sign fold too.
fn fold(name: &str) -> String {
    name.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_parsers_read_differently_are_refused() {
        for (body, error) in [
            (r#"{"a":1,"a":2}"#, BodyError::Malformed),
            (r#"{"a":1,"\u0061":2}"#, BodyError::Malformed),
            (r#"{"x":{"a":1,"a":2}}"#, BodyError::Malformed),
            (r#"{"a":1} {"a":2}"#, BodyError::Malformed),
            (r#"{"a":1,}"#, BodyError::Malformed),
            (r#"{"a":NaN}"#, BodyError::Malformed),
            ("", BodyError::Malformed),
        ] {
            assert_eq!(parse(body.as_bytes()), Err(error), "{body}");
        }
        assert_eq!(parse(b"{\"a\":\"\xff\"}"), Err(BodyError::Malformed));
        assert_eq!(parse(b"\xef\xbb\xbf{}"), Err(BodyError::Malformed));
        assert_eq!(parse("[".repeat(100_000).as_bytes()), Err(BodyError::TooDeep));
        assert_eq!(parse(&vec![b' '; BODY_BYTES_MAX + 1]), Err(BodyError::TooLong));
        assert!(parse(format!("{}{}", "[".repeat(31), "]".repeat(31)).as_bytes()).is_ok());
    }

    #[test]
    fn members_that_differ_only_in_case_are_refused_on_the_way() {
        let twins = pointer("/tenant").unwrap();
        for body in [
            r#"{"tenant":"a","Tenant":"b"}"#,
            r#"{"TENANT":"b"}"#,
            r#"{"tenant":1,"tenanT":1}"#,
        ] {
            assert_eq!(
                find(&parse(body.as_bytes()).unwrap(), &twins),
                Err(BodyError::CaseTwins),
                "{body}"
            );
        }
        let risk = pointer("/risk").unwrap();
        for body in ["{\"risk\":1,\"ri\u{17f}k\":2}", "{\"risk\":1,\"ris\u{212a}\":2}"] {
            assert_eq!(
                find(&parse(body.as_bytes()).unwrap(), &risk),
                Err(BodyError::CaseTwins),
                "{body}"
            );
        }
        let other = parse(br#"{"tenant":"a","x":{"b":1,"B":2}}"#).unwrap();
        assert_eq!(find(&other, &twins), Ok(Some(&Value::String("a".into()))));
    }

    #[test]
    fn pointers_follow_rfc_6901() {
        let body = parse(br#"{"a/b":{"m~n":[10,20]},"":1}"#).unwrap();
        let at = |text: &str| {
            find(&body, &pointer(text).unwrap())
                .unwrap()
                .and_then(Value::as_i64)
        };
        assert_eq!(at("/a~1b/m~0n/1"), Some(20));
        assert_eq!(at("/a~1b/m~0n/01"), None);
        assert_eq!(at("/a~1b/m~0n/-"), None);
        assert_eq!(at("/"), Some(1));
        assert_eq!(pointer("/a~2"), None);
        assert_eq!(pointer("a"), None);
        assert_eq!(pointer(""), None);
    }
}
