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
    /// Exact destinations, `@domain` for every address of a domain, or `Words *` for every text that begins with these.
    pub destinations: BTreeSet<String>,
}

/// Whether `destination` is in `list`, byte by byte; an entry `@domain` holds every plain ASCII address of that domain.
/// What only looks alike is another destination.
///
/// An entry that ends in a space and an asterisk holds every text on one line that begins like it: somebody who asks for
/// an entry "Dinner at …" knows how its title begins and not yet how it ends. With the space it cannot hold an address:
/// neither mail and web addresses nor account numbers have one.
pub fn holds(list: &BTreeSet<String>, destination: &str) -> bool {
    let is_class = destination.starts_with('@') || destination.ends_with(" *");
    if list.contains(destination) && !is_class {
        return true;
    }
    let one_line = !destination.chars().any(char::is_control);
    let begins = |entry: &String| {
        let words = entry.strip_suffix('*').filter(|words| words.ends_with(' '));
        words.is_some_and(|words| !words.trim().is_empty() && destination.starts_with(words))
    };
    if one_line && !is_class && list.iter().any(begins) {
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

    #[test]
    fn a_text_is_held_by_how_it_begins_and_an_address_never() {
        let list: BTreeSet<String> = ["Dinner at *", "ann@acme.example*", "*", " *"]
            .map(str::to_owned)
            .into();
        assert!(holds(&list, "Dinner at Chez Ann"));
        for unknown in [
            "Dinner atelier",
            "dinner at Chez Ann",
            "Dinner at *",
            "Dinner at\nChez Ann",
            "Dinner at \nChez Ann",
            "ann@acme.example.evil.example",
            " ",
            "",
        ] {
            assert!(!holds(&list, unknown), "{unknown}");
        }
    }
}
