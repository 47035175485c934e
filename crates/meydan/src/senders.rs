//! Who carries letters and texts, as the settings say.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use identity::Senders;
use infra::mail::smtp::{SmtpMail, SmtpServer, SmtpSettings, SmtpSetupError, SmtpUrlError};
use infra::outbound::{Bounds, Outbound, OutboundError};
use infra::sent::SentBox;
use infra::sms::twilio::{Account, TwilioMessages, TwilioVerify};
use kernel::{SharedClock, SharedRng};

use crate::config::{Config, MailTransport, OtpProvider, SmsProvider};

/// Why messages cannot be sent as the settings say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("reading mail.smtp.url")]
    SmtpUrl(#[from] SmtpUrlError),
    #[error("preparing mail")]
    Smtp(#[from] SmtpSetupError),
    #[error("reading mail.smtp.trusted_certificate, {path}")]
    Certificate {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("preparing texts")]
    Outbound(#[from] OutboundError),
    /// The rules of the settings refuse it before.
    #[error("{0} is missing")]
    Missing(&'static str),
}

/// Who carries messages, and what stayed here.
#[derive(Clone, Default)]
pub(crate) struct Carriers {
    pub(crate) senders: Senders,
    /// What the page shows; only where something stays here.
    pub(crate) kept: Option<Arc<SentBox>>,
}

impl Carriers {
    /// Makes them; connects to nothing yet.
    pub(crate) async fn of(
        config: &Config,
        clock: &SharedClock,
        rng: &SharedRng,
    ) -> Result<Self, Error> {
        let mut carriers = Self::away(config, clock, rng).await?;
        if config.keeps_messages() {
            let kept = SentBox::new(Arc::clone(clock));
            if config.mail_transport() == MailTransport::Outbox {
                carriers.senders.mail = Some(kept.clone());
            }
            if config.sms_provider() == SmsProvider::Outbox {
                carriers.senders.sms = Some(kept.clone());
            }
            carriers.kept = Some(kept);
        }
        Ok(carriers)
    }

    /// Those who carry messages away, for a process that ends at once: what stayed in it would be
    /// lost.
    pub(crate) async fn away(
        config: &Config,
        clock: &SharedClock,
        rng: &SharedRng,
    ) -> Result<Self, Error> {
        let mut senders = Senders::default();
        if config.mail_transport() == MailTransport::Smtp
            && let Some(mail) = smtp(config, clock, rng).await?
        {
            senders.mail = Some(Arc::new(mail));
        }
        if config.sms_provider() == SmsProvider::Twilio {
            senders.sms = Some(Arc::new(messages(config)?));
        }
        if config.auth.otp.provider == OtpProvider::TwilioVerify {
            senders.verify = Some(Arc::new(verify(config)?));
        }
        Ok(Carriers {
            senders,
            kept: None,
        })
    }
}

/// The mail server of the settings, if they name one.
pub(crate) async fn smtp(
    config: &Config,
    clock: &SharedClock,
    rng: &SharedRng,
) -> Result<Option<SmtpMail>, Error> {
    let smtp = &config.mail.smtp;
    let Some(url) = &smtp.url else {
        return Ok(None);
    };
    let trusted = match &smtp.trusted_certificate {
        Some(path) => {
            let read = tokio::fs::read(path).await;
            let path = path.clone();
            Some(read.map_err(|source| Error::Certificate { path, source })?)
        }
        None => None,
    };
    let settings = SmtpSettings {
        server: SmtpServer::parse(url.expose())?,
        from: config.mail.from.clone().unwrap_or_default(),
        timeout: smtp.timeout,
        connections: smtp.connections,
        trusted,
    };
    let mail = SmtpMail::new(settings, Arc::clone(clock), Arc::clone(rng))?;
    Ok(Some(mail))
}

fn account(config: &Config) -> Result<Account, Error> {
    let twilio = &config.sms.twilio;
    let (Some(sid), Some(token)) = (&twilio.account_sid, &twilio.auth_token) else {
        return Err(Error::Missing("the account with Twilio"));
    };
    Ok(Account {
        sid: sid.clone(),
        token: token.to_secret_string(),
    })
}

fn messages(config: &Config) -> Result<TwilioMessages, Error> {
    let twilio = &config.sms.twilio;
    let from = twilio.from.clone();
    let from = from.ok_or(Error::Missing("sms.twilio.from"))?;
    let outbound = Outbound::trusted(Bounds::default())?;
    let base = twilio.api_url.to_string();
    Ok(TwilioMessages::new(outbound, account(config)?, from, &base))
}

fn verify(config: &Config) -> Result<TwilioVerify, Error> {
    let twilio = &config.sms.twilio;
    let service = twilio.verify_service_sid.as_deref();
    let service = service.ok_or(Error::Missing("sms.twilio.verify_service_sid"))?;
    let outbound = Outbound::trusted(Bounds::default())?;
    let base = twilio.verify_url.to_string();
    Ok(TwilioVerify::new(
        outbound,
        account(config)?,
        service,
        &base,
    ))
}
