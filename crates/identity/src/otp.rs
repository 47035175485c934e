//! One-time passwords: sending them. `code_login.rs` is what becomes of those that come back.
//!
//! A challenge is known by a random handle that only whoever asked for it has, so that a stranger
//! cannot use up somebody's attempts. Nothing in the answer, its status or the work behind it says
//! whether the number or address has an account.

use std::net::IpAddr;

use jiff::tz::TimeZone;
use kernel::{Caller, Locale, UserId};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::Identity;
use crate::challenges::{Asker, Draft};
use crate::error::{Error, Result};
use crate::letters::{self, Sender};
use crate::limits::{self, OTP};
use crate::phones::Phone;
use crate::rules::Email;
use crate::sender::Parcel;
use crate::settings::DevCode;
use crate::sql;
use crate::sql::otp::Moment;
use crate::sql::owners::Owner;

/// The code of development mode.
const DEV_CODE: &str = "123456";
/// How many codes there are.
const CODES: u32 = 1_000_000;

/// How a code is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = identity::Channel)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Channel {
    Sms,
    Email,
}

impl Channel {
    /// The stored word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Channel::Sms => "sms",
            Channel::Email => "email",
        }
    }

    pub(crate) fn from_word(word: &str) -> Result<Self> {
        match word {
            "sms" => Ok(Channel::Sms),
            "email" => Ok(Channel::Email),
            _ => Err(Error::Broken(
                "a stored channel that this build does not know",
            )),
        }
    }
}

/// What a code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To log in.
    Login,
    /// To show that a new number or address is the caller's.
    VerifyContact,
    /// To show again who the caller is.
    StepUp,
}

impl Purpose {
    /// The stored word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Purpose::Login => "login",
            Purpose::VerifyContact => "verify_contact",
            Purpose::StepUp => "step_up",
        }
    }
}

/// Where a code goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Phone(Phone),
    Email(Email),
}

impl Target {
    pub(crate) fn channel(&self) -> Channel {
        match self {
            Target::Phone(_) => Channel::Sms,
            Target::Email(_) => Channel::Email,
        }
    }

    /// The one form that budgets and codes are bound to.
    pub(crate) fn key(&self) -> &str {
        match self {
            Target::Phone(phone) => &phone.number,
            Target::Email(email) => &email.key,
        }
    }

    /// What the provider is told, and a new contact is stored as.
    pub(crate) fn address(&self) -> &str {
        match self {
            Target::Phone(phone) => &phone.number,
            Target::Email(email) => &email.text,
        }
    }
}

/// A wish for a code.
#[derive(Debug)]
pub struct CodeWish<'a> {
    /// How to send it.
    pub channel: Channel,
    /// The number or address, as it was typed.
    pub to: &'a str,
    /// What it is for.
    pub purpose: Purpose,
    /// Who asks, where somebody is logged in; a login needs nobody.
    pub caller: Option<&'a Caller>,
    /// Language of the message; the account's when absent.
    pub locale: Option<Locale>,
    /// Language of whoever asks, for accounts that nobody knows.
    pub asked_in: Locale,
    /// A refresh token or cookie that the device once had: a device of the account is not kept out
    /// by what strangers did.
    pub known_device: Option<SecretString>,
    /// The client's address.
    pub ip: IpAddr,
}

/// A code is on its way, or nobody may be told that it is not.
#[derive(Debug)]
pub struct CodeSent {
    /// Names the challenge.
    pub handle: SecretString,
    /// Until the next code may be asked for.
    pub resend_after_seconds: u32,
    /// How long the code is good.
    pub expires_in: u32,
}

impl Identity {
    /// Sends a one-time password.
    pub async fn send_code(&self, wish: CodeWish<'_>) -> Result<CodeSent> {
        let target = self.target(wish.channel, wish.to)?;
        self.may_send(&target)?;
        let otp = &self.settings.otp;
        limits::otp_from(&*self.limiter, otp.address_per_hour, wish.ip).await?;
        let slot = self.outgoing.reserve()?;
        let user = self.asker(&wish, &target).await?;
        let owner = self.owner(&self.db, &target).await?;
        let asker = self.who_asks(wish.known_device, owner.as_ref()).await?;
        let locale = wish.locale.or_else(|| {
            let theirs = owner.as_ref()?;
            Locale::from_tag(&theirs.locale)
        });
        let draft = Draft {
            id: self.ids.next()?,
            locale: locale.unwrap_or(wish.asked_in),
            code: self.make_code(wish.channel),
            handle: kernel::rng::token::<32>(&*self.rng).into(),
            purpose: wish.purpose,
            user,
            ip: wish.ip,
        };
        self.store_challenge(&target, &draft, asker).await?;
        let reaches = match (&target, wish.purpose) {
            // Whoever holds an unknown number gets an account; an unknown address gets nothing.
            (Target::Email(_), Purpose::Login) => owner.is_some_and(|owner| self.opens(&owner)),
            (Target::Phone(_) | Target::Email(_), _) => true,
        };
        slot.send(if reaches {
            self.parcel(&target, &draft)
        } else {
            Parcel::Nothing
        });
        Ok(CodeSent {
            handle: draft.handle,
            resend_after_seconds: OTP.pause_s,
            expires_in: OTP.ttl_s,
        })
    }

    /// Reads a number or address.
    pub(crate) fn target(&self, channel: Channel, text: &str) -> Result<Target> {
        let region = self.settings.otp.default_region;
        match channel {
            Channel::Sms => Phone::parse(text, region)
                .map(Target::Phone)
                .ok_or(Error::PhoneInvalid),
            Channel::Email => Email::parse(text)
                .map(Target::Email)
                .ok_or(Error::EmailInvalid),
        }
    }

    /// The account with a number or address.
    pub(crate) async fn owner(
        &self,
        source: impl db::Source,
        target: &Target,
    ) -> Result<Option<Owner>> {
        Ok(match target {
            Target::Phone(phone) => sql::owners::by_phone(source, &phone.number).await?,
            Target::Email(email) => sql::owners::by_email(source, &email.key).await?,
        })
    }

    /// Whether a code that was sent there opens its owner's account.
    pub(crate) fn opens(&self, owner: &Owner) -> bool {
        owner.may_log_in() && (owner.verified || self.trusts_every_address())
    }

    /// The present moment, as budgets see it.
    pub(crate) fn moment(&self) -> Moment {
        let now = self.clock.now();
        Moment {
            now,
            today: now.to_zoned(TimeZone::UTC).date(),
        }
    }

    /// The budget row of devices that the account knows; strangers cannot use it up.
    pub(crate) fn known_budget(&self, target: &str) -> Vec<u8> {
        // A line feed is in no number and no address.
        self.settings.keys.target_mac(&format!("known\n{target}"))
    }

    /// Whether whoever shows `secret` holds a device that was once the owner's.
    pub(crate) async fn who_asks(
        &self,
        secret: Option<SecretString>,
        owner: Option<&Owner>,
    ) -> Result<Asker> {
        let Some(secret) = secret else {
            return Ok(Asker::Stranger);
        };
        let device = self.device_behind(Some(secret)).await?;
        let user = device.map(|device| device.user_id);
        let theirs = user.is_some() && user == owner.map(|owner| owner.id);
        Ok(if theirs {
            Asker::Known
        } else {
            Asker::Stranger
        })
    }

    /// Refuses countries that nothing is sent to, and channels that nobody serves.
    fn may_send(&self, target: &Target) -> Result<()> {
        let otp = &self.settings.otp;
        if let Target::Phone(phone) = target
            && !otp.countries.contains(&phone.region)
        {
            return Err(Error::CountryNotAllowed);
        }
        if otp.dev_code == DevCode::Fixed || self.serves(target.channel()) {
            return Ok(());
        }
        let channel = target.channel().word();
        Err(Error::ChannelUnavailable { channel })
    }

    /// Whether messages of a channel reach anybody.
    pub(crate) fn serves(&self, channel: Channel) -> bool {
        match channel {
            Channel::Sms => self.senders.sms.is_some() || self.senders.verify.is_some(),
            Channel::Email => self.senders.mail.is_some(),
        }
    }

    /// Whose challenge it is; none at a login. Step-up goes to the caller's own contact only.
    async fn asker(&self, wish: &CodeWish<'_>, target: &Target) -> Result<Option<UserId>> {
        if wish.purpose == Purpose::Login {
            return Ok(None);
        }
        let user = wish.caller.ok_or(Error::Unauthenticated)?.user;
        if wish.purpose == Purpose::StepUp {
            let owner = self.owner(&self.db, target).await?;
            if owner.is_none_or(|owner| owner.id != user || !self.opens(&owner)) {
                return Err(match target {
                    Target::Phone(_) => Error::PhoneInvalid,
                    Target::Email(_) => Error::EmailInvalid,
                });
            }
        }
        Ok(Some(user))
    }

    /// Six digits; none where a company makes them.
    fn make_code(&self, channel: Channel) -> Option<SecretString> {
        if self.settings.otp.dev_code == DevCode::Fixed {
            return Some(DEV_CODE.into());
        }
        if channel == Channel::Sms && self.senders.verify.is_some() {
            return None;
        }
        Some(random_code(&*self.rng).into())
    }

    fn parcel(&self, target: &Target, draft: &Draft) -> Parcel {
        if !self.serves(target.channel()) {
            // Only with the fixed code, which everybody knows.
            return Parcel::Nothing;
        }
        let sender = Sender {
            public_url: &self.settings.public_url,
        };
        let (to, locale) = (target.address(), draft.locale);
        match (target, &draft.code) {
            (Target::Phone(_), Some(code)) if self.senders.sms.is_some() => {
                Parcel::Text(letters::code_text(sender, locale, to, code.expose_secret()))
            }
            (Target::Email(_), Some(code)) => Parcel::Letter(letters::code_letter(
                sender,
                locale,
                to,
                code.expose_secret(),
            )),
            (Target::Phone(_), None) => Parcel::Code {
                to: to.to_owned(),
                locale: locale.tag(),
            },
            // A company that makes its own codes cannot carry the fixed one.
            (Target::Phone(_), Some(_)) | (Target::Email(_), None) => Parcel::Nothing,
        }
    }
}

/// Six digits, each as likely as the next: numbers past the last whole million are drawn again.
fn random_code(rng: &dyn kernel::Rng) -> String {
    let most = u32::MAX - u32::MAX % CODES;
    loop {
        let number = u32::from_le_bytes(kernel::rng::bytes::<4>(rng));
        if number < most {
            return format!("{:06}", number % CODES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_six_digits_and_use_the_whole_range() {
        let rng = kernel::SeededRng::new(5);
        let codes: Vec<String> = (0..2_000).map(|_| random_code(&*rng)).collect();
        assert!(
            codes
                .iter()
                .all(|code| code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()))
        );
        for first in '0'..='9' {
            let count = codes.iter().filter(|code| code.starts_with(first)).count();
            assert!((120..=280).contains(&count), "{first}: {count}");
        }
    }

    #[test]
    fn codes_skip_numbers_that_would_favour_some() {
        struct High(std::sync::atomic::AtomicU32);
        impl kernel::Rng for High {
            fn fill(&self, out: &mut [u8]) {
                let first = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
                let number = if first { u32::MAX } else { 7 };
                out.copy_from_slice(&number.to_le_bytes());
            }
        }
        assert_eq!(random_code(&High(0.into())), "000007");
    }
}
