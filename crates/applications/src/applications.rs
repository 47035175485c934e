//! Applications themselves: make, read, change, delete, and their tokens.

use std::collections::HashMap;

use contracts::identity::User;
use kernel::{ApplicationId, Caller, UserId};
use serde_json::json;

use crate::error::{Error, Result};
use crate::events;
use crate::keys::{KEK_ID, sha256, token};
use crate::model::{
    Application, ApplicationRow, CreateApplication, DEFAULT_INTENTS, NewToken, NewlyMade,
    UpdateApplication,
};
use crate::{Applications, SCHEMA, sql};

impl Applications {
    /// Makes an application with its bot. The answer holds a secret, so nothing is kept of it and
    /// an idempotency key has no effect.
    pub async fn create_application(
        &self,
        caller: &Caller,
        new: CreateApplication,
    ) -> Result<NewlyMade> {
        people_only(caller)?;
        let (name, description) = new.checked()?;
        // Asked again under a lock; here it saves making an account in vain.
        self.check_room(&self.db, caller.user).await?;
        let bot = self.identity.create_bot(caller.user, &name).await?;
        match self.insert(caller.user, &bot, name, description).await {
            Ok((row, token)) => {
                let application = self.object(row).await?;
                Ok(NewlyMade { application, token })
            }
            Err(error) => {
                // The account would be nobody's.
                if let Err(failure) = self.identity.retire_bot(bot.id).await {
                    tracing::warn!(user.id = bot.id.get(), %failure, "a bot without application stays");
                }
                Err(error)
            }
        }
    }

    async fn check_room(&self, source: impl db::Source, owner: UserId) -> Result<()> {
        let most = self.settings.applications_per_user;
        if sql::applications::count_applications(source, owner).await? >= most {
            return Err(Error::TooManyApplications(most));
        }
        Ok(())
    }

    async fn insert(
        &self,
        owner: UserId,
        bot: &User,
        name: String,
        description: String,
    ) -> Result<(ApplicationRow, String)> {
        let id: ApplicationId = bot.id.cast();
        let key = self.settings.keys.make(&*self.rng, id)?;
        let at = self.clock.now();
        let token = token(&*self.rng, bot.id, at);
        let row = ApplicationRow {
            id,
            owner_id: owner,
            name,
            icon: None,
            description,
            bot_public: true,
            require_code_grant: false,
            intents: i64::try_from(DEFAULT_INTENTS).unwrap_or(0),
            verify_key: key.public,
            communities: 0,
        };
        let tx = self.db.begin().await?;
        sql::applications::lock_owner(&tx, owner).await?;
        self.check_room(&tx, owner).await?;
        let wrapped = sql::applications::Wrapped {
            key: &key.wrapped,
            kek: KEK_ID,
            at,
        };
        sql::applications::insert_application(&tx, &row, wrapped).await?;
        sql::applications::put_token(&tx, id, &sha256(&token), at).await?;
        let data = json!({ "application_id": id, "owner_id": owner });
        let event = self.event(events::APPLICATION_CREATED, owner, id, data)?;
        db::outbox::append(&tx, SCHEMA, &[event]).await?;
        tx.commit().await?;
        Ok((row, token))
    }

    /// The caller's applications.
    pub async fn list_applications(&self, caller: &Caller) -> Result<Vec<Application>> {
        people_only(caller)?;
        let limit = self.settings.applications_per_user;
        let rows = sql::applications::list_applications(&self.db, caller.user, limit).await?;
        let mut ids: Vec<UserId> = rows.iter().map(ApplicationRow::bot).collect();
        ids.push(caller.user);
        let users = self.users(&ids).await?;
        Ok(rows.iter().map(|row| with_users(row, &users)).collect())
    }

    /// One of the caller's applications.
    pub async fn application(&self, caller: &Caller, id: ApplicationId) -> Result<Application> {
        let row = self.own(caller, id).await?;
        self.object(row).await
    }

    /// The application a bot belongs to.
    pub async fn application_of_bot(&self, caller: &Caller) -> Result<Application> {
        if !caller.is_bot() {
            return Err(Error::BotsOnly);
        }
        let row = sql::applications::find_application(&self.db, caller.user.cast())
            .await?
            .ok_or(Error::UnknownApplication)?;
        self.object(row).await
    }

    /// Changes one of the caller's applications.
    pub async fn update_application(
        &self,
        caller: &Caller,
        id: ApplicationId,
        patch: UpdateApplication,
    ) -> Result<Application> {
        people_only(caller)?;
        let tx = self.db.begin().await?;
        let before = self.lock(&tx, caller, id).await?;
        let after = patch.apply(before.clone())?;
        if after != before {
            sql::applications::update_application(&tx, &after).await?;
            let data = json!({ "application_id": id, "intents": after.granted() });
            let event = self.event(events::APPLICATION_UPDATED, caller.user, id, data)?;
            db::outbox::append(&tx, SCHEMA, &[event]).await?;
        }
        tx.commit().await?;
        self.object(after).await
    }

    /// Replaces the token; what was connected with the old one is told to go.
    pub async fn reset_token(&self, caller: &Caller, id: ApplicationId) -> Result<NewToken> {
        people_only(caller)?;
        let token = token(&*self.rng, id.cast(), self.clock.now());
        let tx = self.db.begin().await?;
        self.lock(&tx, caller, id).await?;
        sql::applications::put_token(&tx, id, &sha256(&token), self.clock.now()).await?;
        let data = json!({ "application_id": id });
        let event = self.event(events::TOKEN_RESET, caller.user, id, data)?;
        db::outbox::append(&tx, SCHEMA, &[event]).await?;
        tx.commit().await?;
        self.publish_revoked(id.cast()).await;
        Ok(NewToken { token })
    }

    /// Deletes an application: its token is void at once, its bot leaves all communities.
    pub async fn delete_application(&self, caller: &Caller, id: ApplicationId) -> Result<()> {
        people_only(caller)?;
        let tx = self.db.begin().await?;
        self.lock(&tx, caller, id).await?;
        sql::applications::delete_application(&tx, caller.user, id, self.clock.now()).await?;
        sql::applications::delete_token(&tx, id).await?;
        sql::subscriptions::delete_subscriptions_of_application(&tx, id).await?;
        let data = json!({ "application_id": id });
        let event = self.event(events::APPLICATION_DELETED, caller.user, id, data)?;
        db::outbox::append(&tx, SCHEMA, &[event]).await?;
        tx.commit().await?;
        self.publish_revoked(id.cast()).await;
        if let Err(error) = self.finish_deletion(id).await {
            tracing::warn!(application.id = id.get(), %error, "a job will take the bot out");
        }
        Ok(())
    }

    /// Signs a message with the application's key, as interactions sent to an address are.
    pub async fn sign(&self, id: ApplicationId, message: &[u8]) -> Result<Vec<u8>> {
        let row = sql::applications::find_signing_key(&self.db, id)
            .await?
            .ok_or(Error::UnknownApplication)?;
        let keys = &self.settings.keys;
        Ok(keys.sign(id, &row.signing_kek, &row.signing_key_enc, message)?)
    }

    /// One of the caller's applications; others do not exist.
    pub(crate) async fn own(&self, caller: &Caller, id: ApplicationId) -> Result<ApplicationRow> {
        people_only(caller)?;
        sql::applications::find_application(&self.db, id)
            .await?
            .filter(|row| row.owner_id == caller.user)
            .ok_or(Error::UnknownApplication)
    }

    /// The same, with the lock of its row.
    async fn lock(
        &self,
        tx: &db::Tx,
        caller: &Caller,
        id: ApplicationId,
    ) -> Result<ApplicationRow> {
        if !sql::applications::lock_application(tx, caller.user, id).await? {
            return Err(Error::UnknownApplication);
        }
        sql::applications::find_application(tx, id)
            .await?
            .ok_or(Error::UnknownApplication)
    }

    async fn object(&self, row: ApplicationRow) -> Result<Application> {
        let users = self.users(&[row.owner_id, row.bot()]).await?;
        Ok(with_users(&row, &users))
    }

    pub(crate) async fn users(&self, ids: &[UserId]) -> Result<HashMap<UserId, User>> {
        let users = self.identity.users(ids).await?;
        Ok(users.into_iter().map(|user| (user.id, user)).collect())
    }
}

fn with_users(row: &ApplicationRow, users: &HashMap<UserId, User>) -> Application {
    let user = |id: UserId| users.get(&id).cloned().unwrap_or_else(|| User::unknown(id));
    row.object(user(row.owner_id), user(row.bot()))
}

fn people_only(caller: &Caller) -> Result<()> {
    if caller.is_bot() {
        return Err(Error::PeopleOnly);
    }
    Ok(())
}
