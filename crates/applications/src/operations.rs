//! Operations on applications.

use infra::fanout::{Body, Control, Record, Topic, Version};
use kernel::perm::Chat;
use kernel::{ApplicationId, Caller, CommunityId, UserId};
use serde_json::{Value, json};

use crate::error::Error;
use crate::model::{
    ApplicationObject, ApplicationRow, BotObject, Edit, GRANTED_AT_FIRST, Install, NewApplication,
    intents_of,
};
use crate::secrets::{KEY_ID, make_token};
use crate::{Applications, SCHEMA, events, sql};

impl Applications {
    /// Makes an application with its bot; the answer is the only place its token is shown.
    pub async fn create_application(
        &self,
        caller: &Caller,
        new: NewApplication,
    ) -> Result<ApplicationObject, Error> {
        people_only(caller)?;
        let (name, description) = new.check()?;
        let limit = self.settings.per_owner;
        // A cheap look first, so that no bot user is made in vain; the limit itself holds below.
        if sql::count_owned(&self.db, caller.user).await? >= limit {
            return Err(Error::TooMany(limit));
        }
        let bot = self.identity.create_bot(caller.user, &name).await?;
        let id: ApplicationId = bot.id.cast();
        let made = self
            .store_application(caller.user, id, &name, &description)
            .await;
        match made {
            Ok(token) => {
                let row = self.own(caller, id).await?;
                let object = self.show(row).await?;
                Ok(ApplicationObject {
                    token: Some(token),
                    ..object
                })
            }
            Err(error) => {
                // A bot user without an application would be nobody's.
                if let Err(failure) = self.identity.retire_bot(bot.id).await {
                    tracing::warn!(error = %failure, bot.id = %bot.id, "a bot user is left over");
                }
                Err(error)
            }
        }
    }

    async fn store_application(
        &self,
        owner: UserId,
        id: ApplicationId,
        name: &str,
        description: &str,
    ) -> Result<String, Error> {
        let now = self.clock.now();
        let (public, sealed) = self.settings.make_key(&*self.rng, id)?;
        let token = make_token(&*self.rng, id.cast(), now);
        let hash = kernel::digest::sha256(token.as_bytes());
        let limit = self.settings.per_owner;
        let tx = self.db.begin().await?;
        if !sql::raise_owned(&tx, owner, limit).await? {
            return Err(Error::TooMany(limit));
        }
        let keys = sql::Keys {
            public: &public,
            sealed: &sealed,
            key_id: KEY_ID,
        };
        let texts = (name, description);
        sql::insert_application(&tx, owner, id, texts, keys, GRANTED_AT_FIRST, now).await?;
        sql::put_token(&tx, id, &hash, now).await?;
        self.append(&tx, events::APPLICATION_CREATED, owner, id, Value::Null)
            .await?;
        tx.commit().await?;
        Ok(token)
    }

    /// The caller's applications, oldest first.
    pub async fn list_applications(
        &self,
        caller: &Caller,
    ) -> Result<Vec<ApplicationObject>, Error> {
        people_only(caller)?;
        let rows = sql::list_applications(&self.db, caller.user).await?;
        let ids: Vec<UserId> = rows
            .iter()
            .map(ApplicationRow::bot)
            .chain([caller.user])
            .collect();
        let users = self.identity.users(&ids).await?;
        Ok(rows.into_iter().map(|row| object(row, &users)).collect())
    }

    /// One of the caller's applications.
    pub async fn application(
        &self,
        caller: &Caller,
        id: ApplicationId,
    ) -> Result<ApplicationObject, Error> {
        self.show(self.own(caller, id).await?).await
    }

    /// The application the calling bot belongs to.
    pub async fn own_application(&self, caller: &Caller) -> Result<ApplicationObject, Error> {
        if !caller.is_bot() {
            return Err(Error::BotsOnly);
        }
        let row = sql::find_application(&self.db, caller.user.cast()).await?;
        self.show(row.ok_or(Error::UnknownApplication)?).await
    }

    /// Changes an application.
    pub async fn edit_application(
        &self,
        caller: &Caller,
        id: ApplicationId,
        edit: Edit,
    ) -> Result<ApplicationObject, Error> {
        people_only(caller)?;
        let edit = edit.check()?;
        let granted = edit.flags.and_then(intents_of);
        let changed = [
            ("name", edit.name.is_some()),
            ("description", edit.description.is_some()),
            ("granted_intents", granted.is_some()),
        ];
        let fields: Vec<_> = changed
            .iter()
            .filter(|(_, is)| *is)
            .map(|(name, _)| *name)
            .collect();
        let (name, description) = (edit.name.as_deref(), edit.description.as_deref());
        let tx = self.db.begin().await?;
        let row = sql::update_application(&tx, caller.user, id, name, description, granted).await?;
        let row = row.ok_or(Error::UnknownApplication)?;
        let more = json!({"fields": fields});
        self.append(&tx, events::APPLICATION_UPDATED, caller.user, id, more)
            .await?;
        tx.commit().await?;
        self.show(row).await
    }

    /// Deletes an application: its token is void, its bot leaves and is disabled.
    pub async fn delete_application(
        &self,
        caller: &Caller,
        id: ApplicationId,
    ) -> Result<(), Error> {
        people_only(caller)?;
        let installs = sql::list_installs(&self.db, id).await?;
        let tx = self.db.begin().await?;
        if !sql::delete_application(&tx, caller.user, id, self.clock.now()).await? {
            return Err(Error::UnknownApplication);
        }
        sql::delete_token(&tx, id).await?;
        sql::lower_owned(&tx, caller.user).await?;
        self.append(
            &tx,
            events::APPLICATION_DELETED,
            caller.user,
            id,
            Value::Null,
        )
        .await?;
        tx.commit().await?;
        self.cut_off(id.cast()).await;
        let bot = Caller::bot(id.cast());
        for community in installs {
            // A community that is gone, or that took the bot out itself, is as good.
            if let Err(failure) = self
                .communities
                .uninstall_bot(&bot, community, bot.user)
                .await
            {
                tracing::debug!(error = %failure, "a deleted bot was no member any more");
            }
        }
        Ok(self.identity.retire_bot(bot.user).await?)
    }

    /// Replaces the token; sockets of the old one close.
    pub async fn reset_token(&self, caller: &Caller, id: ApplicationId) -> Result<String, Error> {
        let row = self.own(caller, id).await?;
        let now = self.clock.now();
        let token = make_token(&*self.rng, row.bot(), now);
        let hash = kernel::digest::sha256(token.as_bytes());
        let tx = self.db.begin().await?;
        sql::put_token(&tx, id, &hash, now).await?;
        self.append(&tx, events::TOKEN_RESET, caller.user, id, Value::Null)
            .await?;
        tx.commit().await?;
        self.cut_off(row.bot()).await;
        Ok(token)
    }

    /// Makes the bot a member with a role of `permissions`, or changes that role. Needs
    /// MANAGE_GUILD there, which communities checks.
    pub async fn install(
        &self,
        caller: &Caller,
        id: ApplicationId,
        community: CommunityId,
        permissions: Chat,
    ) -> Result<Install, Error> {
        people_only(caller)?;
        let found = sql::find_application(&self.db, id).await?;
        let row = found.ok_or(Error::UnknownApplication)?;
        self.communities
            .install_bot(caller, community, row.bot(), permissions)
            .await?;
        let now = self.clock.now();
        let stored = permissions.to_stored();
        let tx = self.db.begin().await?;
        sql::put_install(&tx, id, community, caller.user, stored, now).await?;
        let more = json!({"community_id": community, "permissions": permissions});
        self.append(&tx, events::INSTALLED, caller.user, id, more)
            .await?;
        tx.commit().await?;
        Ok(Install {
            application_id: id,
            guild_id: community,
            permissions,
            installed_at: now,
        })
    }

    /// Where one of the caller's applications is installed.
    pub async fn find_install(
        &self,
        caller: &Caller,
        id: ApplicationId,
        community: CommunityId,
    ) -> Result<Install, Error> {
        self.own(caller, id).await?;
        let found = sql::find_install(&self.db, id, community).await?;
        let row = found.ok_or(Error::UnknownInstall)?;
        Ok(Install {
            application_id: id,
            guild_id: community,
            permissions: Chat::from_stored(row.permissions),
            installed_at: row.installed_at,
        })
    }

    /// Takes the bot out of a community. Needs MANAGE_GUILD there.
    pub async fn uninstall(
        &self,
        caller: &Caller,
        id: ApplicationId,
        community: CommunityId,
    ) -> Result<(), Error> {
        people_only(caller)?;
        let found = sql::find_application(&self.db, id).await?;
        let row = found.ok_or(Error::UnknownApplication)?;
        self.communities
            .uninstall_bot(caller, community, row.bot())
            .await?;
        let tx = self.db.begin().await?;
        if sql::delete_install(&tx, id, community).await? {
            let more = json!({"community_id": community});
            self.append(&tx, events::UNINSTALLED, caller.user, id, more)
                .await?;
        }
        Ok(tx.commit().await?)
    }

    /// The application, if the caller owns it.
    async fn own(&self, caller: &Caller, id: ApplicationId) -> Result<ApplicationRow, Error> {
        people_only(caller)?;
        let found = sql::find_own_application(&self.db, caller.user, id).await?;
        found.ok_or(Error::UnknownApplication)
    }

    async fn show(&self, row: ApplicationRow) -> Result<ApplicationObject, Error> {
        let users = self.identity.users(&[row.owner_id, row.bot()]).await?;
        Ok(object(row, &users))
    }

    async fn append(
        &self,
        tx: &db::Tx,
        kind: &str,
        actor: UserId,
        id: ApplicationId,
        more: Value,
    ) -> Result<(), Error> {
        let event = events::event(self.ids.next()?, kind, self.clock.now(), actor, id, more);
        Ok(db::outbox::append(tx, SCHEMA, &[event]).await?)
    }

    /// Ends the sockets of a bot. What the fanout loses, the verifier's short cache ends.
    async fn cut_off(&self, bot: UserId) {
        let record = Record {
            body: Body::Control(Control::BotTokenRevoked(bot)),
            community: None,
            channel: None,
            version: Version::None,
            epoch: 0,
            ephemeral: false,
        };
        if let Err(error) = self.fanout.publish(Topic::Revoked, record.into()).await {
            tracing::warn!(%error, bot.id = %bot, "sockets of a void token stay until they end");
        }
    }
}

fn people_only(caller: &Caller) -> Result<(), Error> {
    if caller.is_bot() {
        Err(Error::PeopleOnly)
    } else {
        Ok(())
    }
}

fn object(row: ApplicationRow, users: &[contracts::identity::User]) -> ApplicationObject {
    let user = |id: UserId| {
        let found = users.iter().find(|user| user.id == id).cloned();
        found.unwrap_or_else(|| contracts::identity::User::unknown(id))
    };
    let bot = row.bot();
    ApplicationObject {
        id: row.id,
        flags: row.flags(),
        verify_key: row
            .public_key
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        name: row.name,
        icon: row.icon,
        description: row.description,
        bot_public: true,
        bot_require_code_grant: false,
        owner: user(row.owner_id),
        team: None,
        bot: BotObject {
            id: bot,
            username: user(bot).username,
        },
        token: None,
    }
}
