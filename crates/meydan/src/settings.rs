//! From the settings of the installation to the plain values that each part takes.
//!
//! The parts know nothing of files and variables; this page is the only one that knows both names.

use std::sync::Arc;
use std::time::Duration;

use infra::outbound::{Bounds, Outbound, Permits};
use secrecy::{ExposeSecret as _, SecretString};
use web_kit::{Cors, Network, NetworkError, Pages, ServeOptions, TokenVerifier};

use crate::config::{Config, JwtAlg, PasswordScheme};
use crate::parts::Service;

/// Values of `identity`.
pub(crate) fn identity(
    config: &Config,
    root_secret: &SecretString,
) -> Result<identity::Settings, identity::SecretError> {
    let auth = &config.auth;
    let password = &auth.password;
    let limits = &auth.limits;
    Ok(identity::Settings {
        issuer: auth.issuer.clone(),
        access_audience: auth.audience.access.clone(),
        refresh_audience: auth.audience.refresh.clone(),
        access_ttl: auth.access_ttl,
        refresh_ttl: auth.refresh_ttl,
        refresh_absolute_ttl: auth.refresh_absolute_ttl,
        reuse_grace: auth.refresh.reuse_grace,
        email_verification: config.email_verification(),
        password_scheme: match password.scheme {
            PasswordScheme::Argon2id => identity::Scheme::Argon2id {
                memory_kib: password.argon2_memory.kibibytes(),
                passes: password.argon2_passes,
                lanes: password.argon2_lanes,
            },
            PasswordScheme::Bcrypt => identity::Scheme::Bcrypt {
                cost: password.bcrypt_cost,
            },
        },
        secure_cookies: config.public_url().is_https(),
        signing: match auth.jwt.alg {
            JwtAlg::EdDsa => identity::Signing::EdDsa,
            JwtAlg::Hs256 => identity::Signing::Hs256(root_secret.clone()),
        },
        services: Service::names(),
        public_url: config.public_url().to_string(),
        passkeys: config.passkey_site(),
        totp_skew: if auth.totp.skew == 0 {
            identity::Skew::None
        } else {
            identity::Skew::One
        },
        limits: identity::Limits {
            login_address_per_minute: limits.login_address_per_minute,
            login_account_per_hour: limits.login_account_per_hour,
            second_factor_account_per_hour: limits.second_factor_account_per_hour,
            login_wave_per_10_minutes: limits.login_wave_per_10_minutes,
            registration_address_per_hour: limits.registration_address_per_hour,
            refresh_device_per_minute: limits.refresh_device_per_minute,
            validate_address_per_minute: limits.validate_address_per_minute,
        },
        impersonation: auth.impersonation.approver,
        otp: otp(config),
        demo_people: if config.is_alone() {
            identity::DemoPeople::Allowed
        } else {
            identity::DemoPeople::Refused
        },
        ..identity::Settings::new(identity::RootKeys::derive(root_secret)?)
    })
}

fn otp(config: &Config) -> identity::Otp {
    let otp = &config.auth.otp;
    identity::Otp {
        default_region: otp.default_region.region(),
        countries: otp.countries.iter().map(|one| one.region()).collect(),
        country_per_day: i32::try_from(otp.country_per_day).unwrap_or(i32::MAX),
        target_per_hour: otp.target_per_hour,
        target_per_day: i32::try_from(otp.target_per_day).unwrap_or(i32::MAX),
        address_per_hour: otp.address_per_hour,
        dev_code: if config.dev_mode() {
            identity::DevCode::Fixed
        } else {
            identity::DevCode::Off
        },
        ..identity::Otp::default()
    }
}

/// Values of `media`.
pub(crate) fn media(
    config: &Config,
    root_secret: &SecretString,
) -> Result<media::Settings, media::SecretError> {
    let media = &config.media;
    let address = media.public_url.clone().unwrap_or(config.public_url());
    let key = media::Key::derive(root_secret)?;
    Ok(media::Settings {
        max_file_bytes: media.max_file.bytes(),
        max_image_bytes: media.max_image.bytes(),
        max_pixels: media.max_pixels.into(),
        quota_bytes: media.quota.bytes(),
        uploads_per_user: media.uploads_per_user.into(),
        classes: media.allow.clone(),
        keep_unclaimed: media.keep_unclaimed,
        address_ttl: media.address_ttl,
        workers: media.workers,
        ..media::Settings::new(address.to_string(), key)
    })
}

/// How much of everything there may be in `communities`.
pub(crate) fn communities(config: &Config) -> communities::Limits {
    communities::Limits {
        emojis: config.communities.emojis,
        ..communities::Limits::default()
    }
}

/// What bounds the calls for link previews.
const PREVIEWS: Bounds = Bounds {
    connect: Duration::from_secs(3),
    total: Duration::from_secs(5),
    body_bytes: 512 * 1024,
};

/// Values of `messaging`.
pub(crate) fn messaging(config: &Config) -> messaging::Settings {
    messaging::Settings {
        writers: config.messaging.writers,
        queue: config.messaging.queue,
        batch: config.messaging.batch,
        max_json: config.http.body_limit.in_memory(),
        max_form: config
            .media
            .max_file
            .in_memory()
            .saturating_add(1024 * 1024),
        previews: config
            .messaging
            .link_previews
            .then(|| previews(config))
            .flatten(),
    }
}

/// What looks at links. A computer that trusts nobody goes without.
fn previews(config: &Config) -> Option<Outbound> {
    let allowed = config.outbound.allow.iter().map(|place| place.0.clone());
    match Outbound::guarded(PREVIEWS, Permits::new(allowed.collect())) {
        Ok(outbound) => Some(outbound),
        Err(error) => {
            tracing::warn!(%error, "links are not looked at");
            None
        }
    }
}

#[expect(
    clippy::fn_params_excessive_bools,
    reason = "the value it becomes is one; an enum here would only be turned back"
)]
/// Values of `realtime`; `node` is the number of this process in session ids.
pub(crate) fn realtime(config: &Config, node: u16, restore: bool) -> realtime::Settings {
    let realtime = &config.realtime;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let url = config.public_url();
    let scheme = if url.is_https() { "wss" } else { "ws" };
    // On a plain loopback address the Host header is as good, and right behind any port mapping.
    let fixed = !url.is_loopback();
    realtime::Settings {
        workers: realtime
            .workers
            .unwrap_or_else(|| cores.saturating_sub(1).max(1)),
        max_connections: realtime.max_connections,
        sockets_per_user: realtime.sockets_per_user,
        heartbeat_interval: realtime.heartbeat_interval,
        max_frame: realtime.max_frame.in_memory(),
        keep_detached: realtime.keep_detached,
        keep_spilled: realtime.keep_spilled,
        ring_events: realtime.ring_events,
        ring_bytes: realtime.ring_bytes.in_memory(),
        queue_events: realtime.queue_events,
        queue_bytes: realtime.queue_bytes.in_memory(),
        presence_per_second: realtime.presence_per_second,
        drain: Duration::from_secs(u64::from(realtime.drain_seconds)),
        origins: socket_origins(config),
        gateway_url: fixed.then(|| format!("{scheme}://{}/gateway", url.authority())),
        node,
        restore,
    }
}

/// Whose signature the verifier believes.
pub(crate) fn signed(
    config: &Config,
    root_secret: &SecretString,
    verifier: TokenVerifier,
) -> TokenVerifier {
    match config.auth.jwt.alg {
        JwtAlg::EdDsa => verifier,
        JwtAlg::Hs256 => verifier.hs256(root_secret.expose_secret().as_bytes()),
    }
}

/// Who may call from a browser.
pub(crate) fn cors(config: &Config) -> Cors {
    Cors {
        origins: config.http.cors.iter().map(ToString::to_string).collect(),
        any_loopback: config.dev_mode(),
    }
}

/// Which pages may open sockets: our own, and those that may call.
fn socket_origins(config: &Config) -> Cors {
    let own = config.public_url();
    let mut cors = cors(config);
    cors.any_loopback |= own.is_loopback();
    cors.origins.push(own.to_string());
    cors
}

/// Sessions of our own pages: over TLS, or on this computer.
pub(crate) fn pages(
    config: &Config,
    root_secret: &SecretString,
) -> Result<Option<Pages>, identity::SecretError> {
    let url = config.public_url();
    if !url.is_https() && !url.is_loopback() {
        return Ok(None);
    }
    let keys = identity::RootKeys::derive(root_secret)?;
    let csrf_token = Arc::new(move |cookie: &str| keys.csrf_token(cookie));
    Ok(Some(Pages::new(&url.to_string(), csrf_token)))
}

/// Whose forwarding headers are believed.
pub(crate) fn trusted_proxies(config: &Config) -> Result<Vec<Network>, NetworkError> {
    let networks = config.http.trusted_proxies.iter();
    networks
        .map(|network| network.to_string().parse())
        .collect()
}

/// Bounds of the web listener.
pub(crate) fn serve_options(config: &Config) -> ServeOptions {
    let http = &config.http;
    ServeOptions {
        first_byte_timeout: http.first_byte_timeout,
        header_timeout: http.header_timeout,
        body_timeout: http.body_timeout,
        write_timeout: http.write_timeout,
        idle_timeout: http.idle_timeout,
        max_connections: http.max_connections,
        drain_grace: http.drain_grace.unwrap_or_default(),
        ..ServeOptions::default()
    }
}
