//! What other contexts and every node ask of us.

use async_trait::async_trait;
use contracts::identity::{Credentials, Identity as Calls, Revocation, SigningKey, User};
use jiff::Timestamp;
use kernel::failure::INVALID_REQUEST;
use kernel::{DeviceId, Failure, FieldError, UserId};

use crate::Identity;
use crate::sql;

/// Most users asked for at once.
pub const MAX_USERS: usize = 500;

#[async_trait]
impl Calls for Identity {
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, Failure> {
        if ids.len() > MAX_USERS {
            let error = FieldError::new("/ids", "TOO_MANY", format!("at most {MAX_USERS}"));
            return Err(INVALID_REQUEST.fail().field(error));
        }
        Ok(self.chat_users(ids).await?)
    }

    async fn create_bot(&self, owner: UserId, name: &str) -> Result<User, Failure> {
        Ok(self.make_bot(owner, name).await?)
    }

    async fn retire_bot(&self, bot: UserId) -> Result<(), Failure> {
        Ok(self.disable_bot(bot).await?)
    }
}

#[async_trait]
impl Credentials for Identity {
    async fn keys(&self) -> Result<Vec<SigningKey>, Failure> {
        let set = self.keys.set().await?;
        Ok(set
            .all()
            .iter()
            .map(|key| SigningKey {
                kid: key.kid.clone(),
                public: key.public,
            })
            .collect())
    }

    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<Revocation>, Failure> {
        let rows = sql::devices::revoked_since(&self.db, since).await?;
        Ok(rows
            .into_iter()
            .map(|row| Revocation {
                device: row.id,
                at: row.revoked_at,
            })
            .collect())
    }

    async fn device_is_live(&self, device: DeviceId) -> Result<bool, Failure> {
        Ok(sql::devices::find_live(&self.db, device).await?.is_some())
    }
}
