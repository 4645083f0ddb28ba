//! Takes injected secrets out of what comes back: in plain, base64, base64url, hex and percent form, across frames.
//!
//! Found bytes are overwritten by as many asterisks, so lengths stay true. Only the bytes that could be the beginning
//! of a secret are held back until the next frame: an event stream flows.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use identity::Secret;

/// Shortest secret that is injected at all: anything shorter would be found everywhere.
pub(crate) const SECRET_BYTES_MIN: usize = 8;
/// Shortest derived form that is looked for.
const FORM_BYTES_MIN: usize = 8;

/// What to look for, compiled once per secret.
pub(crate) struct Patterns {
    automaton: AhoCorasick,
    forms: Secret<Vec<Vec<u8>>>,
    longest: usize,
}

impl std::fmt::Debug for Patterns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patterns(…)")
    }
}

impl Patterns {
    /// Every form of `secret`; `None` if it is too short to be told from ordinary bytes.
    pub(crate) fn of(secret: &str) -> Option<Self> {
        if secret.len() < SECRET_BYTES_MIN {
            return None;
        }
        let forms = forms(secret.as_bytes());
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&forms)
            .ok()?;
        let longest = forms.iter().map(Vec::len).max().unwrap_or(0);
        Some(Self {
            automaton,
            forms: Secret::new(forms),
            longest,
        })
    }

    /// Whether `bytes` hold the secret in any form.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> bool {
        self.automaton.is_match(bytes)
    }

    fn overwrite(&self, bytes: &mut [u8]) {
        let found: Vec<_> = self
            .automaton
            .find_iter(&*bytes)
            .map(|found| found.range())
            .collect();
        for range in found {
            if let Some(part) = bytes.get_mut(range) {
                part.fill(b'*');
            }
        }
    }

    /// Length of the longest end of `bytes` that a secret could begin with.
    fn open_end(&self, bytes: &[u8]) -> usize {
        let most = bytes.len().min(self.longest.saturating_sub(1));
        (1..=most)
            .rev()
            .find(|length| {
                let end = bytes.get(bytes.len() - length..).unwrap_or_default();
                self.forms
                    .expose()
                    .iter()
                    .any(|form| form.len() > end.len() && form.starts_with(end))
            })
            .unwrap_or(0)
    }

    /// Overwrites the secret in every header value; a name that holds it goes altogether.
    pub(crate) fn scrub_headers(&self, headers: &mut HeaderMap) {
        if !headers
            .iter()
            .any(|(name, value)| self.found_in(value.as_bytes()) || self.found_in(name.as_str().as_bytes()))
        {
            return;
        }
        let mut clean = HeaderMap::with_capacity(headers.len());
        for (name, value) in &*headers {
            if self.found_in(name.as_str().as_bytes()) {
                continue;
            }
            let mut bytes = value.as_bytes().to_vec();
            self.overwrite(&mut bytes);
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                clean.append(name.clone(), value);
            }
        }
        *headers = clean;
    }
}

/// Scrubs one body, frame by frame.
#[derive(Debug, Default)]
pub(crate) struct Scrubber {
    held: BytesMut,
}

impl Scrubber {
    /// What can go on of everything that came in so far.
    pub(crate) fn push(&mut self, patterns: &[std::sync::Arc<Patterns>], frame: Bytes) -> Bytes {
        let open = |bytes: &[u8]| patterns.iter().map(|one| one.open_end(bytes)).max().unwrap_or(0);
        if self.held.is_empty() && !patterns.iter().any(|one| one.found_in(&frame)) {
            let mut frame = frame;
            let end = open(&frame);
            if end > 0 {
                self.held.extend_from_slice(&frame.split_off(frame.len() - end));
            }
            return frame;
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(&frame);
        for one in patterns {
            one.overwrite(&mut all);
        }
        let end = open(&all);
        self.held = all.split_off(all.len() - end);
        all.freeze()
    }

    /// The rest, when nothing more comes: it is no whole secret.
    pub(crate) fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held).freeze()
    }
}

/// Every form that is looked for.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut list = vec![secret.to_vec()];
    let mut add = |form: Vec<u8>| {
        if form.len() >= FORM_BYTES_MIN && !list.contains(&form) {
            list.push(form);
        }
    };
    // Inside a longer base64 text a secret can begin at any of three places of a group; the characters that it shares
    // with its neighbours are left out.
    for shift in 0..3_usize {
        let mut padded = vec![0; shift];
        padded.extend_from_slice(secret);
        let first = (shift * 8).div_ceil(6);
        let whole = padded.len() * 8 / 6;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&padded);
            add(text.get(first..whole).unwrap_or_default().as_bytes().to_vec());
        }
    }
    for upper in [false, true] {
        let hex = |byte: u8| {
            let text = if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            };
            text.into_bytes()
        };
        add(secret.iter().flat_map(|byte| hex(*byte)).collect());
        add(secret
            .iter()
            .flat_map(|byte| [b"%".to_vec(), hex(*byte)].concat())
            .collect());
        for (kept, space) in [
            (&b"-._~"[..], &b"%20"[..]),
            (b"-._*", b"+"),
            (b"-_.!~*'()", b"%20"),
        ] {
            add(secret
                .iter()
                .flat_map(|byte| match byte {
                    b' ' => space.to_vec(),
                    byte if byte.is_ascii_alphanumeric() || kept.contains(byte) => vec![*byte],
                    byte => [b"%".to_vec(), hex(*byte)].concat(),
                })
                .collect());
        }
    }
    // As a JSON string writes it.
    if let Ok(text) = serde_json::to_vec(&String::from_utf8_lossy(secret)) {
        let inner = text
            .get(1..text.len().saturating_sub(1))
            .unwrap_or_default()
            .to_vec();
        let slashed = inner
            .iter()
            .flat_map(|byte| {
                if *byte == b'/' {
                    b"\\/".to_vec()
                } else {
                    vec![*byte]
                }
            })
            .collect();
        add(inner);
        add(slashed);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;
    use std::sync::Arc;

    const SECRET: &str = "sk-Canary/7Zq+ä\"0";

    fn scrub(frames: &[&[u8]]) -> Vec<u8> {
        let patterns = [Arc::new(Patterns::of(SECRET).unwrap())];
        let mut scrubber = Scrubber::default();
        let mut out = Vec::new();
        for frame in frames {
            out.extend_from_slice(&scrubber.push(&patterns, Bytes::copy_from_slice(frame)));
        }
        out.extend_from_slice(&scrubber.finish());
        out
    }

    #[test]
    fn every_form_is_found_and_lengths_stay_true() {
        let hex: String = SECRET
            .bytes()
            .fold(String::new(), |hex, b| format!("{hex}{b:02x}"));
        let percent: String = SECRET
            .bytes()
            .fold(String::new(), |all, b| format!("{all}%{b:02X}"));
        let mut forms = vec![SECRET.to_owned(), hex.clone(), hex.to_uppercase(), percent];
        forms.push("sk-Canary%2F7Zq%2B%C3%A4%220".to_owned());
        forms.push(serde_json::to_string(SECRET).unwrap());
        for before in ["", "a", "ab", "user:"] {
            for after in ["", "x", "xy"] {
                forms.push(STANDARD.encode(format!("{before}{SECRET}{after}")));
                forms.push(URL_SAFE.encode(format!("{before}{SECRET}{after}")));
            }
        }
        for form in forms {
            let text = format!("before {form} after");
            let out = scrub(&[text.as_bytes()]);
            assert_eq!(out.len(), text.len());
            assert!(out.starts_with(b"before ") && out.ends_with(b" after"));
            let text = String::from_utf8_lossy(&out);
            assert!(text.contains("********"), "{form} -> {text}");
            assert!(!text.contains(&form));
        }
    }

    #[test]
    fn an_event_stream_is_not_held_back() {
        let patterns = [Arc::new(Patterns::of(SECRET).unwrap())];
        let mut scrubber = Scrubber::default();
        let event = Bytes::from_static(b"data: hello\n\n");
        assert_eq!(scrubber.push(&patterns, event.clone()), event);
        assert_eq!(
            &scrubber.push(&patterns, Bytes::from_static(b"data: sk-"))[..],
            b"data: "
        );
        assert_eq!(
            &scrubber.push(&patterns, Bytes::from_static(b"other\n\n"))[..],
            b"sk-other\n\n"
        );
    }

    #[test]
    fn headers_are_scrubbed_too() {
        let patterns = Patterns::of("0123456789abcdef").unwrap();
        let mut headers = HeaderMap::new();
        headers.append("x-echo", HeaderValue::from_static("key=0123456789abcdef;"));
        headers.append("x-other", HeaderValue::from_static("fine"));
        patterns.scrub_headers(&mut headers);
        assert_eq!(headers["x-echo"], "key=****************;");
        assert_eq!(headers["x-other"], "fine");
    }

    #[test]
    fn a_secret_that_is_everywhere_is_not_injected() {
        assert!(Patterns::of("1234567").is_none());
    }

    proptest! {
        /// However a body is cut into frames, the secret does not come through and nothing else changes.
        #[test]
        fn no_cut_lets_the_secret_through(
            before in "[a-zA-Z/+ ]{0,20}",
            after in "[a-zA-Z/+ ]{0,20}",
            cuts in proptest::collection::vec(0_usize..80, 0..6),
        ) {
            let text = format!("{before}{SECRET}{after}{SECRET}");
            let mut rest = text.as_bytes();
            let mut frames = Vec::new();
            for cut in cuts {
                let (frame, tail) = rest.split_at(cut.min(rest.len()));
                frames.push(frame);
                rest = tail;
            }
            frames.push(rest);
            let out = scrub(&frames);
            let stars = "*".repeat(SECRET.len());
            prop_assert_eq!(String::from_utf8_lossy(&out), format!("{before}{stars}{after}{stars}"));
        }
    }
}
