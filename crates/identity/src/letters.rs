//! What people read on their phones and in their mail. Pure.

use infra::mail::Letter;
use infra::sms::Text;
use jiff::Timestamp;
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

/// A letter with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkLetter {
    /// Makes an account.
    Registration,
    /// Somebody signs up with an address that has an account.
    Taken,
    /// Logs in.
    Magic,
    /// Chooses a new password.
    Reset,
}

/// A letter with a link. The token stands behind `#`, so that no server logs it.
pub(crate) fn link(
    sender: Sender<'_>,
    locale: Locale,
    to: &str,
    kind: LinkLetter,
    token: &str,
) -> Letter {
    let path = match kind {
        LinkLetter::Registration => format!("/auth/confirm#{token}"),
        LinkLetter::Magic => format!("/auth/magic#{token}"),
        LinkLetter::Reset => format!("/auth/reset#{token}"),
        LinkLetter::Taken => String::new(),
    };
    let url = format!("{}{path}", sender.public_url);
    let (subject, words, after) = match (locale, kind) {
        (Locale::Tr, LinkLetter::Registration) => (
            "Meydan: e-posta adresinizi onaylayın",
            "Hesabınızı açmak için bu bağlantıya gidin:",
            "Bağlantı 24 saat geçerlidir ve bir kez kullanılır. Kayıt olmak istemediyseniz bir şey yapmanız gerekmez; hesap açılmaz.",
        ),
        (Locale::En, LinkLetter::Registration) => (
            "Meydan: confirm your e-mail address",
            "To make your account, go to this link:",
            "It is good for 24 hours and works once. If you did not sign up, there is nothing you need to do; no account is made.",
        ),
        (Locale::Tr, LinkLetter::Taken) => (
            "Meydan: bu adresin bir hesabı var",
            "Birisi bu e-posta adresiyle kayıt olmak istedi, ama adresin zaten bir hesabı var. Siz istediyseniz giriş yapın ya da parolanızı yenileyin:",
            "Siz istemediyseniz bir şey yapmanız gerekmez; hesabınız değişmedi.",
        ),
        (Locale::En, LinkLetter::Taken) => (
            "Meydan: this address has an account",
            "Somebody wished to sign up with this e-mail address, but it has an account. If it was you, log in or choose a new password:",
            "If it was not you, there is nothing you need to do; your account did not change.",
        ),
        (Locale::Tr, LinkLetter::Magic) => (
            "Meydan: giriş bağlantınız",
            "Giriş yapmak için bu bağlantıya gidin:",
            "Bağlantı 30 dakika geçerlidir ve bir kez kullanılır. Kimseye vermeyin. Siz istemediyseniz bir şey yapmanız gerekmez.",
        ),
        (Locale::En, LinkLetter::Magic) => (
            "Meydan: your link to log in",
            "To log in, go to this link:",
            "It is good for 30 minutes and works once. Give it to nobody. If you did not ask for it, there is nothing you need to do.",
        ),
        (Locale::Tr, LinkLetter::Reset) => (
            "Meydan: yeni parola seçin",
            "Yeni bir parola seçmek için bu bağlantıya gidin:",
            "Bağlantı 30 dakika geçerlidir ve bir kez kullanılır. Yeni parola bütün oturumları kapatır. Siz istemediyseniz bir şey yapmanız gerekmez; parolanız değişmedi.",
        ),
        (Locale::En, LinkLetter::Reset) => (
            "Meydan: choose a new password",
            "To choose a new password, go to this link:",
            "It is good for 30 minutes and works once. A new password ends every login. If you did not ask for it, there is nothing you need to do; your password did not change.",
        ),
    };
    Letter {
        to: to.to_owned(),
        subject: subject.to_owned(),
        text: format!("{words}\n\n{url}\n\n{after}\n"),
    }
}

/// Something that happened to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Somebody logged in from where nobody did before.
    Login(Timestamp),
    /// The password is another.
    PasswordChanged,
    /// Another way to prove oneself came or went.
    FactorChanged,
    /// A recovery code was used.
    RecoveryUsed,
    /// A spent token came back.
    RefreshReused,
    /// Somebody reached the number and does not know its PIN.
    LockWaiting,
    /// Staff act as the user.
    Impersonated(Timestamp),
    /// The address is another; to the old one.
    EmailChanged,
    /// The number is another.
    PhoneChanged,
}

impl News {
    /// What an event about a factor means.
    pub(crate) fn of_factor(factor: &str) -> Self {
        match factor {
            "password" => News::PasswordChanged,
            "recovery_code" => News::RecoveryUsed,
            _ => News::FactorChanged,
        }
    }

    fn words(self, locale: Locale) -> (&'static str, String) {
        match locale {
            Locale::Tr => self.in_turkish(),
            Locale::En => self.in_english(),
        }
    }

    fn in_turkish(self) -> (&'static str, String) {
        let (subject, text) = match self {
            News::Login(at) => {
                let text = format!(
                    "Hesabınıza yeni bir cihazdan ya da ağdan giriş yapıldı ({}).",
                    moment(at)
                );
                return ("Meydan: yeni giriş", text);
            }
            News::Impersonated(at) => {
                let text = format!(
                    "Destek ekibinden biri size yardım etmek için hesabınızı sizin adınıza kullanmaya başladı ({}). Cihazlar listesinden sonlandırabilirsiniz.",
                    moment(at)
                );
                return ("Meydan: destek ekibi hesabınızda", text);
            }
            News::PasswordChanged => ("Meydan: parolanız değişti", "Hesabınızın parolası değişti."),
            News::FactorChanged => (
                "Meydan: güvenlik ayarlarınız değişti",
                "Hesabınızın doğrulama yollarından biri eklendi, değişti ya da kaldırıldı.",
            ),
            News::RecoveryUsed => (
                "Meydan: kurtarma kodu kullanıldı",
                "Hesabınıza bir kurtarma koduyla giriş yapıldı. O kod artık geçersiz.",
            ),
            News::RefreshReused => (
                "Meydan: bir oturum kapatıldı",
                "Eski bir oturum anahtarı ikinci kez kullanıldı; çalınmış olabilir. Güvenlik için o cihazın oturumu kapatıldı.",
            ),
            News::LockWaiting => (
                "Meydan: numaranızla giriş denendi",
                "Birisi telefon numaranızla giriş yapmak istedi ve PIN'i bilmiyor. Yedi gün içinde hesabınızı kullanmazsanız PIN artık sorulmaz.",
            ),
            News::EmailChanged => (
                "Meydan: e-posta adresiniz değişti",
                "Hesabınızın e-posta adresi değişti. Bu adrese artık yazılmayacak.",
            ),
            News::PhoneChanged => (
                "Meydan: telefon numaranız değişti",
                "Hesabınızın telefon numarası değişti.",
            ),
        };
        (subject, text.to_owned())
    }

    fn in_english(self) -> (&'static str, String) {
        let (subject, text) = match self {
            News::Login(at) => {
                let text = format!(
                    "Somebody logged in to your account from a new device or network ({}).",
                    moment(at)
                );
                return ("Meydan: new login", text);
            }
            News::Impersonated(at) => {
                let text = format!(
                    "A member of our staff began to act in your account to help you ({}). You can end it in the list of your devices.",
                    moment(at)
                );
                return ("Meydan: staff in your account", text);
            }
            News::PasswordChanged => (
                "Meydan: your password was changed",
                "The password of your account was changed.",
            ),
            News::FactorChanged => (
                "Meydan: your security settings changed",
                "A way to prove that it is you was added to your account, changed or removed.",
            ),
            News::RecoveryUsed => (
                "Meydan: a recovery code was used",
                "Somebody logged in to your account with a recovery code. That code is void now.",
            ),
            News::RefreshReused => (
                "Meydan: a login was ended",
                "An old key of a login was used a second time; it may have been stolen. For safety that device was signed out.",
            ),
            News::LockWaiting => (
                "Meydan: somebody tried your number",
                "Somebody wished to log in with your telephone number and does not know the PIN. If you do not use your account for seven days, the PIN is no longer asked for.",
            ),
            News::EmailChanged => (
                "Meydan: your e-mail address changed",
                "The e-mail address of your account was changed. Nothing more will be written to this one.",
            ),
            News::PhoneChanged => (
                "Meydan: your number changed",
                "The telephone number of your account was changed.",
            ),
        };
        (subject, text.to_owned())
    }
}

/// A letter that tells what happened; it has no secret in it.
pub(crate) fn news(sender: Sender<'_>, locale: Locale, to: &str, news: News) -> Letter {
    let (subject, words) = news.words(locale);
    let url = sender.public_url;
    let advice = match locale {
        Locale::Tr => {
            "Siz yaptıysanız bir şey yapmanız gerekmez. Siz değilseniz parolanızı değiştirin, bütün oturumları kapatın ve yöneticiye yazın:"
        }
        Locale::En => {
            "If it was you, there is nothing you need to do. If it was not, change your password, sign out everywhere and write to the administrator:"
        }
    };
    Letter {
        to: to.to_owned(),
        subject: subject.to_owned(),
        text: format!("{words}\n\n{advice}\n{url}\n"),
    }
}

/// The text to a number that was replaced; in the basic alphabet, like codes.
pub(crate) fn phone_changed_text(locale: Locale, to: &str) -> Text {
    let body = match locale {
        Locale::Tr => "Meydan: bu numara bir hesaptan silindi. Siz istemediyseniz bize bildirin.",
        Locale::En => {
            "Meydan: this number was removed from an account. If it was not you, tell us."
        }
    };
    Text {
        to: to.to_owned(),
        body: body.to_owned(),
    }
}

/// To the minute, in UTC.
fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
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

    #[test]
    fn links_keep_their_token_behind_the_hash() {
        let sender = Sender {
            public_url: "https://meydan.example",
        };
        for locale in [Locale::Tr, Locale::En] {
            for (kind, path) in [
                (LinkLetter::Registration, "/auth/confirm#t0ken\n"),
                (LinkLetter::Magic, "/auth/magic#t0ken\n"),
                (LinkLetter::Reset, "/auth/reset#t0ken\n"),
            ] {
                let letter = link(sender, locale, "a@example.com", kind, "t0ken");
                assert!(
                    letter
                        .text
                        .contains(&format!("https://meydan.example{path}"))
                );
                assert!(!letter.subject.contains("t0ken"));
            }
            let taken = link(sender, locale, "a@example.com", LinkLetter::Taken, "t0ken");
            assert!(!taken.text.contains("t0ken"));
        }
    }

    #[test]
    fn news_has_words_of_its_own_in_both_languages() {
        let at = Timestamp::UNIX_EPOCH;
        let all = [
            News::Login(at),
            News::PasswordChanged,
            News::FactorChanged,
            News::RecoveryUsed,
            News::RefreshReused,
            News::LockWaiting,
            News::Impersonated(at),
            News::EmailChanged,
            News::PhoneChanged,
        ];
        let sender = Sender {
            public_url: "https://meydan.example",
        };
        let mut subjects = std::collections::BTreeSet::new();
        for one in all {
            for locale in [Locale::Tr, Locale::En] {
                let letter = news(sender, locale, "a@example.com", one);
                assert!(letter.text.contains("https://meydan.example"));
                subjects.insert(letter.subject);
            }
        }
        assert_eq!(subjects.len(), 2 * all.len());
        let login = news(sender, Locale::En, "a@example.com", News::Login(at));
        assert!(login.text.contains("1970-01-01 00:00 UTC"));
        for locale in [Locale::Tr, Locale::En] {
            let body = phone_changed_text(locale, "+1").body;
            assert!(basic(&body) && body.len() <= SEGMENT, "{body}");
        }
    }
}
