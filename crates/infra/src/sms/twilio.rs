//! Twilio: texts by its Messaging API, codes by its Verify API.
//!
//! Both are plain forms over HTTPS with basic authentication. What went wrong is told by status
//! and Twilio's own number of the error; its sentences repeat the number called, so they are
//! dropped.

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;
use thiserror::Error;

use super::{Sms, SmsError, Text, Verify, count, is_e164};
use crate::outbound::{Answer, Call, Outbound, OutboundError};

/// Where texts are sent by default.
pub const API_URL: &str = "https://api.twilio.com";
/// Where codes are sent and checked by default.
pub const VERIFY_URL: &str = "https://verify.twilio.com";

/// Twilio's number for a code that was tried too often; no code is right any more.
const TOO_MANY_CHECKS: u32 = 60_202;

/// Whether this is an identifier of Twilio of some kind: `AC` and 32 hexadecimal digits.
pub fn is_sid(kind: &str, text: &str) -> bool {
    text.strip_prefix(kind).is_some_and(|digits| {
        digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Whether texts can come from this: a number, or the identifier of a messaging service.
pub fn is_from(text: &str) -> bool {
    is_e164(text) || is_sid("MG", text)
}

/// Who we are to Twilio.
#[derive(Debug, Clone)]
pub struct Account {
    /// `AC…`, checked before.
    pub sid: String,
    /// Its token.
    pub token: SecretString,
}

/// Sends texts.
#[derive(Debug)]
pub struct TwilioMessages {
    outbound: Outbound,
    account: Account,
    from: String,
    url: String,
}

impl TwilioMessages {
    /// `from` is a number or a messaging service; `base` is [`API_URL`] but in tests.
    pub fn new(outbound: Outbound, account: Account, from: String, base: &str) -> Self {
        let url = format!("{base}/2010-04-01/Accounts/{}/Messages.json", account.sid);
        TwilioMessages {
            outbound,
            account,
            from,
            url,
        }
    }

    async fn post(&self, text: &Text) -> Result<(), SmsError> {
        text.check()?;
        let from = if is_sid("MG", &self.from) {
            "MessagingServiceSid"
        } else {
            "From"
        };
        let fields = [
            ("To", text.to.as_str()),
            (from, self.from.as_str()),
            ("Body", text.body.as_str()),
        ];
        let call = Call::form(&self.url, &fields).basic(&self.account.sid, &self.account.token);
        let answer = self.outbound.send(call).await.map_err(unreachable_now)?;
        expect(&answer, &[201])?;
        let message: Message = read(&answer)?;
        match message.status.as_str() {
            "failed" | "undelivered" | "canceled" => Err(refused(Failure::NotSent)),
            _ if is_sid("SM", &message.sid) || is_sid("MM", &message.sid) => Ok(()),
            _ => Err(unavailable(Failure::Unreadable)),
        }
    }
}

#[async_trait]
impl Sms for TwilioMessages {
    async fn send(&self, text: &Text) -> Result<(), SmsError> {
        let outcome = self.post(text).await;
        count("text", &outcome);
        outcome
    }
}

/// Sends and checks codes.
#[derive(Debug)]
pub struct TwilioVerify {
    outbound: Outbound,
    account: Account,
    url: String,
}

impl TwilioVerify {
    /// `service` is `VA…`, checked before; `base` is [`VERIFY_URL`] but in tests.
    pub fn new(outbound: Outbound, account: Account, service: &str, base: &str) -> Self {
        let url = format!("{base}/v2/Services/{service}");
        TwilioVerify {
            outbound,
            account,
            url,
        }
    }

    async fn call(&self, path: &str, fields: &[(&str, &str)]) -> Result<Answer, SmsError> {
        let url = format!("{}/{path}", self.url);
        let call = Call::form(&url, fields).basic(&self.account.sid, &self.account.token);
        self.outbound.send(call).await.map_err(unreachable_now)
    }

    async fn begin(&self, to: &str, locale: &str) -> Result<(), SmsError> {
        if !is_e164(to) {
            return Err(SmsError::Refused(Box::new(super::BadText)));
        }
        let fields = [("To", to), ("Channel", "sms"), ("Locale", locale)];
        let answer = self.call("Verifications", &fields).await?;
        expect(&answer, &[201])?;
        let verification: Verification = read(&answer)?;
        match verification.status.as_str() {
            "pending" => Ok(()),
            _ => Err(unavailable(Failure::NotSent)),
        }
    }

    async fn judge(&self, to: &str, code: &str) -> Result<bool, SmsError> {
        // What cannot be a code of theirs needs no question; it would come back as a bad request.
        let sane = (4..=10).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_digit());
        if !is_e164(to) || !sane {
            return Ok(false);
        }
        let fields = [("To", to), ("Code", code)];
        let answer = self.call("VerificationCheck", &fields).await?;
        // Nothing is pending: expired, used, tried too often, or never sent.
        if answer.status == 404 || (answer.status == 429 && number(&answer) == TOO_MANY_CHECKS) {
            return Ok(false);
        }
        expect(&answer, &[200, 201])?;
        let verification: Verification = read(&answer)?;
        Ok(verification.status == "approved" && verification.valid == Some(true))
    }
}

#[async_trait]
impl Verify for TwilioVerify {
    async fn start(&self, to: &str, locale: &str) -> Result<(), SmsError> {
        let outcome = self.begin(to, locale).await;
        count("code", &outcome);
        outcome
    }

    async fn check(&self, to: &str, code: &str) -> Result<bool, SmsError> {
        let outcome = self.judge(to, code).await;
        count("check", &outcome);
        outcome
    }
}

/// The parts of a message that count.
#[derive(Deserialize)]
struct Message {
    sid: String,
    status: String,
}

/// The parts of a verification that count.
#[derive(Deserialize)]
struct Verification {
    status: String,
    valid: Option<bool>,
}

/// The part of an error that is told on.
#[derive(Deserialize)]
struct Problem {
    code: u32,
}

/// Why Twilio did not do it, without its words.
#[derive(Debug, Error)]
enum Failure {
    #[error("Twilio answered {status} with its error {number}")]
    Answered { status: u16, number: u32 },
    #[error("Twilio did not send it")]
    NotSent,
    #[error("Twilio's answer cannot be read")]
    Unreadable,
}

fn refused(failure: Failure) -> SmsError {
    SmsError::Refused(Box::new(failure))
}

fn unavailable(failure: Failure) -> SmsError {
    SmsError::Unavailable(Box::new(failure))
}

fn unreachable_now(error: OutboundError) -> SmsError {
    SmsError::Unavailable(Box::new(error))
}

/// Refuses every status but the good ones.
fn expect(answer: &Answer, good: &[u16]) -> Result<(), SmsError> {
    let status = answer.status;
    if good.contains(&status) {
        return Ok(());
    }
    let number = number(answer);
    let failure = Failure::Answered { status, number };
    match status {
        // Our account is not known there: the number may be fine.
        401 | 429 => Err(unavailable(failure)),
        400..500 => Err(refused(failure)),
        _ => Err(unavailable(failure)),
    }
}

fn number(answer: &Answer) -> u32 {
    serde_json::from_slice::<Problem>(&answer.body).map_or(0, |problem| problem.code)
}

fn read<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, SmsError> {
    serde_json::from_slice(&answer.body).or(Err(unavailable(Failure::Unreadable)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_a_kind_and_32_digits() {
        let digits = "0123456789abcdefABCDEF0123456789";
        assert!(is_sid("AC", &format!("AC{digits}")));
        assert!(is_from(&format!("MG{digits}")));
        assert!(is_from("+15551234567"));
        for bad in [
            "",
            "AC",
            "AC/../x",
            &format!("VA{digits}"),
            &format!("AC{digits}0"),
        ] {
            assert!(!is_sid("AC", bad), "{bad}");
        }
        assert!(!is_from("Meydan"));
    }
}
