//! What other contexts ask of this one.

use async_trait::async_trait;
use contracts::applications::BotIdentity;
use kernel::Failure;

use crate::model::flags_of;
use crate::{Applications, sql};

#[async_trait]
impl contracts::Applications for Applications {
    async fn resolve_token(&self, token_sha256: [u8; 32]) -> Result<Option<BotIdentity>, Failure> {
        let row = sql::applications::resolve_token(&self.db, &token_sha256).await?;
        Ok(row.map(|row| {
            let granted_intents = u64::try_from(row.intents).unwrap_or(0);
            BotIdentity {
                application: row.id,
                bot: row.id.cast(),
                granted_intents,
                flags: flags_of(granted_intents),
            }
        }))
    }
}
