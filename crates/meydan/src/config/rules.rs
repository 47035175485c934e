//! What settings mean together: values that follow from others, and combinations that are refused.

mod internal;
mod oauth;
mod objects;
mod senders;

use std::time::Duration;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use identity::EmailVerification;

use super::origin::Origin;
use super::problem::{Code, Problem};
use super::types::{Env, JwtAlg, WebOrigin};
use super::{Config, Request, Role, Sources};
use crate::parts::Contents;

/// A root secret shorter than this can be guessed.
pub(crate) const SECRET_BYTES: usize = 32;

/// What the rules need to know beyond the settings.
pub(crate) struct Facts<'a> {
    pub(crate) in_docker: bool,
    pub(crate) role: Role,
    pub(crate) contents: Contents,
    pub(crate) sources: &'a Sources,
    pub(crate) rng: &'a dyn kernel::Rng,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(request: &Request, sources: &'a Sources, rng: &'a dyn kernel::Rng) -> Self {
        Self {
            in_docker: sources.in_docker(),
            role: request.role,
            contents: request.contents,
            sources,
            rng,
        }
    }
}

/// Fills in what follows from other settings and was not given.
pub(crate) fn derive(config: &mut Config) {
    let public_url = config.public_url();
    let alone = config.is_alone();
    config.http.public_url = Some(public_url);
    config.grpc.listen.get_or_insert(config.http.listen);
    let grace = if alone {
        Duration::ZERO
    } else {
        Duration::from_secs(5)
    };
    config.http.drain_grace.get_or_insert(grace);
    let dev_mode = *config.auth.dev_mode.get_or_insert(alone);
    config
        .auth
        .email_verification
        .get_or_insert(if dev_mode && alone {
            EmailVerification::Off
        } else {
            EmailVerification::Required
        });
    senders::derive(config);
    objects::derive(config);
}

impl Config {
    /// The address clients use.
    pub(crate) fn public_url(&self) -> WebOrigin {
        self.http
            .public_url
            .clone()
            .unwrap_or_else(|| WebOrigin::of_listener(self.http.listen, self.http.port))
    }

    /// Where passkeys are good; none where browsers offer none.
    pub(crate) fn passkey_site(&self) -> Option<identity::PasskeySite> {
        let wish = &self.auth.passkeys;
        let public_url = self.public_url().to_string();
        let mut site = match (identity::PasskeySite::behind(&public_url), &wish.rp_id) {
            (Some(site), _) => site,
            (None, Some(rp_id)) => identity::PasskeySite {
                rp_id: rp_id.clone(),
                origins: vec![public_url],
            },
            (None, None) => return None,
        };
        site.rp_id = wish.rp_id.clone().unwrap_or(site.rp_id);
        if !wish.origins.is_empty() {
            site.origins = wish.origins.iter().map(WebOrigin::to_string).collect();
        }
        Some(site)
    }

    /// Where gRPC is served; none when it is switched off.
    pub(crate) fn grpc_address(&self) -> Option<SocketAddr> {
        let listen = self.grpc.listen.unwrap_or(self.http.listen);
        let address = SocketAddr::from((listen, self.grpc.port));
        self.grpc.enabled.then_some(address)
    }

    /// Whether every listener that anybody may use is for this computer alone.
    fn listens_locally(&self) -> bool {
        let grpc = self.grpc_address();
        self.http.listen.is_loopback() && grpc.is_none_or(|grpc| grpc.ip().is_loopback())
    }

    /// Whether it is for development, and nobody but this computer reaches it.
    pub(crate) fn is_alone(&self) -> bool {
        let local = self.listens_locally() && self.public_url().is_loopback();
        self.env == Env::Dev && local
    }

    /// Whether the conveniences of development are on.
    pub(crate) fn dev_mode(&self) -> bool {
        self.auth.dev_mode.unwrap_or(false)
    }

    /// Whether a new account must prove its e-mail address.
    pub(crate) fn email_verification(&self) -> EmailVerification {
        self.auth
            .email_verification
            .unwrap_or(EmailVerification::Required)
    }

    /// Settings in use that are fine on one computer only; `up` names them at every start.
    pub(crate) fn insecure_defaults(&self) -> Vec<&'static str> {
        let mut list = Vec::new();
        if self.dev_mode() {
            list.push("auth.dev_mode");
        }
        if self.email_verification() == EmailVerification::Off {
            list.push("auth.email_verification");
        }
        list
    }
}

struct Checker<'a> {
    config: &'a Config,
    origins: &'a BTreeMap<&'static str, Origin>,
    facts: &'a Facts<'a>,
    problems: &'a mut Vec<Problem>,
}

/// Checks combinations; what is refused goes to `problems`.
pub(crate) fn check(
    config: &Config,
    origins: &BTreeMap<&'static str, Origin>,
    facts: &Facts<'_>,
    problems: &mut Vec<Problem>,
) {
    let mut checker = Checker {
        config,
        origins,
        facts,
        problems,
    };
    checker.secret();
    checker.shared_secret();
    checker.conveniences();
    checker.pairs();
    checker.senders();
    checker.objects();
    checker.oauth();
    checker.demo();
    checker.passkeys();
    if config.env == Env::Prod {
        checker.production();
    }
}

impl Checker<'_> {
    fn refuse(&mut self, key: &'static str, code: Code, message: &str) {
        let place = self
            .origins
            .get(key)
            .filter(|origin| **origin != Origin::Default)
            .cloned()
            .unwrap_or_else(|| Origin::Place {
                text: format!("env = {}", self.env_word()),
            });
        self.problems
            .push(Problem::new(place, code, format!("{key}: {message}")));
    }

    /// Browsers refuse passkeys for pages that are not below their domain.
    fn passkeys(&mut self) {
        let site = self.config.passkey_site();
        if site.is_some_and(|site| !site.is_sound()) {
            let message = "every origin (auth.passkeys.origins, else http.public_url) must be this domain or below it";
            self.refuse("auth.passkeys.rp_id", Code::Combination, message);
        }
    }

    fn env_word(&self) -> &'static str {
        match self.config.env {
            Env::Dev => "dev",
            Env::Prod => "prod",
        }
    }

    fn secret(&mut self) {
        match &self.config.auth.jwt.secret {
            Some(secret) if secret.expose().len() < SECRET_BYTES => {
                let message = format!(
                    "shorter than {SECRET_BYTES} bytes; {}",
                    fresh_secret(self.facts.rng)
                );
                self.refuse("auth.jwt.secret", Code::SecretShort, &message);
            }
            Some(_) => {}
            None => self.missing_secret(),
        }
    }

    /// A shared secret that nobody gave is shared with nobody, and services that only check tokens
    /// must not be able to make them.
    fn shared_secret(&mut self) {
        let jwt = &self.config.auth.jwt;
        if jwt.alg != JwtAlg::Hs256 {
            return;
        }
        if self.facts.role == Role::Service {
            let message = "HS256 is for `meydan up`: a process of `meydan serve` that checks \
                           tokens could make them too";
            self.refuse("auth.jwt.alg", Code::Combination, message);
        } else if jwt.secret.is_none() {
            let message = "HS256 needs `auth.jwt.secret`, which the older services have too";
            self.refuse("auth.jwt.alg", Code::Combination, message);
        }
    }

    /// Without a secret of its own a process needs a data directory to keep one in.
    fn missing_secret(&mut self) {
        let shared_database = self.config.database.url.is_some();
        let reason = if self.facts.role == Role::Service {
            "is needed by `meydan serve`, the same for all processes"
        } else if self.config.env == Env::Prod && shared_database {
            "is needed in production with a database of yours, the same for all processes"
        } else {
            return;
        };
        let message = format!("{reason}; {}", fresh_secret(self.facts.rng));
        self.refuse("auth.jwt.secret", Code::ProdSecret, &message);
    }

    fn conveniences(&mut self) {
        let config = self.config;
        let local_url = config.public_url().is_loopback();
        let local_bind = config.listens_locally();
        if config.dev_mode() {
            let excepted = self.facts.in_docker && local_url;
            if config.env == Env::Prod {
                self.refuse("auth.dev_mode", Code::DevMode, "refused in production");
            } else if !(local_bind && local_url || excepted) {
                self.refuse(
                    "auth.dev_mode",
                    Code::DevMode,
                    "refused, because http.listen, grpc.listen or http.public_url is open to others",
                );
            }
        }
        let unverified = config.email_verification() == EmailVerification::Off;
        let contained = local_url && (local_bind || self.facts.in_docker);
        if unverified && (config.env == Env::Prod || !contained) {
            self.refuse(
                "auth.email_verification",
                Code::EmailVerification,
                "\"off\" is for one computer only; use \"required\"",
            );
        }
    }

    /// Everybody knows the passwords of the demo people.
    fn demo(&mut self) {
        if self.facts.contents == Contents::AsIs || self.config.is_alone() {
            return;
        }
        let message = match self.config.env {
            Env::Prod => "refused in production, because everybody knows the demo password",
            Env::Dev => {
                "refused, because http.listen or http.public_url is open to others, and everybody \
                 knows the demo password"
            }
        };
        let place = Origin::Flag { name: "--demo" };
        self.problems.push(Problem::new(place, Code::Demo, message));
    }

    fn pairs(&mut self) {
        let config = self.config;
        let combination = Code::Combination;
        if self.facts.role == Role::Service && config.database.url.is_none() {
            self.refuse("database.url", combination, "is needed by `meydan serve`");
        }
        if config.auth.access_ttl > config.auth.refresh_ttl {
            self.refuse(
                "auth.access_ttl",
                combination,
                "longer than auth.refresh_ttl",
            );
        }
        if config.auth.refresh_ttl > config.auth.refresh_absolute_ttl {
            self.refuse(
                "auth.refresh_ttl",
                combination,
                "longer than auth.refresh_absolute_ttl",
            );
        }
        if config.database.direct_url.is_some() && config.database.url.is_none() {
            self.refuse("database.direct_url", combination, "needs database.url too");
        }
        match (&config.admin.email, &config.admin.password) {
            (Some(_), None) => {
                self.refuse("admin.email", combination, "needs admin.password_file too");
            }
            (None, Some(_)) => {
                self.refuse("admin.password", combination, "needs admin.email too");
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        let main = SocketAddr::from((config.http.listen, config.http.port));
        if config.http.ops_listen.is_some_and(|ops| meets(ops, main)) {
            self.refuse(
                "http.ops_listen",
                combination,
                "the port of the main listener",
            );
        }
        self.grpc_port();
        self.internal();
        if config
            .http
            .drain_grace
            .is_some_and(|grace| grace > config.http.drain_deadline)
        {
            self.refuse(
                "http.drain_grace",
                combination,
                "longer than http.drain_deadline",
            );
        }
    }

    fn grpc_port(&mut self) {
        let http = &self.config.http;
        let main = SocketAddr::from((http.listen, http.port));
        let Some(grpc) = self.config.grpc_address() else {
            return;
        };
        if meets(grpc, main) || http.ops_listen.is_some_and(|ops| meets(grpc, ops)) {
            self.refuse(
                "grpc.port",
                Code::Combination,
                "the port of another listener",
            );
        }
    }

    fn production(&mut self) {
        let http = &self.config.http;
        let plain = |origin: &&WebOrigin| !origin.is_https() && !origin.is_loopback();
        if let Some(origin) = http.cors.iter().find(plain) {
            let message = format!("{origin} can be changed on its way; name https origins");
            self.refuse("http.cors", Code::ProdCors, &message);
        }
        if !http.listen.is_loopback() && http.trusted_proxies.is_empty() {
            self.refuse(
                "http.listen",
                Code::ProdBind,
                "open to others without TLS; put a proxy in front and name it in \
                 http.trusted_proxies",
            );
        }
        let grpc = self.config.grpc_address();
        let is_wider = |grpc: SocketAddr| grpc.ip() != http.listen && !grpc.ip().is_loopback();
        if http.trusted_proxies.is_empty() && grpc.is_some_and(is_wider) {
            self.refuse(
                "grpc.listen",
                Code::ProdBind,
                "open to others without TLS; put a proxy in front and name it in \
                 http.trusted_proxies",
            );
        }
        if !self.config.public_url().is_https() {
            self.refuse(
                "http.public_url",
                Code::ProdPublicUrl,
                "must be the https address that clients use",
            );
        }
        if http.ops_listen.is_some_and(|ops| !is_internal(ops.ip())) {
            self.refuse(
                "http.ops_listen",
                Code::ProdOps,
                "metrics on a public address; use a loopback or private one",
            );
        }
        self.data_dir();
    }

    fn data_dir(&mut self) {
        let path = self.facts.sources.resolve(&self.config.storage.data_dir);
        if readable_by_others(&path) {
            let shown = path.display();
            let message = format!("{shown} can be read by others; run: chmod -R go-rwx {shown}");
            self.refuse("storage.data_dir", Code::ProdDataDir, &message);
        }
    }
}

/// Whether group or others have any right on the folder; no folder, no risk.
pub(crate) fn readable_by_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o077 != 0)
}

/// Whether two listeners have one address; zero is a port of its own.
fn meets(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (any || one.ip() == other.ip())
}

/// Loopback, private and link-local addresses.
fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

fn fresh_secret(rng: &dyn kernel::Rng) -> String {
    format!("a fresh one: {}", kernel::rng::token::<SECRET_BYTES>(rng))
}
