//! What is sent besides what the service's definition names: bound by the digest of the bytes like all the rest, and
//! looked at by no contract, so people have to see it for what it is.
//!
//! A refund of 120 euros is another one where the body also names an account. The definition says which parts of a
//! request mean something; of the others nobody knows, and a page that left them out would have people approve less than
//! what is sent.

use crate::upstream::{Place, Upstream};
use identity::Name;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most parts that are shown; how many more there are is said.
pub const BESIDES_MAX: usize = 16;
/// Longest place and longest value that are shown, in bytes.
const PLACE_BYTES_MAX: usize = 120;
const VALUE_BYTES_MAX: usize = 240;

/// Header fields that say how the body is written, or that every client sends.
const OF_THE_FORM: [&str; 3] = ["content-type", "content-language", "content-length"];

/// One part of a request of which the definition says nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Beside {
    /// Where: `body /note`, `header x-batch`.
    pub place: String,
    /// What, cut where it is long.
    pub value: String,
}

/// All of them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Besides {
    /// The first of them.
    pub shown: Vec<Beside>,
    /// How many more there are.
    pub more: u32,
}

impl Besides {
    /// Of a request to `upstream`, which takes it for `action`. `fields` are the header fields that go along.
    pub fn of(
        upstream: &Upstream,
        method: &str,
        action: &Name,
        fields: &[(&str, &[u8])],
        body: &[u8],
    ) -> Self {
        let routes = || {
            let routes = upstream.routes.iter();
            routes.filter(|route| route.method == method && route.action == *action)
        };
        let places = || {
            routes().flat_map(|route| {
                let arguments = route.arguments.iter().map(|argument| &argument.from);
                arguments.chain(&route.tenant).chain(&route.version)
            })
        };
        let mut besides = Self::default();
        for (name, value) in fields {
            let is_declared = places()
                .any(|place| matches!(place, Place::Header(header) if header.eq_ignore_ascii_case(name)));
            if !is_declared && !OF_THE_FORM.contains(name) {
                besides.add(&format!("header {name}"), &String::from_utf8_lossy(value));
            }
        }
        let pointers: Vec<&str> = places()
            .filter_map(|place| match place {
                Place::Body(pointer) => Some(pointer.as_str()),
                Place::Path(_) | Place::Query(_) | Place::Header(_) => None,
            })
            .collect();
        if body.is_empty() {
            return besides;
        }
        match crate::upstream::read_body(body) {
            Ok(value) => besides.walk("", &value, &pointers),
            Err(_) => match std::str::from_utf8(body) {
                Ok(text) => besides.add("body", text),
                Err(_) => besides.add("body", &format!("{} bytes that are no text", body.len())),
            },
        }
        besides
    }

    /// Whether there is nothing.
    pub const fn is_empty(&self) -> bool {
        self.shown.is_empty() && self.more == 0
    }

    /// Whether a gateway could have made it: bounded like ours.
    pub fn is_bounded(&self) -> bool {
        let fits = |one: &Beside| {
            // With the mark of where it was cut.
            one.place.len() <= PLACE_BYTES_MAX + MARK_BYTES_MAX
                && one.value.len() <= VALUE_BYTES_MAX + MARK_BYTES_MAX
        };
        self.shown.len() <= BESIDES_MAX && self.shown.iter().all(fits)
    }

    fn walk(&mut self, at: &str, value: &Value, declared: &[&str]) {
        if declared.contains(&at) {
            return;
        }
        let below = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (name, value) in members {
                    self.walk(&below(name), value, declared);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (place, value) in items.iter().enumerate() {
                    self.walk(&below(&place.to_string()), value, declared);
                }
            }
            Value::String(text) => self.add(&format!("body {at}"), text),
            _ => self.add(&format!("body {at}"), &value.to_string()),
        }
    }

    fn add(&mut self, place: &str, value: &str) {
        if self.shown.len() == BESIDES_MAX {
            self.more = self.more.saturating_add(1);
            return;
        }
        self.shown.push(Beside {
            place: cut(place.trim_end(), PLACE_BYTES_MAX),
            value: cut(value, VALUE_BYTES_MAX),
        });
    }
}

/// Room for `… (1048576 bytes)`.
const MARK_BYTES_MAX: usize = 32;

fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    format!("{}… ({} bytes)", text.get(..end).unwrap_or_default(), text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Manifest;
    use identity::{OrgId, UpstreamId};

    fn till() -> Upstream {
        let text = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: till}
base_url: http://127.0.0.1:9
credential: none
routes:
  - method: POST
    path: '/invoices/{id}/refund'
    action: refund.create
    resource: {type: invoice, id: id}
    arguments: [{name: amount, body: /amount, type: integer}, {name: batch, header: x-batch}]
";
        Manifest::parse("till.yaml", text.as_bytes()).unwrap().upstream(
            UpstreamId::from_u128(1),
            OrgId::from_u128(1),
            0,
        )
    }

    fn of(fields: &[(&str, &[u8])], body: &str) -> Besides {
        let action: Name = "refund.create".parse().unwrap();
        Besides::of(&till(), "POST", &action, fields, body.as_bytes())
    }

    fn pairs(besides: &Besides) -> Vec<(&str, &str)> {
        besides
            .shown
            .iter()
            .map(|it| (it.place.as_str(), it.value.as_str()))
            .collect()
    }

    #[test]
    fn what_nobody_declared_is_named_and_what_was_is_not() {
        let plain = of(
            &[("content-type", b"application/json"), ("x-batch", b"7")],
            "{\"amount\":120}",
        );
        assert!(plain.is_empty(), "{plain:?}");
        let more = of(
            &[("x-account", b"DE02")],
            "{\"amount\":120,\"pay\":{\"iban\":\"DE02\",\"a/b\":[1,null]},\"empty\":{}}",
        );
        assert_eq!(
            pairs(&more),
            [
                ("header x-account", "DE02"),
                ("body /pay/iban", "DE02"),
                ("body /pay/a~1b/0", "1"),
                ("body /pay/a~1b/1", "null"),
                ("body /empty", "{}"),
            ]
        );
    }

    #[test]
    fn a_body_of_another_form_is_shown_as_it_is() {
        assert_eq!(pairs(&of(&[], "a=1&b=2")), [("body", "a=1&b=2")]);
        let action: Name = "refund.create".parse().unwrap();
        let bytes = Besides::of(&till(), "POST", &action, &[], b"\xff\xfe");
        assert_eq!(pairs(&bytes), [("body", "2 bytes that are no text")]);
        assert_eq!(pairs(&of(&[], "[7]")), [("body /0", "7")]);
        assert_eq!(pairs(&of(&[], "7")), [("body", "7")]);
        assert!(of(&[], "").is_empty());
    }

    #[test]
    fn it_is_bounded_and_says_what_it_leaves_out() {
        let many: Vec<String> = (0..40)
            .map(|n| format!("\"k{n:02}\":\"{}\"", "ü".repeat(600)))
            .collect();
        let besides = of(&[], &format!("{{{}}}", many.join(",")));
        assert_eq!((besides.shown.len(), besides.more), (BESIDES_MAX, 24));
        assert!(besides.shown[0].value.ends_with("… (1200 bytes)"));
        assert!(besides.is_bounded());
        let mut forged = besides.clone();
        forged.shown[3].value = "x".repeat(1000);
        assert!(!forged.is_bounded());
        forged = besides;
        forged.shown.push(Beside {
            place: "x".into(),
            value: "y".into(),
        });
        assert!(!forged.is_bounded());
    }
}
