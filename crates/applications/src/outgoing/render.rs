//! What a delivery tells: judged and worded at the moment of each attempt, so that nothing goes out
//! that was deleted or hidden meanwhile, and no text waits in a table.

use contracts::communities::{MemberQuery, Snapshot};
use contracts::identity::User;
use contracts::messaging::Message;
use kernel::perm::Chat;
use kernel::{ChannelId, CommunityId, Id, MessageId, RoleId, UserId};
use serde::Serialize;
use serde_json::{Value, json};

use super::delivery::Claim;
use super::kinds::{self, Sight};
use super::model::Owner;
use crate::Applications;
use crate::error::Result;
use crate::sql;

/// Gateway intents that decide over what applications are told, as bits.
const MEMBERS: u64 = 1 << 1;
const MESSAGE_CONTENT: u64 = 1 << 15;

/// What is to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rendered {
    /// This `data`.
    Data(Value),
    /// Nothing: what it tells of is gone, or the subscriber may not see it.
    Dropped,
    /// Nothing ever: whoever subscribed may not any more.
    Forbidden,
}

/// Through whose eyes an event is seen.
struct Viewer {
    user: UserId,
    /// Intents of an application; all for a person.
    intents: u64,
    rights: Chat,
    snapshot: Snapshot,
}

impl Applications {
    /// Judges and words what a delivery tells.
    pub(crate) async fn render(&self, claim: &Claim) -> Result<Rendered> {
        if claim.event == kinds::TEST {
            let data = json!({
                "subscription_id": claim.subscription_id,
                "message": "A test, sent because somebody asked for it.",
            });
            return Ok(Rendered::Data(data));
        }
        let Some(kind) = kinds::by_name(&claim.event) else {
            return Ok(Rendered::Dropped);
        };
        if kind.sight == Sight::Own {
            return Ok(Rendered::Data(own(&claim.data)));
        }
        let Some(community) = id_in(&claim.data, "community_id") else {
            return Ok(Rendered::Dropped);
        };
        let viewer = match self.viewer(claim, community).await? {
            Ok(viewer) => viewer,
            Err(refused) => return Ok(refused),
        };
        let told = match kind.sight {
            Sight::Message => self.tell_message(&viewer, &claim.data).await?,
            Sight::MessageGone => self.tell_deleted(&viewer, &claim.data).await?,
            Sight::Channel => channel(&viewer, &claim.data),
            Sight::ChannelGone => channel_gone(&viewer, &claim.data),
            Sight::Role => role(&viewer, &claim.data),
            Sight::RoleGone => role_gone(&viewer, &claim.data),
            Sight::Member => self.tell_member(&viewer, &claim.data).await?,
            Sight::MemberGone => self.tell_left(&viewer, &claim.data).await?,
            Sight::Community => shown(&viewer.snapshot.guild),
            Sight::Own => None,
        };
        Ok(told.map_or(Rendered::Dropped, Rendered::Data))
    }

    /// Who sees it: an application's bot while it is a member, or whoever subscribed for a
    /// community while they may manage it.
    async fn viewer(
        &self,
        claim: &Claim,
        community: CommunityId,
    ) -> Result<std::result::Result<Viewer, Rendered>> {
        let Some(owner) = Owner::of(claim.application_id, claim.community_id) else {
            return Ok(Err(Rendered::Dropped));
        };
        let (user, intents): (UserId, u64) = match owner {
            Owner::Community(_) => (claim.creator_id, u64::MAX),
            Owner::Application(id) => {
                match sql::applications::find_application(&self.db, id).await? {
                    Some(row) => (row.bot(), row.granted()),
                    None => return Ok(Err(Rendered::Dropped)),
                }
            }
        };
        let found = self.communities.snapshots(&[community], user).await?;
        let Some(snapshot) = found.into_iter().next() else {
            // A bot that left may come back; a manager who left has no say any more.
            return Ok(Err(match owner {
                Owner::Community(_) => Rendered::Forbidden,
                Owner::Application(_) => Rendered::Dropped,
            }));
        };
        let rights = crate::installs::rights_in(&snapshot, user);
        if owner.community().is_some() && !rights.has(Chat::MANAGE_GUILD) {
            return Ok(Err(Rendered::Forbidden));
        }
        Ok(Ok(Viewer {
            user,
            intents,
            rights,
            snapshot,
        }))
    }

    /// Whether the viewer reads a channel.
    async fn reads(&self, viewer: &Viewer, channel: ChannelId) -> Result<bool> {
        let found = self.communities.access(viewer.user, &[channel]).await?;
        let needed = [Chat::VIEW_CHANNEL, Chat::READ_HISTORY];
        let access = found.first();
        Ok(access.is_some_and(|access| needed.iter().all(|right| access.chat.has(*right))))
    }

    async fn tell_message(&self, viewer: &Viewer, data: &Value) -> Result<Option<Value>> {
        let (Some(channel), Some(id)) = (id_in(data, "channel_id"), id_in(data, "id")) else {
            return Ok(None);
        };
        if !self.reads(viewer, channel).await? {
            return Ok(None);
        }
        let found = self.messaging.messages(&[(channel, id)]).await?;
        let Some(mut message): Option<Message> = found.into_iter().next() else {
            return Ok(None);
        };
        let mentioned = message.mentions.iter().any(|user| user.id == viewer.user);
        let own = message.author.id == viewer.user;
        if viewer.intents & MESSAGE_CONTENT == 0 && !own && !mentioned {
            message = message.without_content();
        }
        message.guild_id = Some(viewer.snapshot.guild.id);
        Ok(shown(&message))
    }

    async fn tell_deleted(&self, viewer: &Viewer, data: &Value) -> Result<Option<Value>> {
        let ids: (Option<ChannelId>, Option<MessageId>) =
            (id_in(data, "channel_id"), id_in(data, "id"));
        let (Some(channel), Some(id)) = ids else {
            return Ok(None);
        };
        let reads = self.reads(viewer, channel).await?;
        let guild = viewer.snapshot.guild.id;
        Ok(reads.then(|| json!({ "id": id, "channel_id": channel, "guild_id": guild })))
    }

    async fn tell_member(&self, viewer: &Viewer, data: &Value) -> Result<Option<Value>> {
        let Some(user) = id_in(data, "user_id").filter(|_| viewer.intents & MEMBERS != 0) else {
            return Ok(None);
        };
        let (community, query) = (viewer.snapshot.guild.id, MemberQuery::Ids(vec![user]));
        let found = self.communities.members(community, query).await?;
        let member = found.first().and_then(shown);
        Ok(member.map(|member| with_guild(member, community)))
    }

    async fn tell_left(&self, viewer: &Viewer, data: &Value) -> Result<Option<Value>> {
        let Some(id) = id_in(data, "user_id").filter(|_| viewer.intents & MEMBERS != 0) else {
            return Ok(None);
        };
        let users = self.identity.users(&[id]).await?;
        let user = users
            .into_iter()
            .next()
            .unwrap_or_else(|| User::unknown(id));
        Ok(Some(
            json!({ "guild_id": viewer.snapshot.guild.id, "user": user }),
        ))
    }
}

fn channel(viewer: &Viewer, data: &Value) -> Option<Value> {
    let id: ChannelId = id_in(data, "channel_id")?;
    let mut seen = viewer.snapshot.channels.iter();
    seen.find(|channel| channel.id == id).and_then(shown)
}

fn channel_gone(viewer: &Viewer, data: &Value) -> Option<Value> {
    let id: ChannelId = id_in(data, "channel_id")?;
    let may = viewer.rights.has(Chat::MANAGE_CHANNELS);
    may.then(|| json!({ "id": id, "guild_id": viewer.snapshot.guild.id }))
}

fn role(viewer: &Viewer, data: &Value) -> Option<Value> {
    let id: RoleId = id_in(data, "role_id")?;
    let guild = &viewer.snapshot.guild;
    let role = guild.roles.iter().find(|role| role.id == id)?;
    Some(json!({ "guild_id": guild.id, "role": role }))
}

fn role_gone(viewer: &Viewer, data: &Value) -> Option<Value> {
    let id: RoleId = id_in(data, "role_id")?;
    Some(json!({ "guild_id": viewer.snapshot.guild.id, "role_id": id }))
}

/// What an application is told of its own installs.
fn own(data: &Value) -> Value {
    let of = |name: &str| data.get(name).cloned().unwrap_or_default();
    json!({
        "application_id": of("application_id"),
        "guild_id": of("community_id"),
        "permissions": of("permissions"),
    })
}

fn with_guild(mut member: Value, community: CommunityId) -> Value {
    if let Some(map) = member.as_object_mut() {
        map.insert("guild_id".to_owned(), json!(community));
    }
    member
}

fn shown(object: &impl Serialize) -> Option<Value> {
    match serde_json::to_value(object) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::error!(%error, "an object of the dialect cannot be written");
            None
        }
    }
}

fn id_in<K>(data: &Value, name: &str) -> Option<Id<K>> {
    data.get(name)?.as_str()?.parse().ok()
}
