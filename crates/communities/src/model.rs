//! Rows, the chat dialect's objects made from them, and what requests ask for. Pure.
//!
//! Rights are judged in [`crate::rights`], requests are checked in [`crate::requests`].

use contracts::communities::{Channel, Guild, Member, OverwriteObject, Role, ThreadSettings};
use contracts::identity::User;
use db::FromRow;
use jiff::Timestamp;
use kernel::perm::{Chat, Overwrite, Permissions, Target, Trade};
use kernel::{AnyId, ChannelId, CommunityId, RoleId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::raids::RaidProtection;
use crate::sql::emojis::EmojiRow;

/// Role flag: shown apart in the member list.
pub(crate) const ROLE_HOIST: i32 = 1;
/// Role flag: everyone may mention it.
pub(crate) const ROLE_MENTIONABLE: i32 = 2;
/// Role flag: belongs to an application.
pub(crate) const ROLE_MANAGED: i32 = 4;

/// Member flag of the dialect: in quarantine.
pub(crate) const MEMBER_QUARANTINED: i32 = 1 << 7;

/// A community and its counters.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct CommunityRow {
    pub(crate) id: CommunityId,
    pub(crate) owner_id: UserId,
    pub(crate) name: String,
    pub(crate) icon: Option<String>,
    pub(crate) settings: Value,
    pub(crate) member_count: i32,
    pub(crate) rev: i64,
    pub(crate) perm_epoch: i32,
    pub(crate) next_class: i32,
}

/// What a community can set about itself; absent in the row = default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CommunitySettings {
    pub(crate) description: Option<String>,
    pub(crate) verification_level: i32,
    pub(crate) default_message_notifications: i32,
    pub(crate) explicit_content_filter: i32,
    pub(crate) preferred_locale: String,
    pub(crate) system_channel_id: Option<ChannelId>,
    pub(crate) rules_channel_id: Option<ChannelId>,
    pub(crate) system_channel_flags: i32,
    pub(crate) afk_channel_id: Option<ChannelId>,
    pub(crate) afk_timeout: i32,
    pub(crate) discoverable: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) raid_protection: Option<RaidProtection>,
    pub(crate) invites_disabled_until: Option<Timestamp>,
    pub(crate) raid_detected_at: Option<Timestamp>,
    pub(crate) verification_raised_until: Option<Timestamp>,
}

impl Default for CommunitySettings {
    fn default() -> Self {
        CommunitySettings {
            description: None,
            verification_level: 0,
            default_message_notifications: 0,
            explicit_content_filter: 0,
            preferred_locale: "en-US".to_owned(),
            system_channel_id: None,
            rules_channel_id: None,
            system_channel_flags: 0,
            afk_channel_id: None,
            afk_timeout: 300,
            discoverable: false,
            tags: Vec::new(),
            raid_protection: None,
            invites_disabled_until: None,
            raid_detected_at: None,
            verification_raised_until: None,
        }
    }
}

impl CommunitySettings {
    /// Those of a community.
    pub(crate) fn of(row: &CommunityRow) -> Self {
        Self::read(&row.settings)
    }

    /// From the form in the row.
    pub(crate) fn read(stored: &Value) -> Self {
        Self::deserialize(stored).unwrap_or_default()
    }

    /// The dialect's names of what is switched on.
    pub(crate) fn features(&self) -> Vec<String> {
        let public = self.discoverable.then(|| "DISCOVERABLE".to_owned());
        public.into_iter().collect()
    }

    /// The form in the row.
    pub(crate) fn stored(&self) -> Value {
        serde_json::to_value(self).unwrap_or_else(|_| json!({}))
    }
}

/// A channel of a community.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct ChannelRow {
    pub(crate) id: ChannelId,
    pub(crate) community_id: CommunityId,
    pub(crate) parent_id: Option<ChannelId>,
    pub(crate) kind: i16,
    pub(crate) position: i32,
    pub(crate) name: String,
    pub(crate) topic: Option<String>,
    pub(crate) nsfw: bool,
    pub(crate) slowmode_s: i32,
    pub(crate) settings: Value,
}

impl ChannelRow {
    /// What it says about its threads; absent in the row = nothing.
    pub(crate) fn threads(&self) -> ThreadSettings {
        ThreadSettings::deserialize(&self.settings).unwrap_or_default()
    }
}

/// What a channel changes for one role or member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct OverwriteRow {
    pub(crate) channel_id: ChannelId,
    pub(crate) target_kind: i16,
    pub(crate) target_id: AnyId,
    pub(crate) chat_allow: i64,
    pub(crate) chat_deny: i64,
    pub(crate) trade_allow: i64,
    pub(crate) trade_deny: i64,
}

impl OverwriteRow {
    /// The row of a dialect object; rights both given and taken count as given, as in the dialect.
    pub(crate) fn of(channel: ChannelId, object: &OverwriteObject) -> Self {
        OverwriteRow {
            channel_id: channel,
            target_kind: object.kind,
            target_id: object.id,
            chat_allow: object.allow.to_stored(),
            chat_deny: object.deny.without(object.allow).to_stored(),
            trade_allow: object.trade_allow.to_stored(),
            trade_deny: object.trade_deny.without(object.trade_allow).to_stored(),
        }
    }

    /// For [`kernel::perm::evaluate`].
    pub(crate) fn overwrite(&self) -> Overwrite {
        Overwrite {
            target: target(self.target_kind, self.target_id),
            allow: stored(self.chat_allow, self.trade_allow),
            deny: stored(self.chat_deny, self.trade_deny),
        }
    }

    /// In the dialect's form.
    pub(crate) fn object(&self) -> OverwriteObject {
        OverwriteObject {
            id: self.target_id,
            kind: self.target_kind,
            allow: Chat::from_stored(self.chat_allow),
            deny: Chat::from_stored(self.chat_deny),
            trade_allow: Trade::from_stored(self.trade_allow),
            trade_deny: Trade::from_stored(self.trade_deny),
        }
    }
}

/// Whom an overwrite speaks of, as it stands in two columns.
pub(crate) fn target(kind: i16, id: AnyId) -> Target {
    match kind {
        0 => Target::Role(id.cast()),
        _ => Target::Member(id.cast()),
    }
}

/// Rights as they stand in two columns.
pub(crate) fn stored(chat: i64, trade: i64) -> Permissions {
    Permissions {
        chat: Chat::from_stored(chat),
        trade: Trade::from_stored(trade),
    }
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct RoleRow {
    pub(crate) id: RoleId,
    pub(crate) community_id: CommunityId,
    pub(crate) name: String,
    pub(crate) position: i32,
    pub(crate) colour: i32,
    pub(crate) flags: i32,
    pub(crate) chat: i64,
    pub(crate) trade: i64,
    pub(crate) bot_id: Option<UserId>,
}

impl RoleRow {
    /// Its rights.
    pub(crate) fn rights(&self) -> Permissions {
        stored(self.chat, self.trade)
    }

    /// Gives it other rights.
    pub(crate) fn set_rights(&mut self, rights: Permissions) {
        self.chat = rights.chat.to_stored();
        self.trade = rights.trade.to_stored();
    }

    /// Whether it is everyone's.
    pub(crate) fn is_everyone(&self) -> bool {
        self.id.get() == self.community_id.get()
    }

    /// Whether it belongs to an application.
    pub(crate) fn is_managed(&self) -> bool {
        self.flags & ROLE_MANAGED != 0
    }

    /// In the dialect's form.
    pub(crate) fn object(&self) -> Role {
        Role {
            id: self.id,
            name: self.name.clone(),
            permissions: Chat::from_stored(self.chat),
            trade_permissions: Trade::from_stored(self.trade),
            position: self.position,
            color: self.colour,
            hoist: self.flags & ROLE_HOIST != 0,
            managed: self.is_managed(),
            mentionable: self.flags & ROLE_MENTIONABLE != 0,
        }
    }
}

/// A member with the roles of their class.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct MemberRow {
    pub(crate) community_id: CommunityId,
    pub(crate) user_id: UserId,
    pub(crate) nick: Option<String>,
    pub(crate) class: i32,
    pub(crate) flags: i32,
    pub(crate) timeout_until: Option<Timestamp>,
    pub(crate) joined_at: Timestamp,
    /// The roles a member in quarantine gets back.
    pub(crate) quarantined_roles: Option<Vec<RoleId>>,
    pub(crate) role_ids: Vec<RoleId>,
}

impl MemberRow {
    /// Whether a time-out runs at `at`, or one without an end: quarantine.
    pub(crate) fn is_timed_out(&self, at: Timestamp) -> bool {
        self.quarantined_roles.is_some() || self.timeout_until.is_some_and(|until| until > at)
    }

    /// The dialect's flags.
    fn shown_flags(&self) -> i32 {
        match self.quarantined_roles {
            Some(_) => self.flags | MEMBER_QUARANTINED,
            None => self.flags,
        }
    }

    /// In the dialect's form.
    pub(crate) fn object(&self, user: Option<User>) -> Member {
        Member {
            user,
            nick: self.nick.clone(),
            roles: self.role_ids.clone(),
            joined_at: self.joined_at,
            communication_disabled_until: self.timeout_until,
            flags: self.shown_flags(),
            mute: false,
            deaf: false,
        }
    }
}

/// An invite.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct InviteRow {
    pub(crate) code: String,
    pub(crate) community_id: CommunityId,
    pub(crate) channel_id: ChannelId,
    pub(crate) inviter_id: UserId,
    pub(crate) uses: i32,
    pub(crate) max_uses: i32,
    pub(crate) max_age_s: i32,
    pub(crate) temporary: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
}

/// A channel in the dialect's form; `overwrites` may hold those of other channels.
pub(crate) fn channel_object(row: &ChannelRow, overwrites: &[OverwriteRow]) -> Channel {
    Channel {
        id: row.id,
        kind: row.kind,
        guild_id: row.community_id,
        name: row.name.clone(),
        position: row.position,
        parent_id: row.parent_id,
        topic: row.topic.clone(),
        nsfw: row.nsfw,
        rate_limit_per_user: row.slowmode_s,
        permission_overwrites: overwrites
            .iter()
            .filter(|overwrite| overwrite.channel_id == row.id)
            .map(OverwriteRow::object)
            .collect(),
        last_message_id: None,
        threads: row.threads(),
    }
}

/// A community in the dialect's form. `roles` are its own, everyone first, and `emojis` too.
pub(crate) fn guild_object(row: &CommunityRow, roles: &[RoleRow], emojis: &[EmojiRow]) -> Guild {
    let settings = CommunitySettings::of(row);
    let incidents_data = settings.incidents();
    Guild {
        id: row.id,
        name: row.name.clone(),
        icon: row.icon.clone(),
        owner_id: row.owner_id,
        roles: roles.iter().map(RoleRow::object).collect(),
        emojis: crate::emojis::objects(emojis),
        stickers: Vec::new(),
        features: settings.features(),
        verification_level: settings.verification_level,
        default_message_notifications: settings.default_message_notifications,
        explicit_content_filter: settings.explicit_content_filter,
        mfa_level: 0,
        preferred_locale: settings.preferred_locale,
        nsfw_level: 0,
        premium_tier: 0,
        afk_timeout: settings.afk_timeout,
        afk_channel_id: settings.afk_channel_id,
        system_channel_id: settings.system_channel_id,
        system_channel_flags: settings.system_channel_flags,
        rules_channel_id: settings.rules_channel_id,
        incidents_data,
        description: settings.description,
        tags: settings.tags,
    }
}

/// What changed between two objects, as the dialect's audit log writes it.
pub(crate) fn changes(before: &impl Serialize, after: &impl Serialize) -> Option<Value> {
    let fields = |value: serde_json::Result<Value>| match value {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(),
    };
    let before = fields(serde_json::to_value(before));
    let after = fields(serde_json::to_value(after));
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let list: Vec<Value> = keys
        .into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| {
            let mut change = Map::new();
            change.insert("key".to_owned(), Value::String(key.clone()));
            for (name, side) in [("old_value", &before), ("new_value", &after)] {
                if let Some(value) = side.get(key).filter(|value| !value.is_null()) {
                    change.insert(name.to_owned(), value.clone());
                }
            }
            Value::Object(change)
        })
        .collect();
    (!list.is_empty()).then_some(Value::Array(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_hold_what_differs_and_leave_nulls_out() {
        let before = json!({"name": "a", "topic": null, "nsfw": false});
        let after = json!({"name": "b", "topic": "t", "nsfw": false});
        assert_eq!(
            changes(&before, &after),
            Some(json!([
                {"key": "name", "old_value": "a", "new_value": "b"},
                {"key": "topic", "new_value": "t"},
            ]))
        );
        assert_eq!(changes(&before, &before), None);
        assert_eq!(
            changes(&json!({"name": "a"}), &json!({})),
            Some(json!([{"key": "name", "old_value": "a"}]))
        );
    }

    #[test]
    fn an_overwrite_never_gives_and_takes_the_same_right() {
        let object = OverwriteObject {
            id: AnyId::new(3),
            kind: 0,
            allow: Chat::VIEW_CHANNEL | Chat::SEND_MESSAGES,
            deny: Chat::SEND_MESSAGES | Chat::EMBED_LINKS,
            trade_allow: Trade::BID,
            trade_deny: Trade::BID | Trade::HOLD,
        };
        let row = OverwriteRow::of(ChannelId::new(1), &object);
        assert_eq!(row.object().deny, Chat::EMBED_LINKS);
        assert_eq!(row.object().trade_deny, Trade::HOLD);
        assert_eq!(row.chat_allow & row.chat_deny, 0);
    }

    #[test]
    fn settings_of_an_old_row_get_defaults() {
        let settings: CommunitySettings =
            serde_json::from_value(json!({"description": "d"})).unwrap();
        assert_eq!(settings.afk_timeout, 300);
        assert_eq!(settings.preferred_locale, "en-US");
        assert_eq!(settings.stored()["description"], "d");
    }
}
