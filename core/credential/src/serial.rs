//! Serial numbers of our certificates: random bits first, then the number of the entry that records the decision.
//! Whoever holds a certificate can so ask the log about it (DESIGN: "the entry number sits in the serial").

/// A certificate's serial number: 16 bytes, positive, never starting with a zero byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Serial([u8; 16]);

impl Serial {
    /// From 8 random bytes, of which 62 bits are used, and the index of the entry. 62 random bits are just short of
    /// the 64 that the CA/Browser Forum asks for against collision attacks on the signature hash; SHA-256 has none.
    pub fn new(random: [u8; 8], entry_index: u64) -> Self {
        let head = u64::from_be_bytes(random) & (u64::MAX >> 2) | 1 << 62;
        Self((u128::from(head) << 64 | u128::from(entry_index)).to_be_bytes())
    }
    /// From the bytes of a certificate; `None` if it cannot be one of ours.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 16] = bytes.try_into().ok()?;
        (u128::from_be_bytes(bytes) >> 126 == 1).then_some(Self(bytes))
    }
    /// The bytes, big-endian.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
    /// The index of the entry that records the decision.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    pub const fn entry_index(&self) -> u64 {
        u128::from_be_bytes(self.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_positive_full_width_and_tells_its_entry() {
        for random in [[0; 8], [0xff; 8]] {
            for index in [0, 1, u64::MAX] {
                let serial = Serial::new(random, index);
                assert!((0x40..0x80).contains(&serial.as_bytes()[0]));
                assert_eq!(serial.entry_index(), index);
                assert_eq!(Serial::from_bytes(serial.as_bytes()), Some(serial));
            }
        }
        assert_eq!(Serial::from_bytes(&[0; 16]), None);
        assert_eq!(Serial::from_bytes(&[0x40; 15]), None);
    }
}
