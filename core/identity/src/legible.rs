//! Texts that somebody else wrote, for people who decide on them: what cannot be seen is written out.
//!
//! Unicode has characters without ink, characters that turn the order of reading around, and letters that look like
//! other letters (UTR 36 sections 2 and 3, UTS 39). An agent that writes `EUR 10\u{202e}` into an argument has people
//! read something else than is sent. Nothing is taken out here, so that two texts that differ look different.

/// A stretch of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'t> {
    /// What everybody sees as it stands there.
    Plain(&'t str),
    /// A character that has to be written out.
    Odd(char),
}

/// Cuts a text into what can be seen and what cannot.
pub fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = if is_odd(first) {
            first.len_utf8()
        } else {
            rest.find(is_odd).unwrap_or(rest.len())
        };
        let (piece, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(if is_odd(first) {
            Piece::Odd(first)
        } else {
            Piece::Plain(piece)
        })
    })
}

/// The text on one line, each odd character as `[U+202E]`.
pub fn legible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Plain(plain) => out.push_str(plain),
            Piece::Odd(odd) => out.push_str(&written(odd)),
        }
    }
    out
}

/// How an odd character is written out.
pub fn written(odd: char) -> String {
    format!("[U+{:04X}]", u32::from(odd))
}

/// Whether a word has Latin letters and others that look like them: `раypal` with two Cyrillic ones.
pub fn mixes_alphabets(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric())
        .any(|word| word.chars().any(|c| c.is_ascii_alphabetic()) && word.chars().any(looks_latin))
}

/// Controls, soft hyphen, zero-width and direction marks, separators, byte order mark, tag characters.
pub const fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// The same and more: what a sentence may hold and still is not what it looks like. Blanks that are not a blank, fillers
/// and joiners without ink, variation selectors, private use.
fn is_odd(c: char) -> bool {
    is_hidden(c)
        || (c.is_whitespace() && c != ' ')
        || matches!(
            c,
            '\u{34f}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{e000}'..='\u{f8ff}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{ffff}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0080}'..='\u{10ffff}'
        )
}

/// Letters of the alphabets that have twins of Latin ones (UTS 39 `confusables`): Greek, Cyrillic, Armenian, Cherokee,
/// Lisu, letters as symbols, full-width and mathematical ones.
const fn looks_latin(c: char) -> bool {
    matches!(
        c,
        '\u{370}'..='\u{58f}'
            | '\u{13a0}'..='\u{13ff}'
            | '\u{1d00}'..='\u{1d7f}'
            | '\u{2100}'..='\u{218f}'
            | '\u{2c60}'..='\u{2c7f}'
            | '\u{a4d0}'..='\u{a4ff}'
            | '\u{a640}'..='\u{a69f}'
            | '\u{ab70}'..='\u{abbf}'
            | '\u{ff21}'..='\u{ff5a}'
            | '\u{1d400}'..='\u{1d7ff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        for (text, seen) in [
            ("inv_1", "inv_1"),
            ("Zahlung für Müller, 12 €", "Zahlung für Müller, 12 €"),
            ("EUR 10\u{202e}001", "EUR 10[U+202E]001"),
            ("acme\u{200b}-eu", "acme[U+200B]-eu"),
            ("a\u{a0}b\nc\u{1b}[2J", "a[U+00A0]b[U+000A]c[U+001B][2J"),
            ("\u{e0041}\u{2066}x\u{2069}", "[U+E0041][U+2066]x[U+2069]"),
            ("\u{9b}31m", "[U+009B]31m"),
            ("", ""),
        ] {
            assert_eq!(legible(text), seen);
        }
    }

    #[test]
    fn no_two_texts_look_alike_but_for_what_says_so_itself() {
        let texts = [
            "ab",
            "a\u{200b}b",
            "a\u{200c}b",
            "a b",
            "a  b",
            "a\u{3000}b",
            "a\u{2800}b",
        ];
        for (place, one) in texts.iter().enumerate() {
            for other in texts.iter().skip(place + 1) {
                assert_ne!(legible(one), legible(other));
            }
        }
    }

    #[test]
    fn letters_of_two_alphabets_in_one_word_are_noticed() {
        for mixed in [
            "\u{440}\u{430}ypal",
            "pay to \u{391}cme",
            "\u{ff21}cme",
            "\u{1d400}cme",
        ] {
            assert!(mixes_alphabets(mixed), "{mixed}");
        }
        // Whoever writes in another alphabet is nobody's imitation.
        for plain in ["Москва", "Αθήνα acme", "Müller", "naïve", "東京 acme"] {
            assert!(!mixes_alphabets(plain), "{plain}");
        }
    }
}
