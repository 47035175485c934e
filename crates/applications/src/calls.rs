//! What others may ask of us.

use async_trait::async_trait;
use contracts::applications::BotIdentity;
use kernel::Failure;

use crate::model::PRIVILEGED;
use crate::{Applications, Error, sql};

#[async_trait]
impl contracts::Applications for Applications {
    async fn resolve_token(&self, token_sha256: [u8; 32]) -> Result<Option<BotIdentity>, Failure> {
        let found = sql::find_by_token(&self.db, &token_sha256)
            .await
            .map_err(Error::from)?;
        Ok(found.map(|row| BotIdentity {
            application: row.id,
            bot: row.bot(),
            granted_intents: u64::try_from(row.granted_intents & PRIVILEGED).unwrap_or(0),
            flags: row.flags(),
        }))
    }
}
