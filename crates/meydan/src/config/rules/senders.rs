//! What the settings of mail and texts mean together.

use infra::mail::smtp::{SmtpServer, is_sender};
use infra::sms::twilio::{is_from, is_sid};

use super::{Checker, Code, Config};
use crate::config::types::{MailTransport, OtpProvider, SmsProvider, WebOrigin};

/// Fills in what follows from other settings; after development mode is settled.
pub(super) fn derive(config: &mut Config) {
    let dev_mode = config.dev_mode();
    let mail = &mut config.mail;
    mail.transport
        .get_or_insert(match (&mail.smtp.url, dev_mode) {
            (Some(_), _) => MailTransport::Smtp,
            (None, true) => MailTransport::Outbox,
            (None, false) => MailTransport::Off,
        });
    let sms = &mut config.sms;
    sms.provider
        .get_or_insert(match (&sms.twilio.from, dev_mode) {
            (Some(_), _) => SmsProvider::Twilio,
            (None, true) => SmsProvider::Outbox,
            (None, false) => SmsProvider::Off,
        });
    let public_url = config.public_url();
    let host = public_url.domain().unwrap_or("localhost");
    let from = format!("Meydan <no-reply@{host}>");
    config.mail.from.get_or_insert(from);
}

impl Config {
    /// How letters leave.
    pub(crate) fn mail_transport(&self) -> MailTransport {
        self.mail.transport.unwrap_or(MailTransport::Off)
    }

    /// Who carries texts.
    pub(crate) fn sms_provider(&self) -> SmsProvider {
        self.sms.provider.unwrap_or(SmsProvider::Off)
    }

    /// Whether letters or texts stay here and are shown.
    pub(crate) fn keeps_messages(&self) -> bool {
        self.mail_transport() == MailTransport::Outbox || self.sms_provider() == SmsProvider::Outbox
    }
}

impl Checker<'_> {
    pub(super) fn senders(&mut self) {
        self.mail();
        self.sms();
        self.twilio();
    }

    fn mail(&mut self) {
        let config = self.config;
        let sender = config.mail.from.as_deref().unwrap_or_default();
        if !is_sender(sender) {
            let message = "must read like Meydan <no-reply@example.com>";
            self.refuse("mail.from", Code::BadValue, message);
        }
        if let Some(url) = &config.mail.smtp.url
            && let Err(error) = SmtpServer::parse(url.expose())
        {
            self.refuse("mail.smtp.url", Code::BadValue, &error.to_string());
        }
        match config.mail_transport() {
            MailTransport::Smtp if config.mail.smtp.url.is_none() => {
                self.refuse("mail.transport", Code::Combination, "needs mail.smtp.url");
            }
            MailTransport::Outbox => self.outbox("mail.transport"),
            MailTransport::Smtp | MailTransport::Off => {}
        }
    }

    fn sms(&mut self) {
        match self.config.sms_provider() {
            SmsProvider::Twilio => {
                self.needs_account("sms.provider");
                if self.config.sms.twilio.from.is_none() {
                    self.refuse("sms.provider", Code::Combination, "needs sms.twilio.from");
                }
            }
            SmsProvider::Outbox => self.outbox("sms.provider"),
            SmsProvider::Off => {}
        }
        if self.config.auth.otp.provider == OtpProvider::TwilioVerify {
            self.needs_account("auth.otp.provider");
            if self.config.sms.twilio.verify_service_sid.is_none() {
                let message = "needs sms.twilio.verify_service_sid";
                self.refuse("auth.otp.provider", Code::Combination, message);
            }
        }
    }

    fn twilio(&mut self) {
        let twilio = &self.config.sms.twilio;
        let wrong = |text: &Option<String>, right: fn(&str) -> bool| {
            text.as_deref().is_some_and(|text| !right(text))
        };
        if wrong(&twilio.account_sid, |sid| is_sid("AC", sid)) {
            let message = "must be AC and 32 hexadecimal digits";
            self.refuse("sms.twilio.account_sid", Code::BadValue, message);
        }
        if wrong(&twilio.verify_service_sid, |sid| is_sid("VA", sid)) {
            let message = "must be VA and 32 hexadecimal digits";
            self.refuse("sms.twilio.verify_service_sid", Code::BadValue, message);
        }
        if wrong(&twilio.from, is_from) {
            let message = "must be a number such as +15005550006, or MG and 32 hexadecimal digits";
            self.refuse("sms.twilio.from", Code::BadValue, message);
        }
        let open = |url: &WebOrigin| !url.is_https() && !url.is_loopback();
        let message = "must be https: codes and the account's token go there";
        if open(&twilio.api_url) {
            self.refuse("sms.twilio.api_url", Code::BadValue, message);
        }
        if open(&twilio.verify_url) {
            self.refuse("sms.twilio.verify_url", Code::BadValue, message);
        }
    }

    fn needs_account(&mut self, key: &'static str) {
        let twilio = &self.config.sms.twilio;
        if twilio.account_sid.is_none() || twilio.auth_token.is_none() {
            let message = "needs sms.twilio.account_sid and sms.twilio.auth_token";
            self.refuse(key, Code::Combination, message);
        }
    }

    /// What stays here can be read by whoever works at this computer.
    fn outbox(&mut self, key: &'static str) {
        if !self.config.dev_mode() {
            let message = "\"outbox\" is for development mode only";
            self.refuse(key, Code::Combination, message);
        }
    }
}
