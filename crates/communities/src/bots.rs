//! Bots come and go with a role of their own. Applications ask for it.

use contracts::communities::Guild;
use contracts::identity::User;
use kernel::perm::{Chat, Permissions};
use kernel::{Caller, CommunityId, UserId};

use crate::Communities;
use crate::change::{Action, Change, Reason};
use crate::error::{Error, Result};
use crate::model::{MemberRow, ROLE_MANAGED, RoleRow, guild_object};
use crate::rights::check_held;
use crate::sql::{bans, communities, members};

impl Communities {
    /// Adds a bot with a managed role, or changes the rights of that role.
    pub(crate) async fn add_bot(
        &self,
        caller: &Caller,
        community: CommunityId,
        bot: UserId,
        permissions: Chat,
    ) -> Result<Guild> {
        let card = self.user(bot).await?.filter(|user| user.bot);
        let card = card.ok_or(Error::UnknownUser)?;
        let tx = self.db.begin().await?;
        // Before the community's lock, as for people; whether a seat is needed shows afterwards.
        communities::lock_user(&tx, bot).await?;
        let seats = communities::count_memberships(&tx, bot).await?;
        let mut change = Change::open(self, tx, caller.user, community, Reason::default()).await?;
        change.require(Chat::MANAGE_GUILD)?;
        let held = change.base()?;
        match members::find_member(&change.tx, community, bot).await? {
            Some(_) => update_bot(&mut change, bot, permissions, held).await?,
            None if seats >= self.limits.communities_per_user => {
                return Err(Error::TooManyCommunities(self.limits.communities_per_user));
            }
            None => {
                self.insert_bot(&mut change, &card, permissions, held)
                    .await?
            }
        }
        let roles = crate::sql::roles::list_roles(&change.tx, &[community]).await?;
        let emojis = crate::sql::emojis::list_emojis(&change.tx, &[community]).await?;
        let guild = guild_object(&change.community, &roles, &emojis);
        change.finish().await?;
        Ok(guild)
    }

    async fn insert_bot(
        &self,
        change: &mut Change<'_>,
        card: &User,
        permissions: Chat,
        held: Permissions,
    ) -> Result<()> {
        let community = change.community.id;
        check_held(held, Permissions::NONE, permissions.into())?;
        if bans::find_ban(&change.tx, community, card.id)
            .await?
            .is_some()
        {
            return Err(Error::Banned);
        }
        let most = self.limits.roles;
        if change.rights.roles.len() >= most {
            return Err(Error::TooManyRoles(most));
        }
        let role = RoleRow {
            id: self.ids.next()?,
            community_id: community,
            name: card.username.clone(),
            position: 1,
            colour: 0,
            flags: ROLE_MANAGED,
            chat: permissions.to_stored(),
            trade: 0,
            bot_id: Some(card.id),
        };
        crate::roles::insert(change, &role).await?;
        let role_ids = vec![role.id];
        let member = MemberRow {
            community_id: community,
            user_id: card.id,
            nick: None,
            class: crate::members::class_of(change, &role_ids).await?,
            flags: 0,
            timeout_until: None,
            quarantined_roles: None,
            joined_at: change.at,
            role_ids,
        };
        crate::members::insert(change, &member, card).await?;
        change.audit(Action::BotAdd, card.id, None)
    }

    /// Takes a bot out: MANAGE_GUILD, or the bot itself.
    pub(crate) async fn remove_bot(
        &self,
        caller: &Caller,
        community: CommunityId,
        bot: UserId,
    ) -> Result<()> {
        let card = self.user_or_unknown(bot).await?;
        let mut change = Change::begin(self, caller.user, community, Reason::default()).await?;
        if caller.user != bot {
            change.require(Chat::MANAGE_GUILD)?;
        }
        let member = change.member(bot).await?;
        if change.rights.role_of_bot(bot).is_none() {
            // People are kicked, with another right.
            return Err(Error::UnknownMember);
        }
        crate::members::remove(&mut change, &member, &card, "uninstalled").await?;
        change.audit(Action::MemberKick, bot, None)?;
        change.finish().await
    }
}

async fn update_bot(
    change: &mut Change<'_>,
    bot: UserId,
    permissions: Chat,
    held: Permissions,
) -> Result<()> {
    let before = change
        .rights
        .role_of_bot(bot)
        .cloned()
        .ok_or(Error::UnknownMember)?;
    let wanted = Permissions {
        chat: permissions,
        ..before.rights()
    };
    check_held(held, before.rights(), wanted)?;
    let after = RoleRow {
        chat: permissions.to_stored(),
        ..before.clone()
    };
    if after == before {
        return Ok(());
    }
    crate::roles::update(change, &before, &after).await
}
