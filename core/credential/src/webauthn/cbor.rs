//! A strict reader of the little CBOR (RFC 8949) that WebAuthn uses: definite lengths, shortest heads, unique keys, no
//! tags, no fractions, four levels (the limits of CTAP2's canonical form).
//!
//! Unlike that form, a map may have its keys in any order: not every client sorts those of an attestation object.

/// Deepest nesting (CTAP 2.1 section 8).
const DEPTH_MAX: usize = 4;
/// Most items of one array or map; an authenticator's have under ten.
const ITEMS_MAX: u64 = 64;

/// One value. Text and bytes are borrowed from the input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
    Text(&'a str),
    Array(Vec<Value<'a>>),
    Map(Vec<(Value<'a>, Value<'a>)>),
    Simple(u8),
}

impl<'a> Value<'a> {
    /// The value of a key that is a text.
    pub(super) fn member(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(name, _)| matches!(name, Value::Text(name) if *name == key))
            .map(|(_, value)| value)
    }
    /// The value of a key that is a number.
    pub(super) fn numbered(&self, key: i64) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(name, _)| *name == Value::Integer(key))
            .map(|(_, value)| value)
    }
    /// The entries of a map; none of anything else.
    pub(super) fn entries(&self) -> &[(Value<'a>, Value<'a>)] {
        match self {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }
    pub(super) const fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
    pub(super) const fn text(&self) -> Option<&'a str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
    pub(super) const fn integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

/// One value, and what stands behind it. `None` for whatever is not read here.
pub(super) fn read(input: &[u8]) -> Option<(Value<'_>, &[u8])> {
    read_at(input, 0)
}

fn read_at(input: &[u8], depth: usize) -> Option<(Value<'_>, &[u8])> {
    let (major, number, rest) = head(input)?;
    if depth > DEPTH_MAX {
        return None;
    }
    match major {
        0 => Some((Value::Integer(i64::try_from(number).ok()?), rest)),
        1 => {
            let number = i64::try_from(number).ok()?;
            Some((Value::Integer((-1_i64).checked_sub(number)?), rest))
        }
        2 => {
            let (bytes, rest) = rest.split_at_checked(usize::try_from(number).ok()?)?;
            Some((Value::Bytes(bytes), rest))
        }
        3 => {
            let (bytes, rest) = rest.split_at_checked(usize::try_from(number).ok()?)?;
            Some((Value::Text(std::str::from_utf8(bytes).ok()?), rest))
        }
        4 => array(number, rest, depth),
        5 => map(number, rest, depth),
        // false, true, null, undefined; fractions have longer heads.
        7 if (20..=23).contains(&number) => Some((Value::Simple(u8::try_from(number).ok()?), rest)),
        _ => None,
    }
}

fn array(items: u64, mut rest: &[u8], depth: usize) -> Option<(Value<'_>, &[u8])> {
    let mut values = Vec::new();
    for _ in 0..Some(items).filter(|items| *items <= ITEMS_MAX)? {
        let (value, after) = read_at(rest, depth + 1)?;
        values.push(value);
        rest = after;
    }
    Some((Value::Array(values), rest))
}

fn map(items: u64, mut rest: &[u8], depth: usize) -> Option<(Value<'_>, &[u8])> {
    let mut entries: Vec<(Value<'_>, Value<'_>)> = Vec::new();
    for _ in 0..Some(items).filter(|items| *items <= ITEMS_MAX)? {
        let (key, after) = read_at(rest, depth + 1)?;
        let (value, after) = read_at(after, depth + 1)?;
        if entries.iter().any(|(known, _)| *known == key) {
            return None;
        }
        entries.push((key, value));
        rest = after;
    }
    Some((Value::Map(entries), rest))
}

/// Major type and number (RFC 8949 section 3), in the shortest form only (section 4.2.1).
fn head(input: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (first, rest) = input.split_first()?;
    let (major, short) = (first >> 5, first & 31);
    let width = match short {
        0..=23 => return Some((major, u64::from(short), rest)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let (bytes, rest) = rest.split_at_checked(width)?;
    let number = bytes
        .iter()
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let least = match width {
        1 => 24,
        2 => 1 << 8,
        4 => 1 << 16,
        _ => 1 << 32,
    };
    (number >= least).then_some((major, number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind_are_read() {
        // The last key is -1.
        let input = [
            0xa4, 0x61, b'a', 0x18, 24, 0x61, b'b', 0x82, 0x41, 9, 0xf5, 0x61, b'c', 0xa0, 0x20, 0x38, 99, 7,
        ];
        let (value, rest) = read(&input).unwrap();
        assert_eq!(rest, [7]);
        assert_eq!(value.member("a").and_then(Value::integer), Some(24));
        assert_eq!(
            value.member("b"),
            Some(&Value::Array(vec![Value::Bytes(&[9]), Value::Simple(21)]))
        );
        assert_eq!(value.member("c").map(Value::entries), Some(&[][..]));
        assert_eq!(value.numbered(-1).and_then(Value::integer), Some(-100));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        for bad in [
            &[0x18, 23][..],                          // a longer head than needed
            &[0x5f, 0x41, 1, 0xff],                   // indefinite length
            &[0xa2, 0x61, b'a', 1, 0x61, b'a', 2],    // the same key twice
            &[0xc0, 0x00],                            // a tag
            &[0xf9, 0, 0],                            // a fraction
            &[0x42, 1],                               // ends early
            &[0x62, 0xc3, 0x28],                      // not UTF-8
            &[0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0], // too deep
            &[0x1b, 255, 255, 255, 255, 255, 255, 255, 255],
            &[],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
