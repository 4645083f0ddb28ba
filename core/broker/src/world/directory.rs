//! A tenant's directory: destinations that are its own, such as its people's addresses and its accounts.

use identity::{Name, OrgId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Destinations that count as trusted in every task for the tenant.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Directory {
    /// Its org.
    pub org: OrgId,
    /// Whose.
    pub tenant: Name,
    /// Exact destinations, or `@domain` for every address of a domain.
    pub destinations: BTreeSet<String>,
}

/// Whether `destination` is in `list`, byte by byte; an entry `@domain` holds every plain ASCII address of that domain.
/// What only looks alike is another destination.
pub fn holds(list: &BTreeSet<String>, destination: &str) -> bool {
    if list.contains(destination) && !destination.starts_with('@') {
        return true;
    }
    let mut parts = destination.split('@');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(user), Some(domain), None) if is_plain(user) && is_plain(domain) => {
            list.contains(&format!("@{domain}"))
        }
        _ => false,
    }
}

fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_held() {
        let list: BTreeSet<String> = ["DE12", "ann@acme.example", "@corp.example"]
            .map(str::to_owned)
            .into();
        for known in [
            "DE12",
            "ann@acme.example",
            "bob@corp.example",
            "a.b+c@corp.example",
        ] {
            assert!(holds(&list, known), "{known}");
        }
        for unknown in [
            "de12",
            "DE12 ",
            "@corp.example",
            "bob@corp.example.evil.example",
            "bob@evil.example@corp.example",
            "bob@c\u{43e}rp.example",
            "bob\n@corp.example",
            "<x>bob@corp.example",
            "",
        ] {
            assert!(!holds(&list, unknown), "{unknown}");
        }
    }
}
