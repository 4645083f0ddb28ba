//! Money as a limit: an exact decimal and a currency. Never a float.

use std::fmt;

/// Digits after the point that are kept; the finest currencies use four.
const FRACTION_DIGITS: usize = 4;
/// Digits before the point: enough for any invoice, and the product with 10^4 stays far below 2^64.
const WHOLE_DIGITS_MAX: usize = 12;

/// An amount of one currency, exact to a ten-thousandth of its unit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Amount {
    /// Ten-thousandths of the currency's unit.
    pub ten_thousandths: u64,
    /// ISO 4217 code.
    pub currency: [u8; 3],
}

impl Amount {
    /// From a plain decimal such as `500.00` and an ISO 4217 code such as `EUR`. No sign, no exponent, no grouping.
    pub fn parse(value: &str, currency: &str) -> Option<Self> {
        let currency: [u8; 3] = currency.as_bytes().try_into().ok()?;
        if !currency.iter().all(u8::is_ascii_uppercase) {
            return None;
        }
        let (whole, fraction) = value
            .split_once('.')
            .map_or((value, ""), |(whole, fraction)| (whole, fraction));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let whole_ok = (1..=WHOLE_DIGITS_MAX).contains(&whole.len()) && digits(whole);
        let fraction_ok = fraction.len() <= FRACTION_DIGITS && digits(fraction);
        if !whole_ok || !fraction_ok || value.ends_with('.') {
            return None;
        }
        format!("{whole}{fraction:0<FRACTION_DIGITS$}")
            .parse()
            .ok()
            .map(|ten_thousandths| Self {
                ten_thousandths,
                currency,
            })
    }
    /// The currency's code.
    pub fn currency_code(&self) -> &str {
        std::str::from_utf8(&self.currency).unwrap_or_default()
    }
    /// The decimal, with two digits after the point or as many as it needs.
    pub fn value(&self) -> String {
        let (whole, fraction) = (self.ten_thousandths / 10_000, self.ten_thousandths % 10_000);
        if fraction % 100 == 0 {
            format!("{whole}.{:02}", fraction / 100)
        } else {
            format!("{whole}.{fraction:04}")
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value(), self.currency_code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let parse = |value| Amount::parse(value, "EUR").map(|amount| amount.ten_thousandths);
        assert_eq!(parse("500.00"), Some(5_000_000));
        assert_eq!(parse("500"), Some(5_000_000));
        assert_eq!(parse("0.0001"), Some(1));
        assert_eq!(parse("999999999999.9999"), Some(9_999_999_999_999_999));
        for bad in [
            "",
            ".5",
            "5.",
            "-1",
            "+1",
            "1e3",
            "1,000",
            "1.00001",
            "1000000000000",
            "1 ",
            "١",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        for bad in ["eur", "EU", "EURO", "E1R", "€"] {
            assert_eq!(Amount::parse("1", bad), None, "{bad}");
        }
    }

    #[test]
    fn amounts_are_written_as_they_are_read() {
        for text in ["500.00", "0.10", "0.1250", "7.00"] {
            assert_eq!(Amount::parse(text, "JPY").unwrap().value(), text);
        }
    }
}
