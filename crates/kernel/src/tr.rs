//! Turkish text: how it is folded for search, the same way when it is stored and when it is sought.

/// Folds text so that what reads alike is found alike: `İSTANBUL`, `ıstanbul` and `istanbul` are one.
///
/// All of `I İ ı i` become `i`, the letters `ş ğ ç ö ü â î û` lose what stands above or below them,
/// also where it is written as a character of its own, and everything else becomes lower case.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            'I' | 'İ' | 'ı' | 'î' | 'Î' => folded.push('i'),
            'ş' | 'Ş' => folded.push('s'),
            'ğ' | 'Ğ' => folded.push('g'),
            'ç' | 'Ç' => folded.push('c'),
            'ö' | 'Ö' => folded.push('o'),
            'ü' | 'Ü' | 'û' | 'Û' => folded.push('u'),
            'â' | 'Â' => folded.push('a'),
            // Marks that combine with the letter before them.
            '\u{300}'..='\u{36f}' => {}
            other => folded.extend(other.to_lowercase()),
        }
    }
    folded
}

/// The words of a text, folded: runs of letters and digits.
pub fn words(text: &str) -> Vec<String> {
    fold(text)
        .split(|char: char| !char.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_reads_alike_is_one() {
        for (one, other) in [
            ("IĞDIR", "ığdır"),
            ("İSTANBUL", "istanbul"),
            ("DIŞ", "dış"),
            ("Isparta", "ısparta"),
            ("ÇÖĞÜŞ", "çöğüş"),
            ("çay", "cay"),
            ("kâğıt", "kagit"),
            ("s\u{327}is\u{327}e", "şişe"),
            ("I\u{307}zmir", "izmir"),
            ("ΑΘΗΝΑ", "αθηνα"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_eq!(fold("İstanbul'da ŞİŞLİ"), "istanbul'da sisli");
        assert_ne!(fold("su"), fold("şule"));
    }

    #[test]
    fn words_are_letters_and_digits() {
        assert_eq!(
            words("  Oto-Pazarı, 34 ABC!"),
            ["oto", "pazari", "34", "abc"]
        );
        assert!(words("—!?").is_empty());
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in ".{0,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
