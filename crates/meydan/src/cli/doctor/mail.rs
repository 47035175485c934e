//! Whether letters can leave.

use std::error::Error as _;
use std::sync::Arc;

use kernel::{SharedClock, SharedRng, SystemClock, SystemRng};

use super::Finding;
use crate::config::{Config, MailTransport};
use crate::senders;

pub(super) async fn look(config: &Config) -> Finding {
    let good = |evidence: &str| Finding::good("MA001", evidence);
    match config.mail_transport() {
        MailTransport::Off => return good("none in use"),
        MailTransport::Outbox => return good("letters stay here, for development"),
        MailTransport::Smtp => {}
    }
    let (clock, rng): (SharedClock, SharedRng) = (Arc::new(SystemClock), Arc::new(SystemRng));
    match senders::smtp(config, &clock, &rng).await {
        Ok(None) => good("none in use"),
        Ok(Some(mail)) => match mail.probe().await {
            Ok(()) => good("it answers"),
            Err(error) => {
                let cause = error.source().map(ToString::to_string);
                Finding::bad("MA001", cause.unwrap_or_else(|| error.to_string()))
            }
        },
        Err(error) => Finding::bad("MA001", error.to_string()),
    }
}
