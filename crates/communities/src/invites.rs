//! Invites: make, show, list, use, delete.

use std::collections::HashMap;

use contracts::communities::channel_kind;
use contracts::identity::User;
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, CommunityId, Rng, UserId};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::Communities;
use crate::change::{Action, Change, Reason};
use crate::error::{Error, Result};
use crate::events::{InviteGonePayload, Told, intent};
use crate::joining::Door;
use crate::model::{ChannelRow, CommunityRow, CommunitySettings, InviteRow, changes};
use crate::requests::CreateInvite;
use crate::sql::{channels, communities, invites};

/// Characters of a code: 62^10 codes, so that guessing finds none.
const CODE_LENGTH: usize = 10;
/// How often a taken code is thrown again.
pub(crate) const CODE_TRIES: usize = 3;
/// Longest code that is looked up.
const MAX_CODE: usize = 64;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
// A code opens the door: only who may list codes hears of them.
const TOLD_MADE: Told = Told::all("INVITE_CREATE", intent::INVITES).needs(Chat::MANAGE_CHANNELS);
const TOLD_GONE: Told = Told::all("INVITE_DELETE", intent::INVITES).needs(Chat::MANAGE_CHANNELS);

/// The community an invite leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::InviteGuild)]
pub struct InviteGuild {
    /// The community.
    pub id: CommunityId,
    /// Name.
    pub name: String,
    /// Icon hash.
    pub icon: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Dialect's feature names.
    pub features: Vec<String>,
    /// Verification level.
    pub verification_level: i32,
}

/// The channel an invite leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::InviteChannel)]
pub struct InviteChannel {
    /// The channel.
    pub id: ChannelId,
    /// Name.
    pub name: String,
    /// Kind.
    #[serde(rename = "type")]
    pub kind: i16,
}

/// An invite as anybody with the code may see it; its keepers see how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::Invite)]
pub struct Invite {
    /// The code.
    pub code: String,
    /// Always 0: to a community.
    #[serde(rename = "type")]
    pub kind: i16,
    /// The community.
    pub guild_id: CommunityId,
    /// The community.
    pub guild: InviteGuild,
    /// The channel.
    pub channel: InviteChannel,
    /// Who made it.
    pub inviter: User,
    /// How many members there are.
    pub approximate_member_count: i32,
    /// Until when it can be used; null = for ever.
    #[serde(with = "kernel::time::dialect_form::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// How it is used.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = InviteUse)]
    pub usage: Option<InviteUse>,
}

/// How an invite is used; only for those who may manage it, so none of it has to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::InviteUse)]
pub struct InviteUse {
    /// How many joined by it.
    #[schema(required = false)]
    pub uses: i32,
    /// How many may; 0 = any number.
    #[schema(required = false)]
    pub max_uses: i32,
    /// Seconds it lives; 0 = for ever.
    #[schema(required = false)]
    pub max_age: i32,
    /// Always false.
    #[schema(required = false)]
    pub temporary: bool,
    /// When it was made.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime, required = false)]
    pub created_at: Timestamp,
}

/// The answer to joining.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::Joined)]
pub struct Joined {
    /// The invite.
    #[serde(flatten)]
    pub invite: Invite,
    /// False when the caller was a member already.
    pub new_member: bool,
}

/// The payload of `INVITE_CREATE`.
#[derive(Serialize)]
struct CreatePayload<'a> {
    guild_id: CommunityId,
    channel_id: ChannelId,
    code: &'a str,
    inviter: &'a User,
    #[serde(flatten)]
    usage: InviteUse,
    #[serde(with = "kernel::time::dialect_form::option")]
    expires_at: Option<Timestamp>,
}

impl Communities {
    /// Makes an invite to a channel: CREATE_INVITE in it.
    pub async fn create_invite(
        &self,
        caller: &Caller,
        channel: ChannelId,
        new: CreateInvite,
        reason: Reason,
    ) -> Result<Invite> {
        let (max_age_s, max_uses) = new.checked()?;
        let inviter = self.user_or_unknown(caller.user).await?;
        let (mut change, row, _, held) =
            Change::of_channel(self, caller.user, channel, reason).await?;
        if !held.has(Chat::CREATE_INVITE) {
            return Err(Error::MissingPermission(Chat::CREATE_INVITE));
        }
        if row.kind == channel_kind::CATEGORY {
            return Err(Error::ChannelKind);
        }
        let (community, at) = (change.community.id, change.at);
        let most = self.limits.invites;
        if invites::count_invites(&change.tx, community, at).await? >= most {
            return Err(Error::TooManyInvites(most));
        }
        let lives = std::time::Duration::from_secs(u64::try_from(max_age_s).unwrap_or(0));
        let mut invite = InviteRow {
            code: String::new(),
            community_id: community,
            channel_id: channel,
            inviter_id: caller.user,
            uses: 0,
            max_uses,
            max_age_s,
            temporary: false,
            created_at: at,
            expires_at: (max_age_s > 0).then(|| at + lives),
        };
        self.insert_with_code(&change, &mut invite).await?;
        let list = changes(
            &json!({}),
            &json!({ "code": invite.code, "channel_id": channel }),
        );
        change.audit(Action::InviteCreate, channel, list)?;
        let payload = CreatePayload {
            guild_id: community,
            channel_id: channel,
            code: &invite.code,
            inviter: &inviter,
            usage: usage(&invite),
            expires_at: invite.expires_at,
        };
        change.tell(TOLD_MADE.of(channel), &payload)?;
        let object = object(&invite, &change.community, &row, inviter, Shown::Whole);
        change.finish().await?;
        Ok(object)
    }

    async fn insert_with_code(&self, change: &Change<'_>, invite: &mut InviteRow) -> Result<()> {
        for _ in 0..CODE_TRIES {
            invite.code = code(&*self.rng);
            if invites::insert_invite(&change.tx, invite).await? == 1 {
                return Ok(());
            }
        }
        Err(Error::Broken("every invite code thrown was taken"))
    }

    /// What an invite leads to; for anybody who has the code.
    pub async fn invite(&self, code: &str) -> Result<Invite> {
        let row = self.find_invite(code).await?;
        let community = communities::find_community(&self.db, row.community_id)
            .await?
            .ok_or(Error::UnknownInvite)?;
        let channel = channels::find_channel(&self.db, row.community_id, row.channel_id)
            .await?
            .ok_or(Error::UnknownInvite)?;
        let inviter = self.user_or_unknown(row.inviter_id).await?;
        Ok(object(&row, &community, &channel, inviter, Shown::Public))
    }

    async fn find_invite(&self, code: &str) -> Result<InviteRow> {
        if code.is_empty() || code.len() > MAX_CODE || code.contains('\0') {
            return Err(Error::UnknownInvite);
        }
        invites::find_invite(&self.db, code, self.clock.now())
            .await?
            .ok_or(Error::UnknownInvite)
    }

    /// Joins by an invite. Members use nothing up; banned users and bots cannot.
    pub async fn join(&self, caller: &Caller, code: &str) -> Result<Joined> {
        if caller.is_bot() {
            return Err(Error::PeopleOnly);
        }
        let mut invite = self.invite(code).await?;
        let entered = self
            .enter(caller, invite.guild_id, Door::Invite(code))
            .await?;
        if let Some(member_count) = entered {
            invite.approximate_member_count = member_count;
        }
        Ok(Joined {
            invite,
            new_member: entered.is_some(),
        })
    }

    /// Deletes an invite: MANAGE_GUILD, or MANAGE_CHANNELS in its channel, or one's own.
    pub async fn delete_invite(
        &self,
        caller: &Caller,
        code: &str,
        reason: Reason,
    ) -> Result<Invite> {
        let row = self.find_invite(code).await?;
        let inviter = self.user_or_unknown(row.inviter_id).await?;
        let begun = Change::begin(self, caller.user, row.community_id, reason).await;
        let mut change = match begun {
            Err(Error::UnknownCommunity) => return Err(Error::UnknownInvite),
            other => other?,
        };
        let ids = [row.channel_id];
        let (channel, overwrites) = futures::try_join!(
            channels::find_channel(&change.tx, row.community_id, row.channel_id),
            channels::list_overwrites_of_channels(&change.tx, &ids),
        )?;
        let channel = channel.ok_or(Error::UnknownInvite)?;
        let held = change
            .rights
            .in_channel(change.me()?, &overwrites, change.at);
        let may = row.inviter_id == caller.user
            || held.has(Chat::MANAGE_CHANNELS)
            || change.base()?.has(Chat::MANAGE_GUILD);
        if !may {
            return Err(Error::MissingPermission(Chat::MANAGE_CHANNELS));
        }
        if invites::delete_invite(&change.tx, row.community_id, code).await? != 1 {
            return Err(Error::UnknownInvite);
        }
        let list = changes(
            &json!({ "code": code, "channel_id": row.channel_id }),
            &json!({}),
        );
        change.audit(Action::InviteDelete, row.channel_id, list)?;
        let payload = InviteGonePayload {
            guild_id: row.community_id,
            channel_id: row.channel_id,
            code,
        };
        change.tell(TOLD_GONE.of(row.channel_id), &payload)?;
        let object = object(&row, &change.community, &channel, inviter, Shown::Whole);
        change.finish().await?;
        Ok(object)
    }

    /// The usable invites of a community: MANAGE_GUILD.
    pub async fn list_invites(
        &self,
        caller: &Caller,
        community: CommunityId,
    ) -> Result<Vec<Invite>> {
        self.check_right(caller, community, Chat::MANAGE_GUILD)
            .await?;
        let rows = self.usable(community).await?;
        self.objects(rows, community).await
    }

    /// The usable invites to one channel: MANAGE_CHANNELS in it.
    pub async fn list_channel_invites(
        &self,
        caller: &Caller,
        channel: ChannelId,
    ) -> Result<Vec<Invite>> {
        let object = self.channel(caller, channel).await?;
        let access = communities::list_access(&self.db, caller.user, &[channel]).await?;
        let access = access.into_iter().next().ok_or(Error::UnknownChannel)?;
        let held = crate::calls::access(access, caller.user, self.clock.now()).chat;
        if !held.has(Chat::MANAGE_CHANNELS) {
            return Err(Error::MissingPermission(Chat::MANAGE_CHANNELS));
        }
        let mut rows = self.usable(object.guild_id).await?;
        rows.retain(|invite| invite.channel_id == channel);
        self.objects(rows, object.guild_id).await
    }

    async fn usable(&self, community: CommunityId) -> Result<Vec<InviteRow>> {
        let limit = self.limits.invites;
        Ok(invites::list_invites(&self.db, community, self.clock.now(), limit).await?)
    }

    async fn objects(&self, rows: Vec<InviteRow>, community: CommunityId) -> Result<Vec<Invite>> {
        let ids = [community];
        let (found, known) = futures::try_join!(
            communities::find_community(&self.db, community),
            channels::list_channels(&self.db, &ids),
        )?;
        let community = found.ok_or(Error::UnknownCommunity)?;
        let mut ids: Vec<UserId> = rows.iter().map(|row| row.inviter_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut users = HashMap::with_capacity(ids.len());
        for part in ids.chunks(500) {
            for user in self.identity.users(part).await? {
                users.insert(user.id, user);
            }
        }
        Ok(rows
            .iter()
            .filter_map(|row| {
                let channel = known.iter().find(|channel| channel.id == row.channel_id)?;
                let inviter = users
                    .get(&row.inviter_id)
                    .cloned()
                    .unwrap_or_else(|| User::unknown(row.inviter_id));
                Some(object(row, &community, channel, inviter, Shown::Whole))
            })
            .collect())
    }
}

/// To whom an invite is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// To anybody with the code.
    Public,
    /// To its keepers.
    Whole,
}

fn usage(row: &InviteRow) -> InviteUse {
    InviteUse {
        uses: row.uses,
        max_uses: row.max_uses,
        max_age: row.max_age_s,
        temporary: row.temporary,
        created_at: row.created_at,
    }
}

fn object(
    row: &InviteRow,
    community: &CommunityRow,
    channel: &ChannelRow,
    inviter: User,
    shown: Shown,
) -> Invite {
    let settings = CommunitySettings::of(community);
    Invite {
        code: row.code.clone(),
        kind: 0,
        guild_id: community.id,
        guild: InviteGuild {
            id: community.id,
            name: community.name.clone(),
            icon: community.icon.clone(),
            features: settings.features(),
            description: settings.description,
            verification_level: settings.verification_level,
        },
        channel: InviteChannel {
            id: channel.id,
            name: channel.name.clone(),
            kind: channel.kind,
        },
        inviter,
        approximate_member_count: community.member_count,
        expires_at: row.expires_at,
        usage: (shown == Shown::Whole).then(|| usage(row)),
    }
}

/// A random code; every character equally likely.
pub(crate) fn code(rng: &dyn Rng) -> String {
    let mut code = String::with_capacity(CODE_LENGTH);
    while code.len() < CODE_LENGTH {
        for byte in kernel::rng::bytes::<16>(rng) {
            // 248 = 4 × 62: what lies above would make the first characters likelier.
            if byte < 248
                && code.len() < CODE_LENGTH
                && let Some(letter) = ALPHABET.get(usize::from(byte % 62))
            {
                code.push(char::from(*letter));
            }
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::SeededRng;

    #[test]
    fn codes_are_long_random_and_use_every_letter() {
        let rng = SeededRng::new(3);
        let codes: Vec<String> = (0..1_000).map(|_| code(&*rng)).collect();
        assert!(codes.iter().all(|code| code.len() == CODE_LENGTH));
        let all: String = codes.concat();
        assert!(
            ALPHABET
                .iter()
                .all(|letter| all.contains(char::from(*letter)))
        );
        let mut unique = codes.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), codes.len());
    }
}
