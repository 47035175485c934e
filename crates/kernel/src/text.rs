//! What a name that others see may hold.

/// Whether `char` would change how the text around it is shown: a control character, or one that
/// turns the direction of writing ([UTR 36, §2.5](https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing)).
pub fn is_disguise(char: char) -> bool {
    char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether nothing of `text` would be seen: it is empty, or all blanks and characters without a shape.
pub fn is_invisible(text: &str) -> bool {
    text.chars().all(|char| {
        char.is_whitespace()
            || is_disguise(char)
            || matches!(char,
                '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}'
                | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nobody_could_see_are_known() {
        for text in ["", " ", "\u{200b}", "\u{3164}\u{2800}", "\u{202e}\t"] {
            assert!(is_invisible(text), "{text:?}");
        }
        // The last two need a joiner: a family and a Persian word.
        for text in ["a", "\u{200b}a", "👨\u{200d}👩", "می\u{200c}خواهم"] {
            assert!(!is_invisible(text), "{text:?}");
        }
    }

    #[test]
    fn characters_that_turn_the_text_around_them_are_known() {
        for char in [
            '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}', '\0', '\n', '\u{85}',
        ] {
            assert!(is_disguise(char), "{char:?}");
        }
        for char in [
            'a', ' ', '\u{200d}', '\u{200f}', '\u{2029}', '\u{202f}', 'ş', 'ع',
        ] {
            assert!(!is_disguise(char), "{char:?}");
        }
    }
}
