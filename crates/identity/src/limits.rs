//! How often somebody may try. The limits themselves are declared in `limits_table.rs`.
//!
//! Limits on accounts delay and never lock: after the burst each attempt waits longer than the
//! one before, up to a quarter of an hour. They are counted per *name given at login*, not per
//! account found by it: otherwise a stranger could tell that an e-mail address and a username
//! belong together. Names are kept as HMAC only.

use std::net::IpAddr;
use std::time::Duration;

use kernel::{DeviceId, Limiter, Rule, UserId};

use crate::error::{Error, Result};
use crate::limits_table;
use crate::secrets::RootKeys;
use crate::settings::Limits;

/// Waits of an account's attempts beyond its burst, by level. One level falls back each hour.
const WAITS: [Rule; 6] = [
    Rule::new("login_wait_1", 1, Duration::from_secs(30)),
    Rule::new("login_wait_2", 1, Duration::from_secs(60)),
    Rule::new("login_wait_3", 1, Duration::from_secs(120)),
    Rule::new("login_wait_4", 1, Duration::from_secs(240)),
    Rule::new("login_wait_5", 1, Duration::from_secs(480)),
    Rule::new("login_wait_6", 1, Duration::from_secs(900)),
];
/// Counts levels: each token taken is one.
const LEVEL: Rule = Rule::new("login_level", 6, Duration::from_secs(6 * 3600));

/// What bounds one-time passwords. The guesses it allows find a code with a chance of 1 in 100,000
/// a day. Counted in the database, which is atomic over all nodes.
pub(crate) const OTP: OtpLimits = OtpLimits {
    ttl_s: 300,
    pause_s: 60,
    attempts: 5,
    failures_per_day: 10,
    known_per_day: 5,
};

/// Bounds of one-time passwords.
pub(crate) struct OtpLimits {
    /// How long a code is good.
    pub(crate) ttl_s: u32,
    /// Between two codes to one target.
    pub(crate) pause_s: u32,
    /// At one challenge.
    pub(crate) attempts: i32,
    /// At one target.
    pub(crate) failures_per_day: i32,
    /// Codes, and failures, of devices that the target's account knows; beside those of others.
    pub(crate) known_per_day: i32,
}

impl OtpLimits {
    /// How long a code is good.
    pub(crate) fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl_s.into())
    }
}

/// A wish for a one-time password from an address block.
pub(crate) async fn otp_from(limiter: &dyn Limiter, per_hour: u32, ip: IpAddr) -> Result<()> {
    let rule = limits_table::OTP_ADDRESS.rule_of(per_hour);
    take(limiter, rule, &block(ip)).await
}

/// A wish for a letter with a link from an address block.
pub(crate) async fn link_from(limiter: &dyn Limiter, per_hour: u32, ip: IpAddr) -> Result<()> {
    let rule = limits_table::LINK_ADDRESS.rule_of(per_hour);
    take(limiter, rule, &block(ip)).await
}

/// A wish for a letter to whoever goes by `name`, known or not.
pub(crate) async fn link_to(
    limiter: &dyn Limiter,
    per_hour: u32,
    keys: &RootKeys,
    name: &str,
) -> Result<()> {
    let key = keys.limiter_key(name);
    let rule = limits_table::LINK_TARGET.rule_of(per_hour);
    take(limiter, rule, &key).await
}

/// A login from an address block.
pub(crate) async fn login_from(limiter: &dyn Limiter, limits: &Limits, ip: IpAddr) -> Result<()> {
    let rule = limits_table::LOGIN_ADDRESS.rule(limits);
    take(limiter, rule, &block(ip)).await
}

/// A new account from an address block.
pub(crate) async fn registration_from(
    limiter: &dyn Limiter,
    limits: &Limits,
    ip: IpAddr,
) -> Result<()> {
    let rule = limits_table::REGISTRATION.rule(limits);
    take(limiter, rule, &block(ip)).await
}

/// A check of a token from an address block.
pub(crate) async fn validate_from(
    limiter: &dyn Limiter,
    limits: &Limits,
    ip: IpAddr,
) -> Result<()> {
    let rule = limits_table::VALIDATE.rule(limits);
    take(limiter, rule, &block(ip)).await
}

/// A refresh by a device.
pub(crate) async fn refresh_of(
    limiter: &dyn Limiter,
    limits: &Limits,
    device: DeviceId,
) -> Result<()> {
    let rule = limits_table::REFRESH.rule(limits);
    take(limiter, rule, &device.to_string()).await
}

/// A wish of a user to be somebody's friend.
pub(crate) async fn friend_request_of(
    limiter: &dyn Limiter,
    limits: &Limits,
    user: UserId,
) -> Result<()> {
    let rule = limits_table::FRIEND_REQUESTS.rule(limits);
    take(limiter, rule, &user.to_string()).await
}

/// A password tried for the account that goes by `name`.
///
/// The attempt is counted before the password is looked at, so parallel guesses count too.
pub(crate) async fn login_of(
    limiter: &dyn Limiter,
    limits: &Limits,
    keys: &RootKeys,
    name: &str,
) -> Result<()> {
    let burst = limits_table::LOGIN_ACCOUNT.rule(limits);
    delayed(limiter, burst, keys.limiter_key(name)).await
}

/// A password tried by a device that the account knows: what strangers tried does not count.
pub(crate) async fn login_of_device(
    limiter: &dyn Limiter,
    limits: &Limits,
    keys: &RootKeys,
    device: DeviceId,
) -> Result<()> {
    let burst = limits_table::LOGIN_KNOWN_DEVICE.rule(limits);
    // Spaces are in no name given at login, so the waits of the two cannot meet.
    let key = keys.limiter_key(&format!("known device {device}"));
    delayed(limiter, burst, key).await
}

/// Whether one more event of credential stuffing is written: an attack must not fill the outbox.
pub(crate) async fn stuffing_event(limiter: &dyn Limiter, limits: &Limits) -> bool {
    let rule = limits_table::STUFFING_EVENTS.rule(limits);
    limiter.take(rule, "all", 1).await.allowed
}

/// A second factor tried for a user. Only whoever has the first gets here, so a stranger delays
/// nobody.
pub(crate) async fn second_factor_of(
    limiter: &dyn Limiter,
    limits: &Limits,
    keys: &RootKeys,
    user: UserId,
) -> Result<()> {
    let burst = limits_table::SECOND_FACTOR.rule(limits);
    // Spaces are in no name given at login, so the waits of the two cannot meet.
    let key = keys.limiter_key(&format!("second factor {user}"));
    delayed(limiter, burst, key).await
}

/// Takes from the burst, and waits longer and longer once it is used up.
async fn delayed(limiter: &dyn Limiter, burst: Rule, key: String) -> Result<()> {
    let level = level(limiter, &key).await;
    let Some(wait) = level.checked_sub(1).and_then(|index| WAITS.get(index)) else {
        if limiter.take(burst, &key, 1).await.allowed {
            return Ok(());
        }
        // The burst is used up: from here on the waits decide.
        return Err(refused(climb(limiter, &key).await));
    };
    let verdict = limiter.take(*wait, &key, 1).await;
    if !verdict.allowed {
        return Err(Error::RateLimited {
            limit: wait.name,
            retry_after: verdict.retry_after,
        });
    }
    climb(limiter, &key).await;
    Ok(())
}

/// How many levels the account has climbed, from 0 to 6.
async fn level(limiter: &dyn Limiter, key: &str) -> usize {
    let left = limiter.take(LEVEL, key, 0).await.remaining;
    usize::try_from(LEVEL.burst.saturating_sub(left)).unwrap_or(WAITS.len())
}

/// Climbs one level, or stays at the top, and begins the wait of the level reached.
async fn climb(limiter: &dyn Limiter, key: &str) -> Rule {
    // At the top there is no token left; the longest wait goes on.
    limiter.take(LEVEL, key, 1).await;
    let reached = level(limiter, key).await.clamp(1, WAITS.len());
    let wait = WAITS.get(reached - 1).copied().unwrap_or(LEVEL);
    limiter.take(wait, key, 1).await;
    wait
}

fn refused(wait: Rule) -> Error {
    Error::RateLimited {
        limit: wait.name,
        retry_after: wait.per,
    }
}

async fn take(limiter: &dyn Limiter, rule: Rule, key: &str) -> Result<()> {
    let verdict = limiter.take(rule, key, 1).await;
    if verdict.allowed {
        Ok(())
    } else {
        Err(Error::RateLimited {
            limit: rule.name,
            retry_after: verdict.retry_after,
        })
    }
}

/// The neighbourhood an address stands for: /24, or /64 of IPv6, which one customer gets whole.
pub(crate) fn block(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        let block = |text: &str| block(text.parse().unwrap());
        assert_eq!(block("203.0.113.7"), block("203.0.113.250"));
        assert_ne!(block("203.0.113.7"), block("203.0.114.7"));
        assert_eq!(block("::ffff:203.0.113.7"), block("203.0.113.1"));
        assert_eq!(block("2001:db8:1:2::1"), block("2001:db8:1:2:ffff::9"));
        assert_ne!(block("2001:db8:1:2::1"), block("2001:db8:1:3::1"));
    }

    #[tokio::test]
    async fn every_limit_refuses_one_too_many_and_says_until_when() {
        let clock = kernel::ManualClock::new(jiff::Timestamp::UNIX_EPOCH);
        let limiter = infra::limiter::LocalLimiter::new(clock, 1_000);
        let limits = Limits::default();
        for limit in limits_table::LIMITS {
            assert!(limit.then.contains("429") || limit.then.len() > 10);
            if limit.counted != limits_table::Counted::Limiter {
                continue;
            }
            let rule = limit.rule(&limits);
            for _ in 0..rule.burst {
                take(&*limiter, rule, "somebody").await.unwrap();
            }
            let error = take(&*limiter, rule, "somebody").await.unwrap_err();
            let failure = kernel::Failure::from(error);
            let wait = failure.retry_after.unwrap();
            assert_eq!(failure.row.code, "RATE_LIMITED", "{}", limit.name);
            assert!(wait > Duration::ZERO && wait <= limit.per, "{}", limit.name);
            take(&*limiter, rule, "somebody else").await.unwrap();
        }
        for wait in WAITS {
            let failure = kernel::Failure::from(refused(wait));
            assert_eq!(failure.retry_after, Some(wait.per));
        }
    }

    #[test]
    fn names_of_limits_are_unique_and_figures_are_those_in_force() {
        let mut names: Vec<&str> = limits_table::LIMITS
            .iter()
            .map(|limit| limit.name)
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), limits_table::LIMITS.len());
        let most = |name: &str| {
            let limit = limits_table::LIMITS.iter().find(|limit| limit.name == name);
            limit.unwrap().rule(&Limits::default())
        };
        let failures = most("otp_failures").burst;
        assert_eq!(i32::try_from(failures).unwrap(), OTP.failures_per_day);
        let lookups = most("phone_lookups").burst;
        assert_eq!(i32::try_from(lookups).unwrap(), crate::LOOKUPS_PER_DAY);
        let stuffing = most("login_stuffing");
        let pairs = usize::try_from(stuffing.burst).unwrap();
        assert_eq!(pairs, crate::stuffing::NETWORK_PAIRS);
        assert_eq!(stuffing.per, crate::stuffing::WINDOW.unsigned_abs());
    }
}
