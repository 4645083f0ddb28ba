//! Form bodies of the token endpoint (RFC 6749 section 3.2, WHATWG URL section 5.1), strictly: valid UTF-8, no
//! repeated parameter, bounded.

/// Largest body in bytes: two tokens of 8 KiB do not come together, one with details does.
pub const FORM_BYTES_MAX: usize = 16 * 1024;
/// Most parameters: RFC 8693 has ten, client authentication three.
pub const PARAMETERS_MAX: usize = 32;

/// Parameters that may stand more than once (RFC 8693 section 2.1, RFC 8707 section 2).
const REPEATABLE: [&str; 2] = ["audience", "resource"];

/// Why a body is no acceptable form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Over 16 KiB.
    #[error("the request body has more than 16384 bytes")]
    TooLarge,
    /// More than 32 parameters.
    #[error("the request has more than 32 parameters")]
    TooMany,
    /// A broken escape, or bytes that are not UTF-8.
    #[error("the request body is not a form in UTF-8")]
    Encoding,
    /// RFC 6749 section 3.2: request parameters must not be included more than once.
    #[error("the parameter \"{0}\" stands more than once")]
    Repeated(String),
}

/// A decoded form. Parameters without a value count as absent (RFC 6749 section 3.2).
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Decodes a body of type `application/x-www-form-urlencoded`.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        if body.len() > FORM_BYTES_MAX {
            return Err(FormError::TooLarge);
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            let known = parameters.iter().any(|(before, _)| *before == name);
            if known && !REPEATABLE.contains(&name.as_str()) {
                return Err(FormError::Repeated(name.chars().take(64).collect()));
            }
            if parameters.len() == PARAMETERS_MAX {
                return Err(FormError::TooMany);
            }
            parameters.push((name, value));
        }
        parameters.retain(|(_, value)| !value.is_empty());
        Ok(Self(parameters))
    }
    /// The value of a parameter that stands once; `None` if it is absent or empty.
    pub fn one(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
    /// All values of a parameter that may stand more than once.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl std::fmt::Debug for Form {
    /// Names only: the values are credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

fn decode(text: &[u8]) -> Result<String, FormError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut digit = || {
                    let digit = bytes.next().and_then(|byte| char::from(*byte).to_digit(16));
                    digit
                        .and_then(|digit| u8::try_from(digit).ok())
                        .ok_or(FormError::Encoding)
                };
                out.push(digit()? << 4 | digit()?);
            }
            _ => out.push(*byte),
        }
    }
    String::from_utf8(out).map_err(|_| FormError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_decode_as_browsers_and_sdks_write_them() {
        let form = Form::parse(b"a=1+2&b=%C3%bc&&c=&audience=x&audience=y&d=p%3Dq=r").unwrap();
        assert_eq!((form.one("a"), form.one("b")), (Some("1 2"), Some("ü")));
        assert_eq!(form.one("c"), None);
        assert_eq!(form.one("d"), Some("p=q=r"));
        assert_eq!(form.all("audience").collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn a_repeated_parameter_is_refused_even_when_it_is_empty_or_escaped() {
        for body in ["a=1&a=1", "a=&a=1", "a=1&%61=2", "scope=x&scope=y"] {
            assert!(
                matches!(Form::parse(body.as_bytes()), Err(FormError::Repeated(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn broken_bodies_are_refused() {
        for body in [&b"a=%"[..], b"a=%2", b"a=%zz", b"a=%ff", b"\xff=1", b"a=%+1"] {
            assert_eq!(Form::parse(body).unwrap_err(), FormError::Encoding);
        }
        assert_eq!(
            Form::parse(&vec![b'a'; FORM_BYTES_MAX + 1]).unwrap_err(),
            FormError::TooLarge
        );
        let many = vec!["audience=x"; PARAMETERS_MAX + 1].join("&");
        assert_eq!(Form::parse(many.as_bytes()).unwrap_err(), FormError::TooMany);
    }

    #[test]
    fn debug_output_shows_no_value() {
        let form = Form::parse(b"subject_token=secret").unwrap();
        assert_eq!(format!("{form:?}"), r#"{"subject_token"}"#);
    }
}
