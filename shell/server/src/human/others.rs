//! Texts that somebody else wrote, on a page of ours: an agent's arguments, its owner's sentences, a user's name at their
//! issuer. What cannot be seen is written out, the order of reading stays within the text, and letters that only look
//! Latin are pointed at ([`identity::legible`]); so no text can look like another one, or like a part of the page.

use identity::legible::{Piece, mixes_alphabets, pieces, written};
use maud::{Markup, html};

/// The text.
pub(super) fn others(text: &str) -> Markup {
    html! {
        bdi .others {
            @for piece in pieces(text) {
                @match piece {
                    Piece::Plain(plain) => (plain),
                    Piece::Odd('\n') => { span .odd { "↵" } "\n" }
                    Piece::Odd(odd) => span .odd { (written(odd)) }
                }
            }
        }
        @if mixes_alphabets(text) { " " strong .bad { "(letters of two alphabets in one word)" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_text_looks_like_nothing_else() {
        let evil = "inv_1\u{202e}</code></dd><dt>Approved by</dt>\u{200b}\n\u{440}aypal";
        let shown = others(evil).into_string();
        assert!(
            !shown.contains('\u{202e}') && !shown.contains('\u{200b}'),
            "{shown}"
        );
        assert!(!shown.contains("<dt>") && shown.contains("&lt;dt&gt;"), "{shown}");
        assert!(
            shown.contains("[U+202E]") && shown.contains("[U+200B]"),
            "{shown}"
        );
        assert!(shown.contains("↵") && shown.contains("two alphabets"), "{shown}");
        assert!(shown.starts_with("<bdi"), "{shown}");
        assert!(!others("inv_1").into_string().contains("odd"));
    }
}
