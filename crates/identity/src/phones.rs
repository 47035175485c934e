//! Telephone numbers as people write them, and the countries they belong to. Pure.

use std::fmt;
use std::str::FromStr;

use phonenumber::country::Id;
use phonenumber::metadata::DATABASE;
use phonenumber::{Mode, Type};

/// Longest text that is looked at; the longest number has 15 digits (ITU-T E.164).
const MAX_CHARS: usize = 40;
/// What people put between digits.
const SEPARATORS: &[char] = &[' ', '\u{a0}', '-', '\u{2011}', '(', ')', '.', '/'];

/// A country, by its two letters (ISO 3166-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region(Id);

impl Region {
    /// Türkiye.
    pub const TR: Region = Region(Id::TR);
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref())
    }
}

/// Two letters that are no country with telephones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read a country such as TR")]
pub struct UnknownRegion;

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        let text = text.trim().to_ascii_uppercase();
        text.parse().map(Region).or(Err(UnknownRegion))
    }
}

/// A number that can receive texts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Phone {
    /// E.164: `+905321234567`.
    pub(crate) number: String,
    /// Its country.
    pub(crate) region: Region,
}

impl Phone {
    /// Reads a number: international with `+` or `00`, else as it is dialled inside `region`.
    ///
    /// Only numbers that texts reach. A code sent to a premium-rate number would be money for
    /// whoever asked for it.
    pub(crate) fn parse(text: &str, region: Region) -> Option<Self> {
        if text.chars().count() > MAX_CHARS {
            return None;
        }
        let text = text.trim();
        let (plus, rest) = match text.strip_prefix('+') {
            Some(rest) => ("+", rest),
            None => ("", text),
        };
        let digits: String = rest.chars().filter(|c| !SEPARATORS.contains(c)).collect();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number = match (plus, digits.strip_prefix("00")) {
            ("", Some(international)) => read(None, &format!("+{international}")),
            ("", None) => read(Some(region.0), &digits),
            (_, _) => read(None, &format!("+{digits}")),
        }?;
        let region = number.country().id().map(Region)?;
        let texts = matches!(
            number.number_type(&DATABASE),
            Type::Mobile | Type::FixedLineOrMobile
        );
        texts.then(|| Phone {
            number: number.format().mode(Mode::E164).to_string(),
            region,
        })
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(***)")
    }
}

fn read(region: Option<Id>, digits: &str) -> Option<phonenumber::PhoneNumber> {
    phonenumber::parse(region, digits)
        .ok()
        .filter(phonenumber::is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Option<String> {
        Phone::parse(text, Region::TR).map(|phone| phone.number)
    }

    #[test]
    fn turkish_numbers_are_read_as_people_write_them() {
        for text in [
            "+905321234567",
            "0532 123 45 67",
            "532-123-45-67",
            "0(532) 1234567",
            "0090 532 123 45 67",
            " +90 (532) 123.45.67 ",
            "0532\u{a0}123\u{a0}45\u{a0}67",
        ] {
            assert_eq!(number(text).as_deref(), Some("+905321234567"), "{text}");
        }
        let seed = Phone::parse("+905551234567", Region::TR).unwrap();
        assert_eq!(seed.region, Region::TR);
    }

    #[test]
    fn numbers_of_other_countries_need_their_code() {
        let german = Phone::parse("+49 1512 3456789", Region::TR).unwrap();
        assert_eq!(
            (german.number.as_str(), german.region.to_string().as_str()),
            ("+4915123456789", "DE")
        );
        assert_eq!(
            Phone::parse("01512 3456789", "de".parse().unwrap()),
            Some(german)
        );
        assert_eq!(
            number("+1 520 878 2491").as_deref(),
            Some("+15208782491"),
            "a country that does not tell mobile numbers apart"
        );
    }

    #[test]
    fn what_no_text_reaches_is_refused() {
        let long = "5".repeat(41);
        for text in [
            "",
            "+",
            "00",
            "112",
            "abc",
            "+90532123456",
            "+9053212345678",
            "+90 212 251 10 20",
            "+90 900 123 45 67",
            "+90 800 123 45 67",
            "+800 1234 0000",
            "+999 123456789",
            "+90532123456x",
            "++905321234567",
            "+90532+1234567",
            "٠٥٣٢١٢٣٤٥٦٧",
            "0532\x001234567",
            &long,
        ] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn regions_are_two_letters() {
        assert_eq!("tr".parse(), Ok(Region::TR));
        assert_eq!(" DE ".parse::<Region>().unwrap().to_string(), "DE");
        for bad in ["", "T", "TUR", "ZZ", "90"] {
            assert_eq!(bad.parse::<Region>(), Err(UnknownRegion), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn anything_gives_a_number_in_one_form_or_none(text in "\\PC{0,45}|[+0-9 ()-]{0,24}") {
            if let Some(phone) = Phone::parse(&text, Region::TR) {
                prop_assert!(phone.number.starts_with('+') && phone.number.len() <= 16);
                prop_assert!(phone.number.bytes().skip(1).all(|b| b.is_ascii_digit()));
                let again = Phone::parse(&phone.number, Region::TR);
                prop_assert_eq!(again.map(|phone| phone.number), Some(phone.number));
            }
        }
    }
}
