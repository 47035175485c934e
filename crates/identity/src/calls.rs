//! What other contexts and every node ask of us.

use async_trait::async_trait;
use contracts::Relations;
use contracts::identity::{Credentials, From, Identity as Calls, Revocation, SigningKey, User};
use contracts::relations::{Circle, Consent, Relation, Visible};
use jiff::Timestamp;
use kernel::failure::INVALID_REQUEST;
use kernel::{Caller, DeviceId, Failure, FieldError, PlatformRole, UserId};

use crate::Identity;
use crate::sql;

/// Most users asked for at once.
pub const MAX_USERS: usize = 500;

#[async_trait]
impl Calls for Identity {
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, Failure> {
        at_most(ids)?;
        Ok(self.chat_users(ids).await?)
    }

    async fn create_bot(&self, owner: UserId, name: &str) -> Result<User, Failure> {
        Ok(self.make_bot(owner, name).await?)
    }

    async fn retire_bot(&self, bot: UserId) -> Result<(), Failure> {
        Ok(self.disable_bot(bot).await?)
    }

    async fn roles(&self, user: UserId) -> Result<Vec<PlatformRole>, Failure> {
        let words = sql::people::list_roles(&self.db, user).await?;
        let role = |word: &String| PlatformRole::from_word(word);
        Ok(words.iter().filter_map(role).collect())
    }
}

#[async_trait]
impl Relations for Identity {
    async fn between(&self, user: UserId, ids: &[UserId]) -> Result<Vec<Relation>, Failure> {
        at_most(ids)?;
        Ok(self.between_users(user, ids).await?)
    }

    async fn circle(&self, user: UserId) -> Result<Circle, Failure> {
        Ok(self.circle_of(user).await?)
    }

    async fn may_write(&self, from: UserId, to: UserId) -> Result<Consent, Failure> {
        Ok(self.consent_of(from, to).await?)
    }

    async fn visible(&self, viewer: UserId, ids: &[UserId]) -> Result<Vec<Visible>, Failure> {
        at_most(ids)?;
        Ok(self.visible_to(viewer, ids).await?)
    }
}

fn at_most(ids: &[UserId]) -> Result<(), Failure> {
    if ids.len() <= MAX_USERS {
        return Ok(());
    }
    let error = FieldError::new("/ids", "TOO_MANY", format!("at most {MAX_USERS}"));
    Err(INVALID_REQUEST.fail().field(error))
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

    async fn resolve_api_key(&self, sha256: [u8; 32]) -> Result<Option<Caller>, Failure> {
        Ok(self.resolve_key(sha256).await?)
    }

    async fn access_for_cookie(
        &self,
        sha256: [u8; 32],
        from: &From,
    ) -> Result<Option<String>, Failure> {
        Ok(self.access_behind(sha256, from).await?)
    }

    async fn ways_to_step_up(&self, user: UserId) -> Result<Vec<&'static str>, Failure> {
        Ok(Identity::ways_to_step_up(self, user).await?)
    }

    async fn take_ticket(&self, sha256: [u8; 32]) -> Result<Option<String>, Failure> {
        Ok(self.redeem_ticket(sha256).await?)
    }
}
