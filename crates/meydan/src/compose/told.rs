//! What contexts are told.

use std::time::Duration;

use infra::outbound::{Bounds, Outbound, Permit, Permits};
use secrecy::SecretString;

use super::Error;
use crate::config::Config;
use crate::settings;

/// What contexts are told: by the settings, and by keys derived from the root secret.
pub(super) struct Told {
    pub(super) communities: communities::Limits,
    pub(super) messaging: messaging::Settings,
    pub(super) applications: applications::Settings,
    pub(super) outbound: Outbound,
    pub(super) audit: audit::Key,
}

impl Told {
    /// With the built-in values.
    pub(super) fn built_in(root: &SecretString) -> Result<Self, Error> {
        Ok(Told {
            communities: communities::Limits::default(),
            messaging: messaging::Settings::default(),
            applications: applications::Settings::new(applications::Keys::derive(root)?),
            outbound: outbound(Vec::new())?,
            audit: audit::Key::derive(root)?,
        })
    }

    /// As the settings say.
    pub(super) fn by(config: &Config, root: &SecretString) -> Result<Self, Error> {
        let built_in = Told::built_in(root)?;
        Ok(Told {
            communities: settings::communities(config),
            messaging: settings::messaging(config),
            applications: applications::Settings {
                public_url: config.public_url().to_string(),
                ..built_in.applications
            },
            outbound: outbound(
                config
                    .outbound
                    .allow
                    .iter()
                    .map(|place| place.0.clone())
                    .collect(),
            )?,
            ..built_in
        })
    }
}

/// The way to addresses that users name for events.
fn outbound(permits: Vec<Permit>) -> Result<Outbound, Error> {
    let bounds = Bounds {
        connect: Duration::from_secs(5),
        total: Duration::from_secs(15),
        // Only the beginning of an answer is looked at.
        body_bytes: 2_048,
    };
    Ok(Outbound::guarded(bounds, Permits::new(permits))?)
}
