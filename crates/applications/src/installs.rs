//! Installs: an application's bot in a community.

use contracts::communities::Snapshot;
use kernel::perm::{Chat, Permissions, Standing, base};
use kernel::{ApplicationId, Caller, CommunityId, Failure, RoleId, UserId};
use serde_json::json;

use crate::error::{Error, Result};
use crate::events;
use crate::model::{ApplicationRow, Install, InstallRow, PutInstall};
use crate::{Applications, SCHEMA, sql};

/// The dialect's number for "no such member": the bot is out already.
const MEMBER_UNKNOWN: u32 = 10007;
/// The dialect's number for "no such community": it is gone, and with it the bot.
const COMMUNITY_UNKNOWN: u32 = 10004;
/// Communities one step of a deletion leaves.
const STEP: i64 = 200;

impl Applications {
    /// An application that the caller may install: a public one or an own one.
    async fn installable(&self, caller: &Caller, id: ApplicationId) -> Result<ApplicationRow> {
        if caller.is_bot() {
            return Err(Error::PeopleOnly);
        }
        sql::applications::find_application(&self.db, id)
            .await?
            .filter(|row| row.bot_public || row.owner_id == caller.user)
            .ok_or(Error::UnknownApplication)
    }

    /// The same, or one that is installed there: who manages the community can look at it and take
    /// it out though its owner keeps it private.
    async fn present(
        &self,
        caller: &Caller,
        id: ApplicationId,
        community: CommunityId,
    ) -> Result<()> {
        match self.installable(caller, id).await {
            Err(Error::UnknownApplication) => {
                let installed = sql::applications::find_install(&self.db, id, community).await?;
                installed.map(drop).ok_or(Error::UnknownApplication)
            }
            other => other.map(drop),
        }
    }

    /// Where and how an application is installed: MANAGE_GUILD there.
    pub async fn install(
        &self,
        caller: &Caller,
        id: ApplicationId,
        community: CommunityId,
    ) -> Result<Install> {
        self.present(caller, id, community).await?;
        self.check_manager(caller, community).await?;
        let row = sql::applications::find_install(&self.db, id, community)
            .await?
            .ok_or(Error::UnknownInstall)?;
        Ok(row.object())
    }

    async fn check_manager(&self, caller: &Caller, community: CommunityId) -> Result<()> {
        if self
            .base_rights(caller.user, community)
            .await?
            .has(Chat::MANAGE_GUILD)
        {
            Ok(())
        } else {
            Err(Error::MayNotManage)
        }
    }

    /// What a user may do in a community, before any channel speaks.
    pub(crate) async fn base_rights(&self, user: UserId, community: CommunityId) -> Result<Chat> {
        let found = self.communities.snapshots(&[community], user).await?;
        let snapshot = found.first().ok_or(Error::UnknownCommunity)?;
        Ok(rights_in(snapshot, user))
    }

    /// Installs an application or changes its rights. Repeatable: the bot comes first, then the
    /// row, so that a broken attempt is mended by the next.
    pub async fn put_install(
        &self,
        caller: &Caller,
        id: ApplicationId,
        community: CommunityId,
        put: PutInstall,
    ) -> Result<Install> {
        let application = self.installable(caller, id).await?;
        let bot = application.bot();
        self.communities
            .install_bot(caller, community, bot, put.permissions)
            .await?;
        let row = InstallRow {
            application_id: id,
            community_id: community,
            permissions: put.permissions.to_stored(),
            installer_id: caller.user,
            installed_at: self.clock.now(),
        };
        let tx = self.db.begin().await?;
        let Some(row) = sql::applications::put_install(&tx, &row).await? else {
            // Deleted meanwhile, perhaps after its bot had left everywhere.
            tx.rollback().await?;
            self.leave(id, community).await?;
            return Err(Error::UnknownApplication);
        };
        let data = json!({ "application_id": id, "community_id": community, "permissions": put.permissions });
        let event = self.event(events::INSTALLED, caller.user, id, data)?;
        db::outbox::append(&tx, SCHEMA, &[event]).await?;
        tx.commit().await?;
        Ok(row.object())
    }

    /// Takes an application out of a community: MANAGE_GUILD there.
    pub async fn delete_install(
        &self,
        caller: &Caller,
        id: ApplicationId,
        community: CommunityId,
    ) -> Result<()> {
        self.present(caller, id, community).await?;
        let bot = id.cast();
        let left = self.communities.uninstall_bot(caller, community, bot).await;
        // Who got here may manage the community; the bot may have been kicked before.
        gone(left, &[MEMBER_UNKNOWN])?;
        let tx = self.db.begin().await?;
        if sql::applications::delete_install(&tx, id, community).await? == 0 {
            return Err(Error::UnknownInstall);
        }
        let data = json!({ "application_id": id, "community_id": community });
        let event = self.event(events::UNINSTALLED, caller.user, id, data)?;
        db::outbox::append(&tx, SCHEMA, &[event]).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The bot leaves a community by itself.
    async fn leave(&self, id: ApplicationId, community: CommunityId) -> Result<()> {
        let bot = Caller::bot(id.cast());
        let left = self
            .communities
            .uninstall_bot(&bot, community, bot.user)
            .await;
        gone(left, &[MEMBER_UNKNOWN, COMMUNITY_UNKNOWN])
    }

    /// Takes the bot of a deleted application out everywhere and disables its account. Repeatable.
    pub(crate) async fn finish_deletion(&self, id: ApplicationId) -> Result<()> {
        loop {
            let communities = sql::applications::list_installs(&self.db, id, STEP).await?;
            if communities.is_empty() {
                break;
            }
            for community in communities {
                self.leave(id, community).await?;
                sql::applications::delete_install(&self.db, id, community).await?;
            }
        }
        self.identity.retire_bot(id.cast()).await?;
        sql::applications::retire_application(&self.db, id, self.clock.now()).await?;
        Ok(())
    }
}

/// What a member may do in a community, before any channel speaks.
pub(crate) fn rights_in(snapshot: &Snapshot, user: UserId) -> Chat {
    let community = snapshot.guild.id;
    let everyone: RoleId = community.cast();
    let rights = |wanted: &dyn Fn(RoleId) -> bool| -> Vec<(RoleId, Permissions)> {
        let roles = snapshot.guild.roles.iter();
        roles
            .filter(|role| wanted(role.id))
            .map(|role| (role.id, role.rights()))
            .collect()
    };
    let own = rights(&|id| snapshot.own.roles.contains(&id));
    let standing = Standing {
        community,
        user,
        owner: snapshot.guild.owner_id == user,
        everyone: rights(&|id| id == everyone)
            .first()
            .map_or(Permissions::NONE, |(_, bits)| *bits),
        roles: &own,
        timed_out: false,
    };
    base(&standing).chat
}

/// What is gone already need not be removed.
fn gone(left: std::result::Result<(), Failure>, numbers: &[u32]) -> Result<()> {
    match left {
        Err(failure) if !numbers.contains(&failure.row.dialect) => Err(failure.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
