//! Storing challenges, within the budgets of targets, devices and countries.

use std::net::IpAddr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use kernel::{AnyId, Locale, UserId};
use secrecy::{ExposeSecret as _, SecretString};

use crate::Identity;
use crate::devices::later;
use crate::error::{Error, Result};
use crate::limits::OTP;
use crate::otp::{Purpose, Target};
use crate::phones::Phone;
use crate::secrets::{KEK_ID, sha256};
use crate::sql;
use crate::sql::otp::{Budget, Moment, NewChallenge};

/// Who asks for codes and tries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Anybody; all of them share the target's budget.
    Stranger,
    /// A device that was once logged in to the target's account; these have their own.
    Known,
}

/// A challenge that is being made.
pub(crate) struct Draft {
    pub(crate) id: AnyId,
    pub(crate) locale: Locale,
    pub(crate) code: Option<SecretString>,
    pub(crate) handle: SecretString,
    pub(crate) purpose: Purpose,
    pub(crate) user: Option<UserId>,
    pub(crate) ip: IpAddr,
}

impl Identity {
    /// Stores a challenge, if its budgets allow it.
    pub(crate) async fn store_challenge(
        &self,
        target: &Target,
        draft: &Draft,
        asker: Asker,
    ) -> Result<()> {
        let (keys, otp, moment) = (&self.settings.keys, &self.settings.otp, self.moment());
        let id = draft.id.to_string();
        let sealed = keys.seal(&*self.rng, &id, target.address().as_bytes())?;
        let mac = |code: &SecretString| keys.code_mac(draft.id, target.key(), code.expose_secret());
        let code_mac = draft.code.as_ref().map(mac);
        let target_hmac = keys.target_mac(target.key());
        let known_key = self.known_budget(target.key());
        let new = NewChallenge {
            id: draft.id,
            handle_hash: &sha256(draft.handle.expose_secret().as_bytes()),
            channel: target.channel().word(),
            purpose: draft.purpose.word(),
            user: draft.user,
            target_hmac: &target_hmac,
            target_enc: &sealed,
            key_id: KEK_ID,
            code_mac: code_mac.as_deref(),
            locale: draft.locale.tag(),
            expires_at: later(moment.now, OTP.ttl()),
            ip: draft.ip.to_canonical().to_string(),
        };
        let (key, per_hour, per_day) = match asker {
            Asker::Known => (&known_key, i64::MAX, OTP.known_per_day),
            Asker::Stranger => (
                &target_hmac,
                i64::from(otp.target_per_hour),
                otp.target_per_day,
            ),
        };
        let budget = Budget {
            key,
            rested_since: moment.now - SignedDuration::from_secs(OTP.pause_s.into()),
            hour_ago: moment.now - SignedDuration::from_hours(1),
            per_hour,
            per_day,
        };
        let tx = self.db.begin().await?;
        if !sql::otp::insert(&tx, moment, &budget, &new).await? {
            tx.rollback().await?;
            return Err(self.too_many(moment, &budget, &target_hmac).await?);
        }
        if let Target::Phone(phone) = target {
            self.spend_country(&tx, moment, phone).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Takes a text from its country's budget. Whoever earns from texts to their own numbers must
    /// not do so for long.
    async fn spend_country(&self, tx: &db::Tx, moment: Moment, phone: &Phone) -> Result<()> {
        let country = phone.region.to_string();
        let key = self
            .settings
            .keys
            .target_mac(&format!("country\n{country}"));
        let per_day = self.settings.otp.country_per_day;
        let open = sql::otp::spend(tx, moment, &key, per_day).await?;
        let closed = if open { 0.0 } else { 1.0 };
        metrics::gauge!("meydan_auth_otp_country_closed", "country" => country.clone()).set(closed);
        if open {
            return Ok(());
        }
        tracing::warn!(country, "the daily budget of texts to a country is used up");
        Err(refused("otp_country", until_midnight(moment)))
    }

    /// Why a budget gave no code, and when it will.
    async fn too_many(
        &self,
        moment: Moment,
        budget: &Budget<'_>,
        target_hmac: &[u8],
    ) -> Result<Error> {
        let spent = sql::otp::find_budget(&self.db, budget, target_hmac).await?;
        let Some(spent) = spent else {
            // Its row was purged between two statements.
            return Ok(refused("otp_pause", SignedDuration::from_secs(1)));
        };
        let pause = spent
            .last_send_at
            .map(|at| at.duration_since(budget.rested_since));
        Ok(match pause.filter(SignedDuration::is_positive) {
            Some(pause) => refused("otp_pause", pause),
            None if spent.day >= moment.today && spent.sends >= budget.per_day => {
                refused("otp_target_day", until_midnight(moment))
            }
            None => {
                let first = spent.first_at.unwrap_or(moment.now);
                refused("otp_target_hour", first.duration_since(budget.hour_ago))
            }
        })
    }
}

fn refused(limit: &'static str, wait: SignedDuration) -> Error {
    metrics::counter!("meydan_auth_otp_refused_total", "limit" => limit).increment(1);
    let second = std::time::Duration::from_secs(1);
    Error::RateLimited {
        limit,
        retry_after: std::time::Duration::try_from(wait)
            .unwrap_or(second)
            .max(second),
    }
}

/// Budgets begin anew at midnight UTC.
fn until_midnight(moment: Moment) -> SignedDuration {
    let midnight = moment
        .today
        .tomorrow()
        .and_then(|day| day.to_zoned(TimeZone::UTC))
        .map_or(Timestamp::MAX, |at| at.timestamp());
    midnight.duration_since(moment.now)
}
