//! Where a person goes on after a login: a path of our own pages and nothing else, so that no link to the login leads
//! anywhere but here.

use serde::{Deserialize, Serialize};

/// Longest path in bytes: ids are in it, no documents.
const BYTES_MAX: usize = 200;

/// A path below `/ui/`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct LocalPath(String);

impl LocalPath {
    /// The path, if it is one of our pages. A query is not part of one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'.');
        let rest = text.strip_prefix("/ui/")?;
        let clean = text.len() <= BYTES_MAX
            && text.bytes().all(plain)
            && !text.contains("//")
            && rest.split('/').all(|segment| segment != "." && segment != "..");
        // Logging in again in order to log in would never end.
        let again = ["login", "logout", "verify", "invite"]
            .iter()
            .any(|page| rest.split('/').next() == Some(page));
        (clean && !again).then(|| Self(text.to_owned()))
    }
    /// The first page.
    pub(crate) fn home() -> Self {
        Self("/ui/".to_owned())
    }
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_ours_are_gone_to() {
        for good in ["/ui/", "/ui/me", "/ui/approvals/apr_0123456789ABCDEFGHJKMNPQRS"] {
            assert_eq!(LocalPath::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "/",
            "/ui",
            "//evil.example/ui/",
            "/ui//evil.example",
            "/ui/../v1/status",
            "/ui/./x",
            "https://evil.example/ui/",
            "/ui/\\evil.example",
            "/ui/%2e%2e/v1",
            "/ui/me?to=x",
            "/ui/me#x",
            "/ui/login",
            "/ui/login/return",
            "/ui/logout",
            "\t/ui/me",
            "/ui/me\r\nSet-Cookie: a=b",
            "/v1/status",
            "/ui/м",
        ] {
            assert_eq!(LocalPath::parse(bad), None, "{bad:?}");
        }
    }
}
