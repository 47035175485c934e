//! The providers people may log in at, as the settings say.

use identity::{Oauth, Plain, Provider, ProviderKind};
use infra::outbound::{Bounds, Outbound, OutboundError, Permits};

use crate::config::{Config, Secret};

/// Makes the list; calls nobody yet.
pub(crate) fn of(config: &Config) -> Result<Oauth, OutboundError> {
    let oauth = &config.auth.oauth;
    let (google, facebook, x) = (&oauth.google, &oauth.facebook, &oauth.x);
    let issuer = google.issuer.clone();
    let google_kind = ProviderKind::Oidc { issuer };
    let facebook_kind = ProviderKind::Plain(Plain {
        authorize_url: or(&facebook.authorize_url, Plain::facebook().authorize_url),
        token_url: or(&facebook.token_url, Plain::facebook().token_url),
        userinfo_url: or(&facebook.userinfo_url, Plain::facebook().userinfo_url),
        ..Plain::facebook()
    });
    let x_kind = ProviderKind::Plain(Plain {
        authorize_url: or(&x.authorize_url, Plain::x().authorize_url),
        token_url: or(&x.token_url, Plain::x().token_url),
        userinfo_url: or(&x.userinfo_url, Plain::x().userinfo_url),
        ..Plain::x()
    });
    let oidc = &oauth.oidc;
    let oidc_kind = ProviderKind::Oidc {
        issuer: oidc.issuer.clone().unwrap_or_default(),
    };
    let providers: Vec<Provider> = [
        provider(
            "google",
            &google.client_id,
            &google.client_secret,
            google_kind,
        ),
        provider(
            "facebook",
            &facebook.client_id,
            &facebook.client_secret,
            facebook_kind,
        ),
        provider("x", &x.client_id, &x.client_secret, x_kind),
        provider(&oidc.name, &oidc.client_id, &oidc.client_secret, oidc_kind),
    ]
    .into_iter()
    .flatten()
    .collect();
    let outbound = if providers.is_empty() {
        None
    } else {
        let allowed = config.outbound.allow.iter().map(|place| place.0.clone());
        let permits = Permits::new(allowed.collect());
        Some(Outbound::guarded(Bounds::default(), permits)?)
    };
    Ok(Oauth {
        providers,
        return_to: oauth.return_to.clone(),
        outbound,
    })
}

fn or(given: &Option<String>, built_in: String) -> String {
    given.clone().unwrap_or(built_in)
}

fn provider(
    name: &str,
    id: &Option<String>,
    secret: &Option<Secret>,
    kind: ProviderKind,
) -> Option<Provider> {
    Some(Provider {
        name: name.to_owned(),
        client_id: id.clone()?,
        client_secret: secret.as_ref()?.to_secret_string(),
        kind,
    })
}
