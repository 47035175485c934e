//! Logging in with a password, logging out, and changing the password.

use std::net::IpAddr;

use kernel::{Caller, UserId};
use secrecy::{ExposeSecret, SecretString};

use crate::Identity;
use crate::devices::{Account, LoggedIn, Origin};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::limits;
use crate::model::Kind;
use crate::passwords::{self, Check};
use crate::rules::{Fields, Identifier};
use crate::second_factor::{First, Proven};
use crate::secrets::sha256;
use crate::sql;
use crate::sql::devices::DeviceOfToken;
use crate::sql::users::Login;
use crate::stuffing::Pair;
use crate::tokens::{AccessClaims, Expiry, RefreshClaims, bearer};

/// Who wants to be logged out.
#[derive(Debug, Clone, Copy)]
pub enum LogoutBy<'a> {
    /// A refresh token, also an expired one.
    RefreshToken(&'a str),
    /// The `Authorization` header.
    Header(&'a str),
    /// The session of a page, verified.
    Page(&'a Caller),
}

/// Who tries a password.
enum Asker {
    /// A device that the account knows.
    Device(Login),
    /// Anybody else; for whom there may be no account.
    Stranger(Option<Login>),
}

impl Asker {
    fn is_known(&self) -> bool {
        matches!(self, Asker::Device(_))
    }

    fn login(self) -> Option<Login> {
        match self {
            Asker::Device(login) => Some(login),
            Asker::Stranger(login) => login,
        }
    }
}

impl Identity {
    /// Logs in with a password.
    ///
    /// Known and unknown names cost the same work and get the same answer. `known` is a refresh
    /// token or cookie that the device once had: what strangers do does not keep it out.
    pub async fn log_in(
        &self,
        identifier: &str,
        password: SecretString,
        known: Option<SecretString>,
        origin: &Origin,
    ) -> Result<LoggedIn> {
        let mut fields = Fields::default();
        fields.device("/device", &origin.device);
        fields.done()?;
        let name = Identifier::parse(identifier);
        let asker = self.judge_asker(&name, known, origin.ip).await?;
        let is_known = asker.is_known();
        let pair = self.settings.keys.login_pair(name.text(), &password);
        let account = asker.login().filter(|login| {
            login.kind == Kind::User
                && matches!(login.state.as_str(), "active" | "deleting")
                && (!login.known_password || self.allows_demo_people())
        });
        let stored = account.as_ref().and_then(|login| login.phc.clone());
        let check = self.check_password(stored.clone(), password).await?;
        let fits = match (account, stored, check) {
            (Some(account), Some(old), Check::Right) => Some((account, old, None)),
            (Some(account), Some(old), Check::Upgrade(phc)) => Some((account, old, Some(phc))),
            (_, _, _) => None,
        };
        let Some((account, old, new)) = fits else {
            if !is_known {
                self.note_failure(origin.ip, pair).await?;
            }
            return Err(Error::InvalidCredentials);
        };
        let keys = self.keys.set().await?;
        let tx = self.db.begin().await?;
        if let Some(new) = new {
            let now = self.clock.now();
            sql::users::upgrade_password(&tx, account.id, &old, &new, now).await?;
        }
        let proven = Proven {
            user: account.id,
            account: Account::Known,
            first: First::Password,
        };
        let admitted = self.admit(&tx, &keys, proven, origin).await?;
        tx.commit().await?;
        admitted.finish()
    }

    /// Judges by the limits whether a password may be tried, and finds whose it would be.
    async fn judge_asker(
        &self,
        name: &Identifier,
        known: Option<SecretString>,
        ip: IpAddr,
    ) -> Result<Asker> {
        let (limiter, limits) = (&*self.limiter, &self.settings.limits);
        let keys = &self.settings.keys;
        if let Some(device) = self.device_behind(known).await? {
            let login = sql::users::find_login(&self.db, name).await?;
            if let Some(login) = login.filter(|login| login.id == device.user_id) {
                limits::login_of_device(limiter, limits, keys, device.id).await?;
                return Ok(Asker::Device(login));
            }
        }
        let network = limits::block(ip);
        if let Some(wait) = self.stuffing.refused(&network, self.clock.now()) {
            return Err(Error::RateLimited {
                limit: "login_stuffing",
                retry_after: wait,
            });
        }
        limits::login_from(limiter, limits, ip).await?;
        limits::login_of(limiter, limits, keys, name.text()).await?;
        Ok(Asker::Stranger(
            sql::users::find_login(&self.db, name).await?,
        ))
    }

    /// The device that once had this refresh token or cookie.
    pub(crate) async fn device_behind(
        &self,
        known: Option<SecretString>,
    ) -> Result<Option<DeviceOfToken>> {
        let Some(token) = known else {
            return Ok(None);
        };
        let hash = sha256(token.expose_secret().as_bytes());
        Ok(sql::devices::find_by_token(&self.db, &hash).await?)
    }

    /// Counts a name and a password that did not fit, and tells when that was credential stuffing.
    async fn note_failure(&self, ip: IpAddr, pair: Pair) -> Result<()> {
        let now = self.clock.now();
        let Some(sign) = self.stuffing.failed(&limits::block(ip), pair, now) else {
            return Ok(());
        };
        tracing::warn!(
            sign = sign.word(),
            "credential stuffing: a network is refused for an hour"
        );
        if limits::stuffing_event(&*self.limiter, &self.settings.limits).await {
            let tx = self.db.begin().await?;
            let mut events = Events::new(&self.ids, now, None);
            events.stuffing_noticed(sign.word())?;
            events.append(&tx).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Checks a password against a stored hash, or against one that nothing fits.
    pub(crate) async fn check_password(
        &self,
        stored: Option<String>,
        password: SecretString,
    ) -> Result<Check> {
        let (scheme, rng) = (self.settings.password_scheme, self.rng.clone());
        let dummy = self.dummy_phc.clone();
        metrics::counter!("meydan_auth_passwords_total", "work" => "compare").increment(1);
        self.hashing
            .run(move || {
                let password = password.expose_secret();
                // More cannot be a password of ours; cutting keeps the work bounded.
                if password.chars().count() > passwords::MAX_CHARS {
                    passwords::check(scheme, &*rng, &dummy, "");
                    return Check::Wrong;
                }
                let known = stored.as_deref().unwrap_or(&dummy);
                let check = passwords::check(scheme, &*rng, known, password);
                if check == Check::Unusable {
                    tracing::error!("a stored password hash is malformed or out of bounds");
                    passwords::check(scheme, &*rng, &dummy, password);
                }
                check
            })
            .await
            .or(Err(Error::Busy))
    }

    /// Judges the strength of a new password and hashes it. `words` are the user's own.
    pub(crate) async fn hash_password(
        &self,
        password: SecretString,
        words: Vec<String>,
    ) -> Result<String> {
        let (scheme, rng) = (self.settings.password_scheme, self.rng.clone());
        metrics::counter!("meydan_auth_passwords_total", "work" => "make").increment(1);
        self.hashing
            .run(move || {
                let password = password.expose_secret();
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let reasons = passwords::weaknesses(scheme, password, &words);
                if !reasons.is_empty() {
                    return Err(Error::PasswordTooWeak { reasons });
                }
                let hash = passwords::hash(scheme, &*rng, password);
                hash.ok_or(Error::Broken(
                    "the password scheme refused its own parameters",
                ))
            })
            .await
            .or(Err(Error::Busy))?
    }

    /// Changes the caller's password. Needs the current one, or a login of the last minutes.
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: Option<SecretString>,
        new: SecretString,
        others: OtherDevices,
    ) -> Result<()> {
        let device = caller.device.filter(|_| caller.act.is_none());
        let device = device.ok_or(Error::Forbidden)?;
        let account = self.account(caller.user).await?;
        self.prove_again(caller, current).await?;
        let words = [
            Some(account.username),
            Some(account.display_name),
            account.email,
        ];
        let phc = self
            .hash_password(new, words.into_iter().flatten().collect())
            .await?;
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        sql::users::set_password(&tx, caller.user, &phc, now).await?;
        sql::demo::close(&tx, caller.user).await?;
        self.void_unfinished(&tx, caller.user).await?;
        let mut revoked = Vec::new();
        if others == OtherDevices::End {
            let except = Some(device);
            revoked = sql::revocations::revoke_all(&tx, caller.user, except, "password").await?;
        }
        let mut events = Events::new(&self.ids, now, Some(caller.user));
        events.factor_changed(caller.user, "password")?;
        events.devices_revoked(caller.user, &revoked, "password")?;
        events.append(&tx).await?;
        tx.commit().await?;
        self.publish_revoked(revoked).await;
        Ok(())
    }

    pub(crate) async fn prove_again(
        &self,
        caller: &Caller,
        current: Option<SecretString>,
    ) -> Result<()> {
        let Some(current) = current else {
            if caller.is_fresh(self.clock.now()) {
                return Ok(());
            }
            let methods = self.ways_to_step_up(caller.user).await?;
            return Err(Error::StepUpRequired { methods });
        };
        // Whoever holds a stolen access token may not guess on here.
        let (limits, keys) = (&self.settings.limits, &self.settings.keys);
        let name = caller.user.to_string();
        limits::login_of(&*self.limiter, limits, keys, &name).await?;
        let stored = sql::users::find_password(&self.db, caller.user).await?;
        let known = stored.is_some();
        match self.check_password(stored, current).await? {
            Check::Right | Check::Upgrade(_) if known => Ok(()),
            Check::Right | Check::Upgrade(_) | Check::Wrong | Check::Unusable => {
                Err(Error::InvalidCredentials)
            }
        }
    }

    /// Logs a device out. With a refresh token it is repeatable, and any token of ours will do.
    pub async fn log_out(&self, by: LogoutBy<'_>) -> Result<()> {
        let caller = self.leaving(by).await?;
        let device = caller.device.ok_or(Error::Forbidden)?;
        self.sign_out(caller.user, device, "logout").await.map(drop)
    }

    /// Logs all devices of a user out, or all but the one that asks.
    pub async fn log_out_all(&self, by: LogoutBy<'_>, others: LogoutScope) -> Result<()> {
        let caller = self.leaving(by).await?;
        if caller.act.is_some() {
            // Staff have a route of their own for this, which asks for a reason.
            return Err(Error::Forbidden);
        }
        if matches!(by, LogoutBy::RefreshToken(_)) {
            // A token that ended long ago must not end what was begun since.
            let device = caller.device.ok_or(Error::Forbidden)?;
            let live = sql::devices::find_live(&self.db, device).await?;
            live.ok_or(Error::RefreshInvalid)?;
        }
        let except = match others {
            LogoutScope::Everywhere => None,
            LogoutScope::ExceptCurrent => caller.device,
        };
        self.sign_out_all(caller.user, except, "logout_all").await
    }

    /// Whose request to leave it is.
    async fn leaving(&self, by: LogoutBy<'_>) -> Result<Caller> {
        match by {
            LogoutBy::RefreshToken(token) => {
                let now = self.clock.now();
                let claims: RefreshClaims = self
                    .tokens
                    .read(&self.keys, token, now, Expiry::Ignored)
                    .await?
                    .ok_or(Error::RefreshInvalid)?;
                Ok(Caller::user(claims.sub, claims.sid, Vec::new(), now))
            }
            LogoutBy::Page(caller) => Ok(caller.clone()),
            LogoutBy::Header(header) => self.caller_by_header(header).await,
        }
    }

    /// Who shows this `Authorization` header, if the token is valid and its device is live.
    pub(crate) async fn caller_by_header(&self, header: &str) -> Result<Caller> {
        let token = bearer(header).ok_or(Error::Unauthenticated)?;
        self.live_caller(token).await?.ok_or(Error::Unauthenticated)
    }

    /// The user of an access token, if the token is valid and its device is live.
    pub async fn validate(&self, token: &str, ip: std::net::IpAddr) -> Result<Option<UserId>> {
        limits::validate_from(&*self.limiter, &self.settings.limits, ip).await?;
        Ok(self.live_caller(token).await?.map(|caller| caller.user))
    }

    async fn live_caller(&self, token: &str) -> Result<Option<Caller>> {
        let now = self.clock.now();
        let claims: Option<AccessClaims> = self
            .tokens
            .read(&self.keys, token, now, Expiry::Enforced)
            .await?;
        let Some(claims) = claims else {
            return Ok(None);
        };
        let device = sql::devices::find_live(&self.db, claims.sid).await?;
        let theirs = device.is_some_and(|device| device.user_id == claims.sub);
        Ok(theirs.then(|| claims.caller()))
    }
}

/// What becomes of the other devices when the password changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherDevices {
    /// They stay logged in.
    Keep,
    /// They are signed out.
    End,
}

/// How far a logout goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogoutScope {
    /// Every device.
    Everywhere,
    /// Every device but the one that asks.
    ExceptCurrent,
}
