//! Communities themselves: make, read, change, delete, leave.

use contracts::communities::{Guild, channel_kind};
use db::once::Claim;
use futures::future::try_join_all;
use infra::fanout::Control;
use kernel::perm::{Chat, Permissions};
use kernel::{Caller, CommunityId, Once, UserId};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::change::{Action, Change, Reason};
use crate::error::{Error, Result};
use crate::events::{self, CommunityGonePayload, Told, intent};
use crate::icons::Icon;
use crate::model::{
    ChannelRow, CommunityRow, CommunitySettings, OverwriteRow, RoleRow, changes, guild_object,
};
use crate::raids::RaidProtection;
use crate::requests::{CreateCommunity, TransferOwnership, UpdateCommunity};
use crate::sql::communities::NewCommunityRows;
use crate::sql::{channels, communities, emojis, roles};
use crate::{Communities, SCHEMA, discovery};

/// Name of a new community's first channel.
const FIRST_CHANNEL: &str = "general";
/// Name of everyone's role.
const EVERYONE: &str = "@everyone";
/// Status of a creation.
const CREATED: u16 = 201;

/// The answer to a creation, perhaps a repeated one.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// HTTP status of the first answer.
    pub status: u16,
    /// The first answer.
    pub body: Value,
    /// Whether the request came before.
    pub replayed: bool,
}

/// What a new community consists of besides its owner.
pub(crate) struct Blueprint {
    pub(crate) name: String,
    pub(crate) settings: CommunitySettings,
    /// Everyone's among them.
    pub(crate) roles: Vec<RoleRow>,
    pub(crate) channels: Vec<ChannelRow>,
    pub(crate) overwrites: Vec<OverwriteRow>,
}

/// A community in the list of the caller's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::CommunityCard)]
pub struct CommunityCard {
    /// The community.
    pub id: CommunityId,
    /// Name.
    pub name: String,
    /// Icon hash.
    pub icon: Option<String>,
    /// Whether the caller owns it.
    pub owner: bool,
    /// The caller's rights apart from channels.
    pub permissions: Chat,
    /// Dialect's feature names.
    pub features: Vec<String>,
}

impl Communities {
    /// Makes a community that the caller owns. Once per idempotency key.
    pub async fn create_community(
        &self,
        caller: &Caller,
        new: CreateCommunity,
        once: Option<Once>,
    ) -> Result<Made> {
        let new = new.checked()?;
        self.make(caller, once, async |_, id| {
            self.first_blueprint(id, new.name)
        })
        .await
    }

    /// A community with everyone's role and one channel.
    fn first_blueprint(&self, id: CommunityId, name: String) -> Result<Blueprint> {
        let mut everyone = RoleRow {
            id: id.cast(),
            community_id: id,
            name: EVERYONE.to_owned(),
            position: 0,
            colour: 0,
            flags: 0,
            chat: 0,
            trade: 0,
            bot_id: None,
        };
        everyone.set_rights(Permissions::DEFAULT);
        let channel = ChannelRow {
            id: self.ids.next()?,
            community_id: id,
            parent_id: None,
            kind: channel_kind::TEXT,
            position: 0,
            name: FIRST_CHANNEL.to_owned(),
            topic: None,
            nsfw: false,
            slowmode_s: 0,
            settings: json!({}),
        };
        Ok(Blueprint {
            name,
            settings: CommunitySettings::default(),
            roles: vec![everyone],
            channels: vec![channel],
            overwrites: Vec::new(),
        })
    }

    /// Makes a community from a plan, which is drawn inside the transaction.
    pub(crate) async fn make(
        &self,
        caller: &Caller,
        once: Option<Once>,
        plan: impl AsyncFnOnce(&db::Tx, CommunityId) -> Result<Blueprint>,
    ) -> Result<Made> {
        if caller.is_bot() {
            return Err(Error::PeopleOnly);
        }
        let tx = self.db.begin().await?;
        if let Some(once) = &once
            && let Claim::Replay { status, body } =
                db::once::claim(&tx, SCHEMA, caller.user, once).await?
        {
            tx.rollback().await?;
            let replayed = true;
            return Ok(Made {
                status,
                body,
                replayed,
            });
        }
        self.lock_seat(&tx, caller.user).await?;
        let id: CommunityId = self.ids.next()?;
        let blueprint = plan(&tx, id).await?;
        self.build(&tx, caller.user, id, &blueprint).await?;
        let row = communities::lock_community(&tx, id)
            .await?
            .ok_or(Error::Broken("a new community is not there"))?;
        let roles = roles::list_roles(&tx, &[id]).await?;
        let body = serde_json::to_value(guild_object(&row, &roles, &[]))?;
        if let Some(once) = &once {
            db::once::settle(&tx, SCHEMA, caller.user, once, CREATED, &body).await?;
        }
        tx.commit().await?;
        let joined = events::to_user(caller.user, id, Control::Joined(id));
        self.publisher.publish(vec![joined]).await;
        Ok(Made {
            status: CREATED,
            body,
            replayed: false,
        })
    }

    /// Writes the rows of a new community and tells other contexts.
    async fn build(
        &self,
        tx: &db::Tx,
        owner: UserId,
        id: CommunityId,
        blueprint: &Blueprint,
    ) -> Result<()> {
        let at = self.clock.now();
        let rows = NewCommunityRows {
            id,
            owner,
            name: &blueprint.name,
            settings: &blueprint.settings,
            at,
        };
        communities::insert_community(tx, rows).await?;
        try_join_all(
            blueprint
                .roles
                .iter()
                .map(|row| roles::insert_role(tx, row)),
        )
        .await?;
        let channel_rows = blueprint.channels.iter();
        try_join_all(channel_rows.map(|row| channels::insert_channel(tx, row))).await?;
        let of_channel = |row: &ChannelRow| -> Vec<OverwriteRow> {
            let all = blueprint.overwrites.iter().copied();
            all.filter(|one| one.channel_id == row.id).collect()
        };
        for row in &blueprint.channels {
            let overwrites = of_channel(row);
            if !overwrites.is_empty() {
                channels::put_overwrites(tx, row.id, &overwrites).await?;
            }
        }
        let mut list = vec![(
            events::COMMUNITY_CREATED,
            json!({ "community_id": id, "owner_id": owner }),
        )];
        list.extend(blueprint.channels.iter().map(|row| {
            let data = json!({ "community_id": id, "channel_id": row.id, "kind": row.kind });
            (events::CHANNEL_CREATED, data)
        }));
        let made = blueprint.roles.iter().filter(|role| !role.is_everyone());
        list.extend(made.map(|role| {
            let data = json!({ "community_id": id, "role_id": role.id });
            (events::ROLE_CREATED, data)
        }));
        list.push((
            events::MEMBER_JOINED,
            json!({ "community_id": id, "user_id": owner, "bot": false }),
        ));
        let mut written = Vec::with_capacity(list.len());
        for (kind, data) in list {
            written.push(self.event(kind, owner, id, at, data)?);
        }
        db::outbox::append(tx, SCHEMA, &written).await?;
        Ok(())
    }

    /// Makes sure the user may be in one more community, until the transaction ends. Comes before
    /// the lock of a community, so that two such waits cannot cross.
    pub(crate) async fn lock_seat(&self, tx: &db::Tx, user: UserId) -> Result<()> {
        communities::lock_user(tx, user).await?;
        let most = self.limits.communities_per_user;
        if communities::count_memberships(tx, user).await? >= most {
            return Err(Error::TooManyCommunities(most));
        }
        Ok(())
    }

    /// A community as a member sees it, and how many members it has.
    pub async fn community(&self, caller: &Caller, id: CommunityId) -> Result<(Guild, i32)> {
        let view = self.view(id, caller.user).await?;
        let guild = guild_object(&view.community, &view.rights.roles, &view.emojis);
        Ok((guild, view.community.member_count))
    }

    /// The communities the caller is in, by id.
    pub async fn own_communities(
        &self,
        caller: &Caller,
        after: Option<CommunityId>,
        before: Option<CommunityId>,
        limit: u16,
    ) -> Result<Vec<CommunityCard>> {
        let after = after.unwrap_or(CommunityId::new(0));
        let before = before.unwrap_or(CommunityId::new(i64::MAX));
        let limit = i64::from(limit.clamp(1, 200));
        let rows =
            communities::list_own_communities(&self.db, caller.user, after, before, limit).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let owner = row.owner_id == caller.user;
                let bits = row
                    .chats
                    .iter()
                    .fold(Chat::NONE, |bits, chat| bits | Chat::from_stored(*chat));
                let all = owner || bits.has(Chat::ADMINISTRATOR);
                CommunityCard {
                    id: row.id,
                    name: row.name,
                    icon: row.icon,
                    owner,
                    permissions: if all { Chat::ALL } else { bits },
                    features: CommunitySettings::read(&row.settings).features(),
                }
            })
            .collect())
    }

    /// Changes a community: MANAGE_GUILD; its owner hands it over.
    pub async fn update_community(
        &self,
        caller: &Caller,
        id: CommunityId,
        patch: UpdateCommunity,
        reason: Reason,
    ) -> Result<Guild> {
        let patch = patch.checked()?;
        let icon = self.make_icon(caller, id, patch.icon.clone()).await?;
        let done = self
            .change_community(caller, id, patch, &icon, reason)
            .await;
        self.settle_icon(id, icon, &done).await;
        done
    }

    async fn change_community(
        &self,
        caller: &Caller,
        id: CommunityId,
        patch: UpdateCommunity,
        icon: &Icon,
        reason: Reason,
    ) -> Result<Guild> {
        // Accounts are looked up before the transaction begins.
        let heir = match patch.owner_id {
            Some(user) => Some(self.user(user).await?.ok_or(Error::UnknownUser)?),
            None => None,
        };
        let mut change = Change::begin(self, caller.user, id, reason).await?;
        change.require(Chat::MANAGE_GUILD)?;
        let emojis = emojis::list_emojis(&change.tx, &[id]).await?;
        let before = guild_object(&change.community, &change.rights.roles, &emojis);
        if let Some(heir) = heir
            && heir.id != change.community.owner_id
        {
            if change.community.owner_id != caller.user {
                return Err(Error::OwnerOnly);
            }
            if !caller.is_fresh(change.at) {
                return Err(Error::StaleLogin);
            }
            if heir.bot {
                let detail = "a bot cannot own a community";
                return Err(Error::field("/owner_id", "INVALID", detail));
            }
            change.member(heir.id).await?;
            change.community.owner_id = heir.id;
            change.rights.owner = heir.id;
            change.raise_epoch()?;
        }
        check_channels(&change, &patch).await?;
        let old = CommunitySettings::of(&change.community);
        apply(&mut change.community, patch);
        icon.apply(&mut change.community.icon);
        let after = guild_object(&change.community, &change.rights.roles, &emojis);
        // Not all settings are shown.
        let new = CommunitySettings::of(&change.community);
        if after == before && old == new {
            change.drop_all().await?;
            return Ok(after);
        }
        check_public(&change)?;
        communities::update_community(&change.tx, &change.community).await?;
        discovery::relist(&change).await?;
        let list = changes(&noted(&before, &old), &noted(&after, &new));
        change.audit(Action::CommunityUpdate, id, list)?;
        change.tell(Told::all("GUILD_UPDATE", intent::GUILDS), &after)?;
        change.event(events::COMMUNITY_UPDATED, json!({ "community_id": id }))?;
        change.finish().await?;
        Ok(after)
    }

    /// Hands a community over; only its owner may, with a login proved lately.
    pub async fn transfer_community(
        &self,
        caller: &Caller,
        id: CommunityId,
        to: TransferOwnership,
        reason: Reason,
    ) -> Result<Guild> {
        let patch = UpdateCommunity {
            owner_id: Some(to.owner_id),
            ..UpdateCommunity::default()
        };
        self.update_community(caller, id, patch, reason).await
    }

    /// Deletes a community; only its owner may.
    pub async fn delete_community(&self, caller: &Caller, id: CommunityId) -> Result<()> {
        let mut change = Change::begin(self, caller.user, id, Reason::default()).await?;
        if change.community.owner_id != caller.user {
            return Err(Error::OwnerOnly);
        }
        communities::delete_community(&change.tx, id, change.at).await?;
        crate::sql::discovery::delete_discoverable(&change.tx, id).await?;
        let told = Told::all("GUILD_DELETE", intent::GUILDS);
        change.tell(told, &CommunityGonePayload { id })?;
        change.raise_epoch()?;
        change.event(events::COMMUNITY_DELETED, json!({ "community_id": id }))?;
        change.finish().await
    }

    /// Leaves a community; its owner cannot.
    pub async fn leave_community(&self, caller: &Caller, id: CommunityId) -> Result<()> {
        let user = self.user_or_unknown(caller.user).await?;
        let mut change = Change::begin(self, caller.user, id, Reason::default()).await?;
        if change.community.owner_id == caller.user {
            return Err(Error::OwnerStays);
        }
        let me = change.me()?.clone();
        crate::members::remove(&mut change, &me, &user, "left").await?;
        change.finish().await
    }
}

/// A community with what only moderators see of it, for the audit log.
#[derive(Serialize)]
struct Noted<'a> {
    #[serde(flatten)]
    guild: &'a Guild,
    raid_protection: Option<RaidProtection>,
}

fn noted<'a>(guild: &'a Guild, settings: &CommunitySettings) -> Noted<'a> {
    Noted {
        guild,
        raid_protection: settings.raid_protection,
    }
}

/// Nobody joins what says nothing about itself.
fn check_public(change: &Change<'_>) -> Result<()> {
    let settings = CommunitySettings::of(&change.community);
    if settings.discoverable && settings.description.is_none() {
        let detail = "a public community has a description";
        return Err(Error::field("/description", "REQUIRED", detail));
    }
    Ok(())
}

/// Channels that settings name must be there.
async fn check_channels(change: &Change<'_>, patch: &UpdateCommunity) -> Result<()> {
    let named = [
        ("/system_channel_id", patch.system_channel_id),
        ("/rules_channel_id", patch.rules_channel_id),
        ("/afk_channel_id", patch.afk_channel_id),
    ];
    if named.iter().all(|(_, id)| id.flatten().is_none()) {
        return Ok(());
    }
    let known = channels::list_channels(&change.tx, &[change.community.id]).await?;
    for (pointer, id) in named {
        if let Some(id) = id.flatten()
            && !known.iter().any(|channel| channel.id == id)
        {
            let detail = "no channel of this community";
            return Err(Error::field(pointer, "NOT_FOUND", detail));
        }
    }
    Ok(())
}

fn apply(row: &mut CommunityRow, patch: UpdateCommunity) {
    let mut settings = CommunitySettings::of(row);
    if let Some(name) = patch.name {
        row.name = name;
    }
    if let Some(description) = patch.description {
        settings.description = description.filter(|text| !text.is_empty());
    }
    if let Some(tag) = patch.preferred_locale {
        settings.preferred_locale = tag;
    }
    settings.discoverable = patch.discoverable.unwrap_or(settings.discoverable);
    settings.tags = patch.tags.unwrap_or(settings.tags);
    settings.raid_protection = patch.raid_protection.unwrap_or(settings.raid_protection);
    for (slot, value) in [
        (&mut settings.verification_level, patch.verification_level),
        (
            &mut settings.default_message_notifications,
            patch.default_message_notifications,
        ),
        (
            &mut settings.explicit_content_filter,
            patch.explicit_content_filter,
        ),
        (&mut settings.afk_timeout, patch.afk_timeout),
        (
            &mut settings.system_channel_flags,
            patch.system_channel_flags,
        ),
    ] {
        if let Some(value) = value {
            *slot = value;
        }
    }
    for (slot, value) in [
        (&mut settings.system_channel_id, patch.system_channel_id),
        (&mut settings.rules_channel_id, patch.rules_channel_id),
        (&mut settings.afk_channel_id, patch.afk_channel_id),
    ] {
        if let Some(value) = value {
            *slot = value;
        }
    }
    row.settings = settings.stored();
}
