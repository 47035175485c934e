//! Bot tokens in a map.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use contracts::Applications;
use contracts::applications::BotIdentity;
use kernel::failure::UNAVAILABLE;
use kernel::{Failure, UserId};

/// [`Applications`] over a map of token hashes.
#[derive(Debug, Default)]
pub struct FakeApplications {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tokens: HashMap<[u8; 32], BotIdentity>,
    away: bool,
}

impl FakeApplications {
    /// Knows no token.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Lets `token` stand for a bot. Its application bears the bot's id.
    pub fn add(&self, token: &str, bot: UserId, granted_intents: u64) -> BotIdentity {
        let identity = BotIdentity {
            application: bot.cast(),
            bot,
            granted_intents,
            flags: 0,
        };
        self.lock().tokens.insert(sha256(token), identity);
        identity
    }

    /// Makes every token of a bot void.
    pub fn revoke(&self, bot: UserId) {
        self.lock().tokens.retain(|_, identity| identity.bot != bot);
    }

    /// From now on every call fails as if applications were away.
    pub fn leave(&self) {
        self.lock().away = true;
    }

    /// Calls work again.
    pub fn come_back(&self) {
        self.lock().away = false;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sha256(token: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

#[async_trait]
impl Applications for FakeApplications {
    async fn resolve_token(&self, token_sha256: [u8; 32]) -> Result<Option<BotIdentity>, Failure> {
        let state = self.lock();
        if state.away {
            return Err(UNAVAILABLE.fail());
        }
        Ok(state.tokens.get(&token_sha256).copied())
    }
}
