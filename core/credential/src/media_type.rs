//! What a body says it is (RFC 9110 section 8.3), so far as anybody here decides by it: the type itself, without parameters.
//!
//! It is read in one way for every endpoint. Case and blanks do not matter; two types, whether in two lines or joined by a comma,
//! are none: who reads the first would read another body than who reads the last.

/// JSON (RFC 8259).
pub const JSON: &str = "application/json";
/// A form (RFC 6749 section 3.2).
pub const FORM: &str = "application/x-www-form-urlencoded";

/// A media type without its parameters.
#[derive(Clone, Copy, Debug)]
pub struct MediaType<'h>(&'h str);

impl<'h> MediaType<'h> {
    /// Reads the lines of a `Content-Type`; `None` unless there is one, and it is one type.
    pub fn of(lines: impl IntoIterator<Item = &'h [u8]>) -> Option<Self> {
        let mut lines = lines.into_iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return None;
        };
        let line = std::str::from_utf8(line)
            .ok()
            .filter(|line| !line.contains(','))?;
        let essence = line.split(';').next().unwrap_or_default();
        let essence = essence.trim_matches([' ', '\t']);
        let (kind, subtype) = essence.split_once('/')?;
        [kind, subtype].into_iter().all(is_token).then_some(Self(essence))
    }

    /// Whether it is that one, which is written in lower case.
    pub fn is(self, essence: &str) -> bool {
        self.0.eq_ignore_ascii_case(essence)
    }

    /// Whether it is JSON, or something more exact that is written in JSON (RFC 6839 section 3.1).
    pub fn is_written_in_json(self) -> bool {
        let lower = self.0.to_ascii_lowercase();
        lower == JSON || (lower.starts_with("application/") && lower.ends_with("+json"))
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'h>(lines: &[&'h str]) -> Option<MediaType<'h>> {
        MediaType::of(lines.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn parameters_case_and_blanks_do_not_matter() {
        for line in [
            "application/json",
            "Application/JSON",
            "application/json;charset=utf-8",
            "application/json ; charset=\"utf-8\"; x=y",
            " \tapplication/json\t",
            "application/json;",
        ] {
            let found = read(&[line]).unwrap();
            assert!(found.is(JSON) && found.is_written_in_json(), "{line}");
            assert!(!found.is(FORM), "{line}");
        }
        assert!(read(&["application/X-WWW-Form-Urlencoded"]).unwrap().is(FORM));
    }

    #[test]
    fn what_is_not_one_type_is_none() {
        for lines in [
            &[][..],
            &[""],
            &["json"],
            &["/json"],
            &["application/"],
            &["; charset=utf-8"],
            &["application/json, text/html"],
            &["application/json;charset=utf-8, text/html"],
            &["application /json"],
            &["application/ json"],
            &["application/json\u{a0}"],
            &["application/json/x"],
            &["application/jsön"],
            &["application/json\0"],
            &["application/json", "application/json"],
            &["application/json", "text/html"],
        ] {
            assert!(read(lines).is_none(), "{lines:?}");
        }
        assert!(MediaType::of([&b"application/json\xff"[..]]).is_none());
    }

    #[test]
    fn a_longer_name_is_another_type() {
        for line in [
            "application/jsonx",
            "application/json-seq",
            "text/json",
            "xapplication/json",
        ] {
            let found = read(&[line]).unwrap();
            assert!(!found.is(JSON) && !found.is_written_in_json(), "{line}");
        }
        for (line, json) in [
            ("application/problem+json", true),
            ("Application/Problem+JSON; charset=utf-8", true),
            ("application/json+xml", false),
            ("text/x+json", false),
        ] {
            let found = read(&[line]).unwrap();
            assert_eq!(
                (found.is(JSON), found.is_written_in_json()),
                (false, json),
                "{line}"
            );
        }
    }
}
