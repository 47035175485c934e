//! What others ask of applications.

use async_trait::async_trait;
use kernel::{ApplicationId, Failure, UserId};

/// What a bot token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BotIdentity {
    /// The application.
    pub application: ApplicationId,
    /// Its bot user.
    pub bot: UserId,
    /// Privileged intents it was granted, as gateway bits.
    pub granted_intents: u64,
    /// The dialect's application flags.
    pub flags: u32,
}

/// Applications, as other contexts need them.
#[async_trait]
pub trait Applications: Send + Sync + 'static {
    /// The bot a token belongs to, by the token's SHA-256; none for unknown or rotated tokens.
    async fn resolve_token(&self, token_sha256: [u8; 32]) -> Result<Option<BotIdentity>, Failure>;
}
