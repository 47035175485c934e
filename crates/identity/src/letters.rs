//! What people read on their phones and in their mail. Pure.

use infra::mail::Letter;
use infra::sms::Text;
use kernel::Locale;

/// What fits into one text: one more would be paid twice.
const SEGMENT: usize = 160;

/// Text and address of a server, as they stand in messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    /// Where people reach the server.
    pub(crate) public_url: &'a str,
}

impl Sender<'_> {
    /// The host of a page that may fill a code in by itself; only pages under TLS may.
    fn page_host(&self) -> Option<&str> {
        let authority = self.public_url.strip_prefix("https://")?;
        Some(authority.split(':').next().unwrap_or(authority))
    }
}

/// The text with a code.
///
/// Turkish without its own letters: outside of the basic alphabet of texts (3GPP TS 23.038) a
/// segment has 70 characters. The last line lets browsers fill the code in.
pub(crate) fn code_text(sender: Sender<'_>, locale: Locale, to: &str, code: &str) -> Text {
    let words = match locale {
        Locale::Tr => {
            format!("Meydan kodu: {code}. 5 dakika kullanabilirsiniz; kimseye vermeyin.")
        }
        Locale::En => format!("Meydan code: {code}. Good for 5 minutes; give it to nobody."),
    };
    let filled = sender
        .page_host()
        .map(|host| format!("{words}\n\n@{host} #{code}"))
        .filter(|body| body.len() <= SEGMENT);
    Text {
        to: to.to_owned(),
        body: filled.unwrap_or(words),
    }
}

/// The letter with a code.
pub(crate) fn code_letter(sender: Sender<'_>, locale: Locale, to: &str, code: &str) -> Letter {
    let url = sender.public_url;
    let (subject, text) = match locale {
        Locale::Tr => (
            format!("Meydan kodunuz: {code}"),
            format!(
                "Kodunuz: {code}\n\n\
                 5 dakika geçerlidir ve bir kez kullanılır. Kimseye vermeyin; biz de sormayız.\n\
                 Bu kodu siz istemediyseniz bir şey yapmanız gerekmez.\n\n\
                 {url}\n"
            ),
        ),
        Locale::En => (
            format!("Your Meydan code: {code}"),
            format!(
                "Your code: {code}\n\n\
                 It is good for 5 minutes and works once. Give it to nobody; we never ask for it.\n\
                 If you did not ask for it, there is nothing you need to do.\n\n\
                 {url}\n"
            ),
        ),
    };
    Letter {
        to: to.to_owned(),
        subject,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The basic alphabet as far as our texts use it.
    fn basic(text: &str) -> bool {
        let marks = " .,;:!?@#-_/\n";
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
    }

    #[test]
    fn a_text_is_one_segment_in_the_basic_alphabet() {
        let long = format!("https://{}.example", "a".repeat(120));
        for url in [
            "https://meydan.example",
            "https://chat.meydan.example:8443",
            "http://127.0.0.1:3000",
            &long,
        ] {
            for locale in [Locale::Tr, Locale::En] {
                let sender = Sender { public_url: url };
                let body = code_text(sender, locale, "+905321234567", "042617").body;
                assert!(basic(&body) && body.len() <= SEGMENT, "{body}");
                assert!(body.contains("042617") && body.contains("Meydan"));
            }
        }
    }

    #[test]
    fn the_last_line_binds_the_code_to_a_page_under_tls() {
        let body = |public_url| code_text(Sender { public_url }, Locale::En, "+1", "042617").body;
        assert!(body("https://meydan.example:8443").ends_with("\n@meydan.example #042617"));
        assert!(!body("http://127.0.0.1:3000").contains('@'));
    }

    #[test]
    fn a_letter_says_its_code_in_both_languages() {
        let sender = Sender {
            public_url: "https://meydan.example",
        };
        for locale in [Locale::Tr, Locale::En] {
            let letter = code_letter(sender, locale, "a@example.com", "042617");
            assert!(letter.text.contains("042617") && letter.subject.contains("042617"));
            assert!(!letter.subject.contains('\n'));
        }
    }
}
