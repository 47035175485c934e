//! Who judges credentials for this process: its own contexts, or the process that runs identity.

use std::sync::Arc;

use contracts::Credentials;
use identity::{Identity, RootKeys};
use rpc::{Prove, Remote};
use runtime::Check;
use web_kit::TokenVerifier;

use super::{Contexts, Error, Ground};
use crate::config::{Config, WebOrigin};
use crate::credentials::{Feed, Issuers};
use crate::parts::{Parts, Service};
use crate::settings;

/// Where the process is that is asked, unless identity runs in this one.
pub(super) fn elsewhere<'a>(config: &'a Config, parts: &Parts) -> Option<&'a WebOrigin> {
    let address = config.internal.identity.as_ref();
    address.filter(|_| !parts.selection.has(Service::Identity))
}

/// Whom to ask about credentials.
pub(super) fn credentials(
    config: &Config,
    parts: &Parts,
    ground: &Ground,
    identity: &Arc<Identity>,
) -> Result<Arc<dyn Credentials>, Error> {
    let Some(address) = elsewhere(config, parts) else {
        return Ok(identity.clone());
    };
    let keys = RootKeys::derive(&parts.root_secret)?;
    let name = parts.selection.own_name();
    let (clock, rng) = (Arc::clone(&ground.clock), Arc::clone(&ground.rng));
    let prove: Prove = {
        let (clock, rng) = (Arc::clone(&clock), Arc::clone(&rng));
        Arc::new(move || keys.prove_service(name, clock.now(), &*rng))
    };
    let address = address.to_string().parse().map_err(Error::Address)?;
    Ok(Remote::new(address, prove, clock, rng))
}

/// Shows whether they can be asked elsewhere. There is a fall-back: what cannot be judged is
/// answered with 503, the rest goes on.
pub(super) fn check(
    config: &Config,
    parts: &Parts,
    credentials: &Arc<dyn Credentials>,
) -> Option<Check> {
    elsewhere(config, parts)?;
    let credentials = Arc::clone(credentials);
    Some(Check::degrades("credentials", move || {
        let credentials = Arc::clone(&credentials);
        async move {
            let asked = credentials.keys().await;
            asked.map(drop).map_err(|failure| failure.to_string())
        }
    }))
}

/// Judges tokens: fed with keys and revocations, and asks the issuers of everything else.
pub(super) async fn verifier(
    config: &Config,
    parts: &Parts,
    ground: &Ground,
    contexts: &Contexts,
    credentials: &Arc<dyn Credentials>,
) -> Result<Arc<TokenVerifier>, Error> {
    let auth = &config.auth;
    let issuers = Arc::new(Issuers {
        applications: contexts.applications.clone(),
        credentials: Arc::clone(credentials),
    });
    let clock = Arc::clone(&ground.clock);
    let verifier = TokenVerifier::new(&auth.issuer, &auth.audience.access, clock);
    let verifier = settings::signed(config, &parts.root_secret, verifier)
        .on_stale(config.auth.revocation.on_stale)
        .with_opaque(issuers);
    let verifier = Arc::new(verifier);
    let feed = Feed::new(
        Arc::clone(&verifier),
        Arc::clone(credentials),
        Arc::clone(&ground.fanout),
        Arc::clone(&ground.clock),
    );
    feed.begin(&ground.lifecycle, &ground.end).await?;
    Ok(verifier)
}
