//! The few lines of DER that writing a public key and an ECDSA signature needs (X.690 section 8).
//!
//! Reading certificates and requests is left to x509-parser and webpki.

/// One element: tag, definite length, content.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 5);
    out.push(tag);
    let bytes = content.len().to_be_bytes();
    if content.len() < 0x80 {
        out.extend(bytes.last());
    } else {
        let significant: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
        out.extend(significant.len().to_be_bytes().last().map(|count| 0x80 | count));
        out.extend(significant);
    }
    out.extend_from_slice(content);
    out
}

/// A non-negative INTEGER from big-endian bytes.
pub(crate) fn integer(big_endian: &[u8]) -> Vec<u8> {
    let mut content: Vec<u8> = big_endian.iter().copied().skip_while(|byte| *byte == 0).collect();
    if content.first().is_none_or(|first| *first >= 0x80) {
        content.insert(0, 0);
    }
    element(0x02, &content)
}

/// A SEQUENCE of elements that are already encoded.
pub(crate) fn sequence(elements: &[&[u8]]) -> Vec<u8> {
    element(0x30, &elements.concat())
}

/// A BIT STRING without unused bits.
pub(crate) fn bit_string(content: &[u8]) -> Vec<u8> {
    element(0x03, &[&[0], content].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form_and_integers_stay_positive() {
        assert_eq!(element(4, &[7; 127])[..2], [4, 127]);
        assert_eq!(element(4, &[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(element(4, &[7; 300])[..4], [4, 0x82, 1, 44]);
        assert_eq!(integer(&[0, 0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[]), [2, 1, 0]);
    }
}
