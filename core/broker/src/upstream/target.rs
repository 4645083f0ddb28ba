//! The request target as one reading that every server shares: path segments and query parameters, decoded once.
//!
//! We decide on exactly the bytes that are sent, so whatever two servers are known to read differently is refused:
//! encoded separators and dots, `;`, empty and dot segments, a second layer of encoding, anything but UTF-8
//! (RFC 3986 sections 2.1, 3.3 and 6.2.2). Nothing is normalised: what passes is forwarded as it came.

use std::borrow::Cow;

/// Longest path in bytes; real ones stay under 2 KiB.
pub const PATH_BYTES_MAX: usize = 4 * 1024;
/// Longest query in bytes; half of what common servers take for a whole request line.
pub const QUERY_BYTES_MAX: usize = 4 * 1024;
/// Most segments of a path.
pub const SEGMENTS_MAX: usize = 32;
/// Most parameters of a query: each is compared with the declared ones.
pub const PARAMETERS_MAX: usize = 64;

/// Why servers might read a target differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not origin-form.
    #[error("the path does not begin with '/'")]
    NotAbsolute,
    /// Over [`PATH_BYTES_MAX`] or [`SEGMENTS_MAX`].
    #[error("the path is longer than 4096 bytes or has more than 32 segments")]
    PathTooLong,
    /// Over [`QUERY_BYTES_MAX`] or [`PARAMETERS_MAX`].
    #[error("the query is longer than 4096 bytes or has more than 64 parameters")]
    QueryTooLong,
    /// A byte that may not stand in a target: control, space, non-ASCII, `\`, `#`, `"`, `<`, `>`, `^`, `` ` ``, `{`…
    #[error("the target holds a character that must be percent-encoded")]
    Character,
    /// `;`: some servers cut path parameters off, and some take it for `&`.
    #[error("the target holds a ';', plain or encoded")]
    Semicolon,
    /// `//`.
    #[error("the path holds an empty segment")]
    EmptySegment,
    /// `.` or `..`, encoded or not.
    #[error("the path holds a '.' or '..' segment or an encoded dot")]
    Dots,
    /// `%2f`, `%5c`.
    #[error("the path holds an encoded '/' or '\\'")]
    EncodedSeparator,
    /// `%00` to `%1f`, `%7f`.
    #[error("the target holds an encoded control character")]
    EncodedControl,
    /// `%25`: who decodes twice reads something else.
    #[error("the path holds an encoded '%'")]
    EncodedPercent,
    /// `%` without two hex digits.
    #[error("a '%' is not followed by two hexadecimal digits")]
    Escape,
    /// What was decoded is not UTF-8.
    #[error("the target does not decode to UTF-8")]
    NotUtf8,
}

/// The decoded segments of `path`, without the leading `/`. A trailing `/` is a last, empty segment.
pub(super) fn segments(path: &[u8]) -> Result<Vec<Cow<'_, str>>, TargetError> {
    if path.len() > PATH_BYTES_MAX {
        return Err(TargetError::PathTooLong);
    }
    let rest = path.strip_prefix(b"/").ok_or(TargetError::NotAbsolute)?;
    let mut list = Vec::with_capacity(8);
    for raw in rest.split(|byte| *byte == b'/') {
        if list.last().is_some_and(|before: &Cow<'_, str>| before.is_empty()) {
            return Err(TargetError::EmptySegment);
        }
        if list.len() >= SEGMENTS_MAX {
            return Err(TargetError::PathTooLong);
        }
        list.push(segment(raw)?);
    }
    // "/" itself is one empty segment; "//" and "/a//" are caught above or here.
    if list.len() > 1 && list.first().is_some_and(|first| first.is_empty()) {
        return Err(TargetError::EmptySegment);
    }
    Ok(list)
}

fn segment(raw: &[u8]) -> Result<Cow<'_, str>, TargetError> {
    if matches!(raw, b"." | b"..") {
        return Err(TargetError::Dots);
    }
    for byte in raw {
        match byte {
            b';' => return Err(TargetError::Semicolon),
            // RFC 3986 section 3.3: unreserved, '%', sub-delims without ';', ':' and '@'.
            byte if byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,=:@".contains(byte) => {}
            _ => return Err(TargetError::Character),
        }
    }
    decode(raw, false, |byte| match byte {
        b'/' | b'\\' => Err(TargetError::EncodedSeparator),
        b'.' => Err(TargetError::Dots),
        b'%' => Err(TargetError::EncodedPercent),
        b';' => Err(TargetError::Semicolon),
        other => Ok(other),
    })
}

/// A decoded parameter: its name, and its value.
pub(super) type Parameter<'r> = (Cow<'r, str>, Cow<'r, str>);

/// The decoded parameters of `query`, in order.
pub(super) fn parameters(query: &[u8]) -> Result<Vec<Parameter<'_>>, TargetError> {
    if query.is_empty() {
        return Ok(Vec::new());
    }
    if query.len() > QUERY_BYTES_MAX {
        return Err(TargetError::QueryTooLong);
    }
    let mut list = Vec::with_capacity(4);
    for raw in query.split(|byte| *byte == b'&') {
        if list.len() >= PARAMETERS_MAX {
            return Err(TargetError::QueryTooLong);
        }
        let (name, value) = match raw.iter().position(|byte| *byte == b'=') {
            Some(at) => (
                raw.get(..at).unwrap_or_default(),
                raw.get(at + 1..).unwrap_or_default(),
            ),
            None => (raw, [].as_slice()),
        };
        list.push((parameter(name)?, parameter(value)?));
    }
    Ok(list)
}

fn parameter(raw: &[u8]) -> Result<Cow<'_, str>, TargetError> {
    for byte in raw {
        match byte {
            b';' => return Err(TargetError::Semicolon),
            // RFC 3986 section 3.4, and the brackets that common clients leave unencoded.
            byte if byte.is_ascii_alphanumeric() || b"-._~%!$'()*+,=:@/?[]".contains(byte) => {}
            _ => return Err(TargetError::Character),
        }
    }
    decode(raw, true, |byte| {
        if byte == b';' {
            Err(TargetError::Semicolon)
        } else {
            Ok(byte)
        }
    })
}

/// Percent-decodes once. `accept` judges every decoded byte; controls are refused here.
fn decode(
    raw: &[u8],
    plus_is_space: bool,
    accept: impl Fn(u8) -> Result<u8, TargetError>,
) -> Result<Cow<'_, str>, TargetError> {
    if !raw
        .iter()
        .any(|byte| *byte == b'%' || plus_is_space && *byte == b'+')
    {
        return std::str::from_utf8(raw)
            .map(Cow::Borrowed)
            .map_err(|_| TargetError::NotUtf8);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let high = bytes.next().copied().and_then(hex).ok_or(TargetError::Escape)?;
                let low = bytes.next().copied().and_then(hex).ok_or(TargetError::Escape)?;
                let decoded = accept(high << 4 | low)?;
                if decoded < 0x20 || decoded == 0x7f {
                    return Err(TargetError::EncodedControl);
                }
                out.push(decoded);
            }
            b'+' if plus_is_space => out.push(b' '),
            plain => out.push(*plain),
        }
    }
    String::from_utf8(out)
        .map(Cow::Owned)
        .map_err(|_| TargetError::NotUtf8)
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_that_servers_read_differently_are_refused() {
        for (path, error) in [
            ("", TargetError::NotAbsolute),
            ("a", TargetError::NotAbsolute),
            ("http://x/a", TargetError::NotAbsolute),
            ("//", TargetError::EmptySegment),
            ("//a", TargetError::EmptySegment),
            ("/a//b", TargetError::EmptySegment),
            ("/a//", TargetError::EmptySegment),
            ("/.", TargetError::Dots),
            ("/a/../b", TargetError::Dots),
            ("/a/%2e%2e/b", TargetError::Dots),
            ("/a/%2E", TargetError::Dots),
            ("/a/.%2e/b", TargetError::Dots),
            ("/a%2fb", TargetError::EncodedSeparator),
            ("/a%2Fb", TargetError::EncodedSeparator),
            ("/a%5cb", TargetError::EncodedSeparator),
            ("/a\\b", TargetError::Character),
            ("/a%00", TargetError::EncodedControl),
            ("/a%0d%0aHost:%20x", TargetError::EncodedControl),
            ("/a%7f", TargetError::EncodedControl),
            ("/a%252fb", TargetError::EncodedPercent),
            ("/a;b", TargetError::Semicolon),
            ("/..;/b", TargetError::Semicolon),
            ("/a%3bb", TargetError::Semicolon),
            ("/a#b", TargetError::Character),
            ("/a?b", TargetError::Character),
            ("/a b", TargetError::Character),
            ("/ä", TargetError::Character),
            ("/%ff", TargetError::NotUtf8),
            ("/%c0%af", TargetError::NotUtf8),
            ("/%", TargetError::Escape),
            ("/%4", TargetError::Escape),
            ("/%zz", TargetError::Escape),
        ] {
            assert_eq!(segments(path.as_bytes()), Err(error), "{path}");
        }
        let deep = "/a".repeat(SEGMENTS_MAX + 1);
        assert_eq!(segments(deep.as_bytes()), Err(TargetError::PathTooLong));
        assert_eq!(
            segments(&[b'/'; PATH_BYTES_MAX + 1]),
            Err(TargetError::PathTooLong)
        );
    }

    #[test]
    fn plain_paths_are_decoded_once() {
        assert_eq!(segments(b"/").unwrap(), [""]);
        assert_eq!(segments(b"/a/b").unwrap(), ["a", "b"]);
        assert_eq!(segments(b"/a/").unwrap(), ["a", ""]);
        assert_eq!(segments(b"/%61/%C3%A4%20b").unwrap(), ["a", "ä b"]);
        assert_eq!(segments(b"/a+b").unwrap(), ["a+b"]);
        assert_eq!(segments(b"/v1.2/...").unwrap(), ["v1.2", "..."]);
    }

    #[test]
    fn queries_are_decoded_once_and_never_split_at_a_semicolon() {
        let pairs = parameters(b"a=1&b=x+y%2Fz&c&d==").unwrap();
        assert_eq!(
            pairs,
            [("a", "1"), ("b", "x y/z"), ("c", ""), ("d", "=")].map(|(n, v)| (n.into(), v.into()))
        );
        assert_eq!(parameters(b"a=1;b=2"), Err(TargetError::Semicolon));
        assert_eq!(parameters(b"a=1%3Bb=2"), Err(TargetError::Semicolon));
        assert_eq!(parameters(b"a=%00"), Err(TargetError::EncodedControl));
        assert_eq!(parameters(b"a=%0a"), Err(TargetError::EncodedControl));
        assert_eq!(parameters(b"a=#"), Err(TargetError::Character));
        assert_eq!(parameters(b"a=%fe"), Err(TargetError::NotUtf8));
        assert_eq!(
            parameters("a&".repeat(PARAMETERS_MAX).as_bytes()),
            Err(TargetError::QueryTooLong)
        );
        assert_eq!(
            parameters(&[b'a'; QUERY_BYTES_MAX + 1]),
            Err(TargetError::QueryTooLong)
        );
    }

    proptest! {
        /// What passes has one reading: no segment holds a separator, a dot segment, a control or a `%`.
        #[test]
        fn an_accepted_path_has_one_reading(path in "/[ -~]{0,24}|/([a-z.%/;]|%[0-9a-f]{2}){0,12}") {
            if let Ok(list) = segments(path.as_bytes()) {
                for one in &list {
                    prop_assert!(!one.contains(['/', '\\', '%', ';']));
                    prop_assert!(!one.chars().any(char::is_control));
                    prop_assert!(one != "." && one != "..");
                }
                prop_assert!(list.iter().rev().skip(1).all(|one| !one.is_empty()));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (_, _) = (segments(&bytes), parameters(&bytes));
        }
    }
}
