//! `verify`: what it costs to know who calls. First in this process, by the very code of the server:
//! an access token under Ed25519 and under a shared secret, and opaque tokens whose owner is
//! remembered. Then over HTTP, against a public route of the same server.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::executor::block_on;
use kernel::{Caller, Clock as _, DeviceId, Failure, ManualClock, PlatformRole, SystemClock};
use kernel::{SystemRng, UserId, api_key};
use serde::Serialize;
use serde_json::{Value, json};
use web_kit::{HS256_KID, Meta, OpaqueTokens, PublicKey, TokenVerifier};

use super::Ground;
use super::calls::Rounds;
use crate::calls::{self, Judgement};
use crate::clock::thread_cpu_ns;
use crate::http::{self, Response, Target};
use crate::jwt;
use crate::num::{count, float, ratio, round3};
use crate::report;

/// Calls under way at once.
const LANES: usize = 8;
/// Most processor time that one kind of token is measured for.
const MEASURED: Duration = Duration::from_secs(1);
/// Verifications between two looks at the clock.
const BATCH: usize = 64;
/// A route for everybody whose answer is kept in memory.
const PUBLIC: &str = "/.well-known/jwks.json";
const OWN: &str = "/v1/users/@me";

pub(super) fn run(ground: &mut Ground<'_>) -> anyhow::Result<()> {
    let token = ground.setup.sign_up()?.token;
    in_process(ground, &token)?;
    let lanes = ground.options.connections.unwrap_or(LANES);
    let mut rounds = Rounds::new(ground, lanes)?;
    let good = format!("Bearer {token}");
    let forged = format!("Bearer {}", forged(&token)?);
    let mut windows = [
        ("public route", Get::new(PUBLIC, None, 200)),
        ("own profile", Get::new(OWN, Some(good), 200)),
        ("own profile, no token", Get::new(OWN, None, 401)),
        (
            "own profile, forged token",
            Get::new(OWN, Some(forged), 401),
        ),
    ];
    for (_, get) in &mut windows {
        rounds.warm(ground, lanes, get)?;
    }
    for _ in 0..ground.options.rounds {
        rounds.begin();
        for (what, get) in &mut windows {
            let window = rounds.window(ground, (*what, lanes), get)?;
            rounds.report(ground, window)?;
        }
    }
    Ok(())
}

/// One route, again and again.
struct Get {
    path: &'static str,
    authorization: Option<String>,
    expected: u16,
}

impl Get {
    fn new(path: &'static str, authorization: Option<String>, expected: u16) -> Self {
        Get {
            path,
            authorization,
            expected,
        }
    }
}

impl calls::Caller for Get {
    fn next(&mut self, target: &Target, _lane: usize) -> Option<Vec<u8>> {
        let authorization = self.authorization.as_deref();
        Some(http::request(target, "GET", self.path, authorization, None))
    }

    fn judge(&mut self, _lane: usize, response: &Response) -> anyhow::Result<Judgement> {
        Judgement::by_status(response, self.expected)
    }
}

/// The token with another signature of the same length.
fn forged(token: &str) -> anyhow::Result<String> {
    let (signed, signature) = token
        .rsplit_once('.')
        .context("a token without signature")?;
    let mut bytes = URL_SAFE_NO_PAD.decode(signature)?;
    let first = bytes.first_mut().context("an empty signature")?;
    *first ^= 1;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// One row of the part in this process.
#[derive(Serialize)]
struct Row {
    scenario: &'static str,
    what: &'static str,
    verifications: u64,
    cpu_us: f64,
    per_cpu_s: f64,
    /// Processor time, against the first row.
    cpu_ratio: Option<f64>,
    judged: bool,
}

fn in_process(ground: &mut Ground<'_>, token: &str) -> anyhow::Result<()> {
    let claims = jwt::claims(token)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let clock = ManualClock::new(SystemClock.now());
    let verifier = || {
        let verifier = TokenVerifier::new(text("iss"), text("aud"), clock.clone());
        verifier.set_revocations_fresh(clock.now());
        verifier
    };
    let edwards = verifier();
    edwards.set_keys(keys(ground)?);
    let secret = kernel::rng::bytes::<32>(&SystemRng);
    let shared = verifier().hs256(&secret);
    let opaque = verifier().with_opaque(Arc::new(Everybody));
    let base = Duration::min(MEASURED, ground.options.window);
    let mut first_us = None;
    for (what, verifier, credential) in [
        ("EdDSA, in process", &edwards, format!("Bearer {token}")),
        ("HS256, in process", &shared, hs256(&claims, &secret)),
        (
            "bot token, remembered",
            &opaque,
            "Bot any.kind.of-text".to_owned(),
        ),
        (
            "API key, remembered",
            &opaque,
            format!("Bearer {}", api_key::make(&SystemRng)),
        ),
    ] {
        let (verifications, cpu_ns) = measure(verifier, &credential, base)?;
        let cpu_us = ratio(float(cpu_ns) / 1_000.0, float(verifications)).unwrap_or(0.0);
        let first_us = *first_us.get_or_insert(cpu_us);
        let row = Row {
            scenario: ground.scenario.name(),
            what,
            verifications,
            cpu_us: round3(cpu_us),
            per_cpu_s: ratio(1e6, cpu_us).unwrap_or(0.0).round(),
            cpu_ratio: ratio(cpu_us, first_us).map(round3),
            // A debug build measures itself.
            judged: !cfg!(debug_assertions),
        };
        report::print(&row, ground.options.output, ground.out)?;
    }
    Ok(())
}

/// Verifies for so much processor time of this thread: how often, and the time in nanoseconds.
fn measure(
    verifier: &TokenVerifier,
    credential: &str,
    budget: Duration,
) -> anyhow::Result<(u64, u64)> {
    let budget_ns = u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX);
    let verify = || block_on(verifier.verify(black_box(credential))).map(drop);
    // The first one fills the memory for opaque tokens.
    verify()?;
    let begun_ns = thread_cpu_ns();
    let mut verifications = 0;
    loop {
        for _ in 0..BATCH {
            verify()?;
        }
        verifications += count(BATCH);
        let spent_ns = thread_cpu_ns().saturating_sub(begun_ns);
        if spent_ns >= budget_ns {
            return Ok((verifications, spent_ns));
        }
    }
}

/// The server's public keys.
fn keys(ground: &mut Ground<'_>) -> anyhow::Result<Vec<PublicKey>> {
    let answer = ground.setup.get(PUBLIC)?.json();
    let keys = answer.get("keys").and_then(Value::as_array);
    let key = |key: &Value| {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let ed25519 = URL_SAFE_NO_PAD.decode(text("x")?).ok()?;
        Some(PublicKey {
            kid: text("kid")?.to_owned(),
            ed25519: ed25519.try_into().ok()?,
        })
    };
    let keys: Vec<_> = keys.into_iter().flatten().filter_map(key).collect();
    if keys.is_empty() {
        bail!("the server publishes no Ed25519 keys: does it sign with a shared secret?");
    }
    Ok(keys)
}

/// The same claims under a shared secret.
fn hs256(claims: &Value, secret: &[u8]) -> String {
    let header = json!({"alg": "HS256", "typ": "at+jwt", "kid": HS256_KID});
    let parts = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = parts.join(".");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
    format!("Bearer {signed}.{signature}")
}

/// Knows every opaque token at once, so that only the remembering is measured.
struct Everybody;

#[async_trait]
impl OpaqueTokens for Everybody {
    async fn resolve_bot(&self, _: [u8; 32]) -> Result<Option<Caller>, Failure> {
        Ok(Some(Caller::bot(UserId::new(1))))
    }

    async fn resolve_api_key(&self, _: [u8; 32]) -> Result<Option<Caller>, Failure> {
        Ok(Some(Caller::api_key(UserId::new(1), Vec::new())))
    }

    async fn access_for_cookie(&self, _: [u8; 32], _: &Meta) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    async fn take_ticket(&self, _: [u8; 32]) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    async fn roles(&self, _: UserId) -> Result<Vec<PlatformRole>, Failure> {
        Ok(Vec::new())
    }

    async fn ways_to_step_up(&self, _: UserId) -> Result<Vec<&'static str>, Failure> {
        Ok(Vec::new())
    }

    async fn device_is_live(&self, _: DeviceId) -> Result<bool, Failure> {
        Ok(true)
    }
}
