//! Canonical JSON (RFC 8785) of values that hold no fractions.
//!
//! Everything we hash this way is made of texts, whole numbers within the range every reader holds exactly, booleans,
//! lists and objects; the number formatting rules of section 3.2.2.3 then need no floating point at all.

use serde_json::Value;

/// Why a value has no canonical form here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A fraction, or a whole number beyond 2^53 - 1.
    #[error("a canonical number is whole and between -9007199254740991 and 9007199254740991")]
    Number,
}

/// `value` as RFC 8785 writes it.
pub fn canonical_json(value: &Value) -> Result<String, CanonicalError> {
    let mut out = String::new();
    write(value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut String) -> Result<(), CanonicalError> {
    match value {
        Value::Number(number) => {
            let whole = number.as_i64().ok_or(CanonicalError::Number)?;
            if whole.unsigned_abs() > super::constraint::INTEGER_MAX.unsigned_abs() {
                return Err(CanonicalError::Number);
            }
            out.push_str(&whole.to_string());
        }
        // serde_json escapes exactly the characters that section 3.2.2.2 names, in the same spelling.
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<(Vec<u16>, &String, &Value)> = map
                .iter()
                .map(|(key, value)| (key.encode_utf16().collect(), key, value))
                .collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            out.push('{');
            for (place, (_, key, value)) in entries.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write(value, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8785 section 3.2.3: keys sort by UTF-16 code units, so the emoji comes before U+FB33.
    #[test]
    fn keys_sort_by_utf16_code_units() {
        let value = serde_json::json!({
            "\u{20ac}": "Euro Sign",
            "\r": "Carriage Return",
            "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
            "1": "One",
            "\u{1f600}": "Emoji: Grinning Face",
            "\u{80}": "Control",
            "\u{f6}": "Latin Small Letter O With Diaeresis",
        });
        let text = canonical_json(&value).unwrap();
        let places: Vec<usize> = [
            "\\r",
            "\"1\"",
            "\u{80}",
            "\u{f6}",
            "\u{20ac}",
            "\u{1f600}",
            "\u{fb33}",
        ]
        .iter()
        .map(|key| text.find(key).unwrap())
        .collect();
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn texts_are_escaped_as_the_rfc_says_and_fractions_are_refused() {
        let value = serde_json::json!({"s": "\u{20ac}$\u{f}\nA'B\"\\\u{7f}/", "n": -0, "l": [1, true, null]});
        assert_eq!(
            canonical_json(&value).unwrap(),
            "{\"l\":[1,true,null],\"n\":0,\"s\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\u{7f}/\"}"
        );
        assert_eq!(
            canonical_json(&serde_json::json!(1.5)),
            Err(CanonicalError::Number)
        );
        assert_eq!(
            canonical_json(&serde_json::json!(1_u64 << 53)),
            Err(CanonicalError::Number)
        );
    }
}
