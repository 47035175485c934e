//! What test credentials stand for that no verifier can judge by itself: one memory for the whole
//! process, as the contexts that issue them would answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::digest::sha256;
use kernel::{Caller, DeviceId, Failure, PlatformRole, SystemRng, UserId};
use web_kit::{Meta, OpaqueTokens};

static MEMORY: Mutex<Option<Memory>> = Mutex::new(None);

#[derive(Default)]
struct Memory {
    bots: HashMap<[u8; 32], Caller>,
    keys: HashMap<[u8; 32], Caller>,
    cookies: HashMap<[u8; 32], String>,
    tickets: HashMap<[u8; 32], String>,
    roles: HashMap<UserId, Vec<PlatformRole>>,
}

fn memory<T>(work: impl FnOnce(&mut Memory) -> T) -> T {
    let mut memory: MutexGuard<'_, _> = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    work(memory.get_or_insert_default())
}

/// Returns a bot's token, known to every [`crate::http::verifier`] of this process.
pub fn bot_token(bot: UserId) -> String {
    let token = format!(
        "{}.AAAA.test-secret-of-a-bot-{bot}",
        URL_SAFE_NO_PAD.encode(bot.to_string())
    );
    memory(|memory| {
        memory
            .bots
            .insert(sha256(token.as_bytes()), Caller::bot(bot))
    });
    token
}

/// Returns a new API key that stands for `caller`, known likewise.
pub fn api_key(caller: &Caller) -> String {
    let key = kernel::api_key::make(&SystemRng);
    memory(|memory| memory.keys.insert(sha256(key.as_bytes()), caller.clone()));
    key
}

/// Returns the value of a new session cookie of `caller`, known likewise.
///
/// # Errors
///
/// When the test key cannot sign.
pub fn cookie(caller: &Caller) -> Result<String> {
    let cookie = kernel::rng::token::<32>(&SystemRng);
    let access = crate::http::access_token(caller)?;
    memory(|memory| memory.cookies.insert(sha256(cookie.as_bytes()), access));
    Ok(cookie)
}

/// Returns a new WebSocket ticket of `caller`, good for one use.
///
/// # Errors
///
/// As for [`cookie`].
pub fn ticket(caller: &Caller) -> Result<String> {
    let ticket = format!("myd_wt_{}", kernel::rng::token::<32>(&SystemRng));
    let access = crate::http::access_token(caller)?;
    memory(|memory| memory.tickets.insert(sha256(ticket.as_bytes()), access));
    Ok(ticket)
}

/// Sets the platform roles of a user.
pub fn grant(user: UserId, roles: &[PlatformRole]) {
    memory(|memory| memory.roles.insert(user, roles.to_vec()));
}

pub(crate) struct TestIssuers;

#[async_trait]
impl OpaqueTokens for TestIssuers {
    async fn resolve_bot(&self, sha256: [u8; 32]) -> Result<Option<Caller>, Failure> {
        Ok(memory(|memory| memory.bots.get(&sha256).cloned()))
    }

    async fn resolve_api_key(&self, sha256: [u8; 32]) -> Result<Option<Caller>, Failure> {
        Ok(memory(|memory| memory.keys.get(&sha256).cloned()))
    }

    async fn access_for_cookie(
        &self,
        sha256: [u8; 32],
        _: &Meta,
    ) -> Result<Option<String>, Failure> {
        Ok(memory(|memory| memory.cookies.get(&sha256).cloned()))
    }

    async fn take_ticket(&self, sha256: [u8; 32]) -> Result<Option<String>, Failure> {
        Ok(memory(|memory| memory.tickets.remove(&sha256)))
    }

    async fn roles(&self, user: UserId) -> Result<Vec<PlatformRole>, Failure> {
        Ok(memory(|memory| {
            memory.roles.get(&user).cloned().unwrap_or_default()
        }))
    }

    async fn ways_to_step_up(&self, _: UserId) -> Result<Vec<&'static str>, Failure> {
        Ok(vec!["password"])
    }

    async fn device_is_live(&self, _: DeviceId) -> Result<bool, Failure> {
        Ok(true)
    }
}
