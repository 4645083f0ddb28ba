//! Which keys exist, so that a typing error is answered with the key that was meant.

/// Every section and its keys. A test compares it with what the example sets.
pub(super) const KEYS: [(&str, &[&str]); 8] = [
    (
        "server",
        &["data_dir", "listen", "issuer", "trust_domain", "tls_names"],
    ),
    ("keys", &["kek"]),
    ("log", &["checkpoint_copy"]),
    ("admin", &["socket"]),
    ("people", &["listen", "url", "providers"]),
    ("contracts", &["four_eyes"]),
    ("webhooks", &["ca"]),
    ("limits", &["connections_max", "exchanges_max"]),
];

/// The first key that nobody reads, with its section, and the nearest known one.
pub(super) fn first_unknown(table: &toml::Table) -> Option<(String, Option<String>)> {
    for (section, value) in table {
        let Some((_, keys)) = KEYS.iter().find(|(known, _)| known == section) else {
            let nearest = nearest(section, KEYS.iter().map(|(known, _)| *known));
            return Some((section.clone(), nearest.map(str::to_owned)));
        };
        let inside = value.as_table().into_iter().flat_map(toml::Table::keys);
        if let Some(key) = inside.into_iter().find(|key| !keys.contains(&key.as_str())) {
            let nearest = nearest(key, keys.iter().copied()).map(|it| format!("{section}.{it}"));
            return Some((format!("{section}.{key}"), nearest));
        }
    }
    None
}

/// The candidate that needs the fewest edits, if it needs at most a third of the word.
fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= candidate.len().div_ceil(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and substitutions that turn one word into the other (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (line, x) in a.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (slot, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let above = *slot;
            left = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            *slot = left;
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("isuer", "issuer"), 1);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
    }

    #[test]
    fn a_word_that_is_like_nothing_gets_no_suggestion() {
        assert_eq!(nearest("quux", ["issuer", "listen"].into_iter()), None);
    }
}
