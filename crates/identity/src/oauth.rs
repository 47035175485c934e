//! Logging in at another provider: the authorization code flow with PKCE, `state` and `nonce`.
//!
//! A login that began waits in the cache for ten minutes under the hash of its `state`, and is bound
//! to the browser it began in by a cookie. It is taken once, whatever comes back. A person is known
//! by provider and subject; an address alone never opens an account that exists.
//!
//! An app gets a one-use code on its own address, good for a minute, which it exchanges together
//! with the proof that it is the app that began.

mod end;
pub(crate) mod id_token;
mod provider;
mod remote;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use kernel::{Caller, DeviceId, UserId};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::Identity;
use crate::devices::{Account, LoggedIn, Origin, SessionKind};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::limits;
use crate::rules::{Email, Fields, MAX_DISPLAY_NAME_CHARS, phone_username};
use crate::second_factor::{First, Proven};
use crate::secrets::{hex, sha256};
use crate::sql;
use crate::sql::oauth::LinkedIdentity;
use end::Place;
use provider::{is_own_path, with_query};
use remote::{Outside, Redeem, Site};

pub use end::OauthEnd;
pub use provider::{Oauth, Plain, Provider, ProviderKind, SecretIn};

/// How long a login may take at the provider.
pub(crate) const PENDING_TTL: Duration = Duration::from_secs(10 * 60);
/// How long an app may take to exchange its code.
const CODE_TTL: Duration = Duration::from_secs(60);
/// Where a browser goes whose login nobody here began.
const LOGIN_PAGE: &str = "/auth/login";
/// Longest value a provider may hand back in an address.
const MAX_RETURNED: usize = 4_096;

/// What is known of providers while the process runs.
#[derive(Debug)]
pub(crate) struct Sites(Vec<Site>);

impl Sites {
    pub(crate) fn new(oauth: &Oauth) -> Self {
        Sites(oauth.providers.iter().cloned().map(Site::new).collect())
    }

    fn find(&self, name: &str) -> Result<&Site> {
        let site = self.0.iter().find(|site| site.provider.name == name);
        site.ok_or(Error::ProviderUnknown)
    }
}

/// A wish to log in at a provider.
#[derive(Debug)]
pub struct OauthWish<'a> {
    /// The provider's name.
    pub provider: &'a str,
    /// Where to go afterwards: a page of ours, or an app's own address.
    pub return_to: &'a str,
    /// How the client keeps its login.
    pub session: SessionKind,
    /// The app's proof key (S256), which its exchange has to fit.
    pub code_challenge: Option<&'a str>,
    /// Who wants to log in here with this provider from now on.
    pub link: Option<&'a Caller>,
    /// The browser's cookie, if it has one from another login.
    pub cookie: Option<&'a str>,
    /// The client's address.
    pub ip: std::net::IpAddr,
}

/// Where the browser goes, and what binds the login to it.
#[derive(Debug)]
pub struct OauthBegun {
    /// The provider's page.
    pub location: String,
    /// The value of the browser's cookie.
    pub cookie: SecretString,
}

/// What a provider sent a browser back with.
#[derive(Debug)]
pub struct OauthReturn<'a> {
    /// The provider of the address that was called.
    pub provider: &'a str,
    /// Ours.
    pub state: &'a str,
    /// The provider's; none when it refused.
    pub code: Option<&'a str>,
    /// Who the provider says it is (RFC 9207).
    pub issuer: Option<&'a str>,
    /// The browser's cookie.
    pub cookie: Option<&'a str>,
}

/// A login that waits for the provider.
#[derive(Serialize, Deserialize)]
struct Pending {
    provider: String,
    browser: String,
    nonce: String,
    verifier: String,
    names_issuer: Option<String>,
    return_to: String,
    then: Then,
}

impl Pending {
    fn place(&self) -> Place {
        let to = self.return_to.clone();
        match self.then {
            Then::Session | Then::Link { .. } => Place::Page(to),
            Then::Code { .. } => Place::App(to),
        }
    }
}

/// What becomes of it.
#[derive(Serialize, Deserialize)]
enum Then {
    Session,
    Code { challenge: String },
    Link { user: UserId, device: DeviceId },
}

/// What an app's code stands for.
#[derive(Serialize, Deserialize)]
struct Waiting {
    outside: Outside,
    challenge: String,
}

impl Identity {
    /// Sends a browser to a provider.
    pub async fn begin_oauth(&self, wish: OauthWish<'_>) -> Result<OauthBegun> {
        limits::login_from(&*self.limiter, &self.settings.limits, wish.ip).await?;
        let site = self.sites.find(wish.provider)?;
        let then = self.then(&wish).await?;
        let door = site.door(self.outbound()?, self.clock.now()).await?;
        let token = || kernel::rng::token::<32>(&*self.rng);
        let (state, nonce, verifier) = (token(), token(), token());
        let known = wish.cookie.filter(|cookie| is_token(cookie));
        let cookie = known.map_or_else(token, ToOwned::to_owned);
        let pending = Pending {
            provider: wish.provider.to_owned(),
            browser: fingerprint(&cookie),
            nonce,
            verifier,
            names_issuer: door.names_issuer,
            return_to: wish.return_to.to_owned(),
            then,
        };
        self.keep("oauth", &state, &pending, PENDING_TTL).await?;
        let location = with_query(
            &door.url,
            &[
                ("response_type", "code"),
                ("client_id", &site.provider.client_id),
                ("redirect_uri", &self.redirect_uri(wish.provider)),
                ("scope", door.scope),
                ("state", &state),
                ("nonce", &pending.nonce),
                ("code_challenge", &challenge_of(&pending.verifier)),
                ("code_challenge_method", "S256"),
            ],
        );
        let cookie = SecretString::from(cookie);
        Ok(OauthBegun { location, cookie })
    }

    /// What is to become of a login, if the wish is one that may be granted.
    async fn then(&self, wish: &OauthWish<'_>) -> Result<Then> {
        if let Some(caller) = wish.link {
            let device = self.may_change_factors(caller).await?;
            let user = caller.user;
            return is_own_path(wish.return_to)
                .then_some(Then::Link { user, device })
                .ok_or(Error::ReturnRefused);
        }
        match (wish.session, wish.code_challenge) {
            (SessionKind::Cookie, _) if is_own_path(wish.return_to) => Ok(Then::Session),
            (SessionKind::Token, Some(challenge)) => {
                let apps = &self.settings.oauth.return_to;
                let theirs = apps.iter().any(|app| app == wish.return_to);
                let challenge = challenge.to_owned();
                (theirs && is_token(&challenge))
                    .then_some(Then::Code { challenge })
                    .ok_or(Error::ReturnRefused)
            }
            (SessionKind::Cookie, _) | (SessionKind::Token, None) => Err(Error::ReturnRefused),
        }
    }

    /// Takes what a provider sent a browser back with.
    pub async fn finish_oauth(&self, back: OauthReturn<'_>, origin: &Origin) -> OauthEnd {
        let pending = match self.begun_here(&back, origin).await {
            Ok(pending) => pending,
            Err(error) => return OauthEnd::lost(&Place::Page(LOGIN_PAGE.to_owned()), error),
        };
        let place = pending.place();
        match self.go_on(pending, back, origin).await {
            Ok(end) => end,
            Err(error) => OauthEnd::lost(&place, error),
        }
    }

    /// The login that this browser began at this provider.
    async fn begun_here(&self, back: &OauthReturn<'_>, origin: &Origin) -> Result<Pending> {
        limits::login_from(&*self.limiter, &self.settings.limits, origin.ip).await?;
        let pending: Option<Pending> = self.take("oauth", back.state).await?;
        let pending = pending.ok_or(Error::OauthFailed("an unknown state"))?;
        let browser = back.cookie.map(fingerprint);
        if pending.provider != back.provider || browser.as_ref() != Some(&pending.browser) {
            return Err(Error::OauthFailed("another browser or provider"));
        }
        Ok(pending)
    }

    async fn go_on(
        &self,
        pending: Pending,
        back: OauthReturn<'_>,
        origin: &Origin,
    ) -> Result<OauthEnd> {
        let site = self.sites.find(back.provider)?;
        let named = back.issuer.is_some() || pending.names_issuer.is_some();
        if named && !is_issuer(site, back.issuer) {
            return Err(Error::OauthFailed("another issuer came back"));
        }
        let code = back.code.filter(|code| code.len() <= MAX_RETURNED);
        let redeem = Redeem {
            code: code.ok_or(Error::OauthFailed("the provider refused"))?,
            verifier: &pending.verifier,
            nonce: &pending.nonce,
            redirect_uri: &self.redirect_uri(back.provider),
            now: self.clock.now(),
        };
        let outside = site.redeem(self.outbound()?, redeem).await?;
        self.then_do(pending, outside, origin).await
    }

    async fn then_do(
        &self,
        pending: Pending,
        outside: Outside,
        origin: &Origin,
    ) -> Result<OauthEnd> {
        let location = pending.return_to;
        let (location, session) = match pending.then {
            Then::Session => match self.enter(&outside, origin).await {
                Ok(login) => (location, Some(login)),
                // The page goes on with it.
                Err(Error::SecondFactorRequired { mfa_token, methods }) => {
                    let methods = methods.join(",");
                    let told = format!("{location}#mfa_token={mfa_token}&methods={methods}");
                    (told, None)
                }
                Err(error) => return Err(error),
            },
            Then::Code { challenge } => {
                let code = kernel::rng::token::<32>(&*self.rng);
                let waiting = Waiting { outside, challenge };
                self.keep("oauth_code", &code, &waiting, CODE_TTL).await?;
                (with_query(&location, &[("code", &code)]), None)
            }
            Then::Link { user, device } => {
                let live = sql::devices::find_live(&self.db, device).await?;
                live.filter(|live| live.user_id == user)
                    .ok_or(Error::Unauthenticated)?;
                self.link(&outside, user).await?;
                (location, None)
            }
        };
        Ok(OauthEnd {
            location,
            outcome: Ok(session),
        })
    }

    /// Exchanges an app's code for its login.
    pub async fn exchange_oauth(
        &self,
        code: &SecretString,
        verifier: &SecretString,
        origin: &Origin,
    ) -> Result<LoggedIn> {
        let mut fields = Fields::default();
        fields.device("/device", &origin.device);
        fields.done()?;
        limits::login_from(&*self.limiter, &self.settings.limits, origin.ip).await?;
        let waiting: Option<Waiting> = self.take("oauth_code", code.expose_secret()).await?;
        let waiting = waiting.ok_or(Error::TokenInvalid)?;
        if challenge_of(verifier.expose_secret()) != waiting.challenge {
            return Err(Error::TokenInvalid);
        }
        self.enter(&waiting.outside, origin).await
    }

    /// Lets somebody in whom a provider knows; whom we do not know gets an account.
    async fn enter(&self, outside: &Outside, origin: &Origin) -> Result<LoggedIn> {
        let keys = self.keys.set().await?;
        let known = sql::oauth::find_owner(&self.db, &outside.provider, &outside.subject).await?;
        if known.is_none() {
            limits::registration_from(&*self.limiter, &self.settings.limits, origin.ip).await?;
        }
        let tx = self.db.begin().await?;
        let (user, account) = match known {
            Some(owner) if owner.may_log_in() => (owner.id, Account::Known),
            Some(_) => return Err(Error::InvalidCredentials),
            None => (self.make_outsider(&tx, outside).await?, Account::New),
        };
        let proven = Proven {
            user,
            account,
            first: First::Federated,
        };
        let admitted = self.admit(&tx, &keys, proven, origin).await?;
        tx.commit().await?;
        admitted.finish()
    }

    async fn make_outsider(&self, tx: &db::Tx, outside: &Outside) -> Result<UserId> {
        let (id, now): (UserId, _) = (self.ids.next()?, self.clock.now());
        let email = outside.email.as_deref().and_then(Email::parse);
        if let Some(email) = &email
            && sql::owners::by_email(tx, &email.key).await?.is_some()
        {
            return Err(Error::AccountLinkRequired);
        }
        let username = phone_username(id);
        let display_name = outside.display_name.as_deref().filter(|name| is_name(name));
        let new = sql::users::NewUser {
            id,
            kind: "user",
            email: email.as_ref().map(|email| email.text.as_str()),
            email_key: email.as_ref().map(|email| email.key.as_str()),
            username: &username,
            display_name: display_name.unwrap_or(&username),
            locale: kernel::Locale::default().tag(),
            email_verified_at: email.is_some().then_some(now),
            at: now,
        };
        // Whoever was faster has the address; the same answer as a moment later.
        let stored = sql::users::insert(tx, &new).await;
        stored.map_err(|error| match error.constraint() {
            Some(_) => Error::AccountLinkRequired,
            None => error.into(),
        })?;
        let linked = sql::oauth::insert(tx, &new_identity(outside, id, now)).await?;
        if !linked {
            return Err(Error::OauthFailed("two logins at once"));
        }
        let mut events = Events::new(&self.ids, now, Some(id));
        events.user_created(id, "user")?;
        events.append(tx).await?;
        Ok(id)
    }

    /// From now on this person of a provider is that user.
    async fn link(&self, outside: &Outside, user: UserId) -> Result<()> {
        let tx = self.begin_factor_change(user).await?;
        let new = new_identity(outside, user, self.clock.now());
        if !sql::oauth::insert(&tx, &new).await? {
            return Err(Error::ContactTaken);
        }
        self.end_factor_change(&tx, user, "identity").await?;
        tx.commit().await?;
        Ok(())
    }

    /// Where the caller may log in.
    pub async fn list_identities(&self, caller: &Caller) -> Result<Vec<LinkedIdentity>> {
        Ok(sql::oauth::list(&self.db, caller.user).await?)
    }

    /// The caller no longer logs in with this provider.
    pub async fn unlink_identity(&self, caller: &Caller, provider: &str) -> Result<()> {
        self.may_change_factors(caller).await?;
        let user = caller.user;
        let tx = self.begin_factor_change(user).await?;
        if !sql::oauth::delete(&tx, user, provider).await? {
            return Err(Error::NotFound);
        }
        self.keep_a_way_in(&tx, user).await?;
        self.end_factor_change(&tx, user, "identity").await?;
        tx.commit().await?;
        Ok(())
    }

    fn outbound(&self) -> Result<&infra::outbound::Outbound> {
        let outbound = self.settings.oauth.outbound.as_ref();
        outbound.ok_or(Error::ProviderUnknown)
    }

    /// One address for each provider, so that no answer is taken for another's.
    fn redirect_uri(&self, provider: &str) -> String {
        let base = &self.settings.public_url;
        format!("{base}/v1/auth/oauth/{provider}/callback")
    }

    async fn keep<T: Serialize>(
        &self,
        kind: &str,
        secret: &str,
        value: &T,
        ttl: Duration,
    ) -> Result<()> {
        let value = serde_json::to_vec(value);
        let value = value.or(Err(Error::Broken("a login that cannot be written")))?;
        let key = cache_key(kind, secret);
        Ok(self.cache.put(&key, Bytes::from(value), ttl).await?)
    }

    async fn take<T: for<'a> Deserialize<'a>>(
        &self,
        kind: &str,
        secret: &str,
    ) -> Result<Option<T>> {
        let Some(value) = self.cache.take(&cache_key(kind, secret)).await? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&value);
        read.map(Some)
            .or(Err(Error::Broken("a login that cannot be read")))
    }
}

fn new_identity<'a>(
    outside: &'a Outside,
    user: UserId,
    at: jiff::Timestamp,
) -> sql::oauth::NewIdentity<'a> {
    sql::oauth::NewIdentity {
        provider: &outside.provider,
        subject: &outside.subject,
        user,
        email: outside.email.as_deref(),
        at,
    }
}

fn is_issuer(site: &Site, named: Option<&str>) -> bool {
    match &site.provider.kind {
        ProviderKind::Oidc { issuer } => named == Some(issuer),
        // It has no issuer, so whatever is named is another one.
        ProviderKind::Plain(_) => false,
    }
}

fn is_name(name: &str) -> bool {
    let mut fields = Fields::default();
    fields.line("/display_name", name, MAX_DISPLAY_NAME_CHARS);
    !name.is_empty() && fields.done().is_ok()
}

fn cache_key(kind: &str, secret: &str) -> String {
    format!("identity:{kind}:{}", fingerprint(secret))
}

fn fingerprint(secret: &str) -> String {
    hex(&sha256(secret.as_bytes()))
}

/// The S256 challenge of a verifier (RFC 7636 §4.2).
fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()))
}

/// Whether this has the form of 32 bytes in base64url: what our own values and S256 look like.
fn is_token(text: &str) -> bool {
    text.len() == 43
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
