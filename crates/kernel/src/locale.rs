//! Languages the product speaks.

/// A language of public texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Locale {
    /// Turkish.
    Tr,
    /// English.
    #[default]
    En,
}

impl Locale {
    /// The BCP 47 tag.
    pub fn tag(self) -> &'static str {
        match self {
            Locale::Tr => "tr",
            Locale::En => "en",
        }
    }

    /// Reads a tag such as `tr`, `tr-TR` or `en_GB`; none for other languages.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default().trim();
        if primary.eq_ignore_ascii_case("tr") {
            Some(Locale::Tr)
        } else if primary.eq_ignore_ascii_case("en") {
            Some(Locale::En)
        } else {
            None
        }
    }

    /// Picks from an `Accept-Language` header (RFC 9110 §12.5.4): the best weighted language we
    /// speak, English when there is none.
    pub fn from_accept_language(header: &str) -> Self {
        let mut best: Option<(f32, Locale)> = None;
        for part in header.split(',').take(16) {
            let mut pieces = part.split(';');
            let Some(locale) = pieces.next().and_then(Locale::from_tag) else {
                continue;
            };
            let weight = pieces
                .find_map(|p| p.trim().strip_prefix("q="))
                .map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0));
            if weight > 0.0 && best.is_none_or(|(seen, _)| weight > seen) {
                best = Some((weight, locale));
            }
        }
        best.map_or_else(Locale::default, |(_, locale)| locale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_language_takes_the_best_weight() {
        for (header, expected) in [
            ("", Locale::En),
            ("tr", Locale::Tr),
            ("tr-TR,tr;q=0.9,en;q=0.8", Locale::Tr),
            ("en;q=0.4, tr;q=0.5", Locale::Tr),
            ("de, fr;q=0.9", Locale::En),
            ("tr;q=0, en;q=0.1", Locale::En),
            ("tr;q=x", Locale::En),
        ] {
            assert_eq!(Locale::from_accept_language(header), expected, "{header}");
        }
    }
}
