//! What requests ask for, and the rules of their fields. Pure.
//!
//! Unknown fields are ignored: stock libraries send more than anybody reads.

use contracts::communities::{OverwriteObject, channel_kind};
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{AnyId, ChannelId, FieldError, RoleId, UserId};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::error::{Error, Result};

/// Most overwrites of one channel.
pub(crate) const MAX_OVERWRITES: usize = 500;
/// Longest wait between two messages of one member.
const MAX_SLOWMODE_S: i64 = 21_600;
/// Longest life of an invite.
const MAX_INVITE_AGE_S: i64 = 604_800;
/// Most uses of a counted invite.
const MAX_INVITE_USES: i64 = 100;
/// Longest time-out, in days.
const MAX_TIMEOUT_DAYS: i64 = 28;

/// Tells an absent field (`None`) from null (`Some(None)`).
fn present<'de, D, T>(deserializer: D) -> std::result::Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Collects what is wrong with the fields of one request.
#[derive(Default)]
struct Check(Vec<FieldError>);

impl Check {
    /// The text without spaces around it, if its length in characters is allowed.
    fn text(&mut self, pointer: &str, text: &str, min: usize, max: usize) -> String {
        let text = text.trim();
        let length = text.chars().count();
        if length < min {
            let detail = format!("must have at least {min} characters");
            self.0.push(FieldError::new(pointer, "TOO_SHORT", detail));
        } else if length > max {
            let detail = format!("must have at most {max} characters");
            self.0.push(FieldError::new(pointer, "TOO_LONG", detail));
        } else if text.contains('\0') {
            let detail = "must not hold a NUL character";
            self.0.push(FieldError::new(pointer, "INVALID", detail));
        }
        text.to_owned()
    }

    fn range(&mut self, pointer: &str, value: impl Into<i64>, min: i64, max: i64) {
        if !(min..=max).contains(&value.into()) {
            let detail = format!("must be from {min} to {max}");
            self.0
                .push(FieldError::new(pointer, "OUT_OF_RANGE", detail));
        }
    }

    fn refuse(&mut self, pointer: &str, code: &'static str, detail: &str) {
        self.0.push(FieldError::new(pointer, code, detail));
    }

    fn done(self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(self.0))
        }
    }
}

/// A new community.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = communities::CreateCommunity)]
pub struct CreateCommunity {
    /// Name, 2 to 100 characters.
    pub name: String,
}

impl CreateCommunity {
    pub(crate) fn checked(mut self) -> Result<Self> {
        let mut check = Check::default();
        self.name = check.text("/name", &self.name, 2, 100);
        check.done().map(|()| self)
    }
}

/// Changes of a community; absent fields stay.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::UpdateCommunity)]
pub struct UpdateCommunity {
    /// Name, 2 to 100 characters.
    pub name: Option<String>,
    /// The member who shall own it from now on; only the owner may hand it over.
    pub owner_id: Option<UserId>,
    /// Description, at most 300 characters; null removes it.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// 0 to 4.
    pub verification_level: Option<i32>,
    /// 0 = all messages notify, 1 = mentions only.
    pub default_message_notifications: Option<i32>,
    /// 0 to 2.
    pub explicit_content_filter: Option<i32>,
    /// Language tag.
    pub preferred_locale: Option<String>,
    /// Where system messages go; null = nowhere.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<ChannelId>)]
    pub system_channel_id: Option<Option<ChannelId>>,
    /// Where the rules stand; null = nowhere.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<ChannelId>)]
    pub rules_channel_id: Option<Option<ChannelId>>,
    /// Voice channel for the away; null = none.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<ChannelId>)]
    pub afk_channel_id: Option<Option<ChannelId>>,
    /// Seconds: 60, 300, 900, 1800 or 3600.
    pub afk_timeout: Option<i32>,
    /// Which system messages are off, as bits.
    pub system_channel_flags: Option<i32>,
}

impl UpdateCommunity {
    pub(crate) fn checked(mut self) -> Result<Self> {
        let mut check = Check::default();
        if let Some(name) = &self.name {
            self.name = Some(check.text("/name", name, 2, 100));
        }
        if let Some(Some(text)) = &self.description {
            self.description = Some(Some(check.text("/description", text, 0, 300)));
        }
        if let Some(tag) = &self.preferred_locale {
            self.preferred_locale = Some(check.text("/preferred_locale", tag, 2, 35));
        }
        for (pointer, value, max) in [
            ("/verification_level", self.verification_level, 4),
            (
                "/default_message_notifications",
                self.default_message_notifications,
                1,
            ),
            ("/explicit_content_filter", self.explicit_content_filter, 2),
            ("/system_channel_flags", self.system_channel_flags, 63),
        ] {
            if let Some(value) = value {
                check.range(pointer, value, 0, max);
            }
        }
        if let Some(seconds) = self.afk_timeout
            && ![60, 300, 900, 1800, 3600].contains(&seconds)
        {
            let detail = "must be 60, 300, 900, 1800 or 3600";
            check.refuse("/afk_timeout", "OUT_OF_RANGE", detail);
        }
        check.done().map(|()| self)
    }
}

/// A new channel.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = communities::CreateChannel)]
pub struct CreateChannel {
    /// Name, 1 to 100 characters.
    pub name: String,
    /// 0 text, 2 voice, 4 category, 5 announcements.
    #[serde(default, rename = "type")]
    pub kind: Option<i16>,
    /// What it is about, at most 1,024 characters.
    #[serde(default)]
    pub topic: Option<String>,
    /// The category it stands under.
    #[serde(default)]
    pub parent_id: Option<ChannelId>,
    /// Whether it is for adults.
    #[serde(default)]
    pub nsfw: Option<bool>,
    /// Seconds a member waits between messages, 0 to 21,600.
    #[serde(default)]
    pub rate_limit_per_user: Option<i32>,
    /// Order among its siblings; last when absent.
    #[serde(default)]
    pub position: Option<i32>,
    /// What it changes for roles and members.
    #[serde(default)]
    pub permission_overwrites: Option<Vec<OverwriteRequest>>,
}

impl CreateChannel {
    pub(crate) fn checked(mut self) -> Result<Self> {
        let mut check = Check::default();
        self.name = check.text("/name", &self.name, 1, 100);
        let kind = *self.kind.get_or_insert(channel_kind::TEXT);
        if !creatable(kind) {
            check.refuse("/type", "INVALID", "must be 0, 2, 4 or 5");
        }
        self.topic = check_topic(&mut check, self.topic);
        if kind == channel_kind::CATEGORY && self.parent_id.is_some() {
            check.refuse("/parent_id", "INVALID", "a category stands under nothing");
        }
        check_numbers(&mut check, self.rate_limit_per_user, self.position);
        check_overwrites(&mut check, self.permission_overwrites.as_deref());
        check.done().map(|()| self)
    }
}

/// Changes of a channel; absent fields stay.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::UpdateChannel)]
pub struct UpdateChannel {
    /// Name, 1 to 100 characters.
    pub name: Option<String>,
    /// Only between 0 (text) and 5 (announcements).
    #[serde(rename = "type")]
    pub kind: Option<i16>,
    /// What it is about, at most 1,024 characters; null removes it.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub topic: Option<Option<String>>,
    /// The category it stands under; null = none.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<ChannelId>)]
    pub parent_id: Option<Option<ChannelId>>,
    /// Whether it is for adults.
    pub nsfw: Option<bool>,
    /// Seconds a member waits between messages, 0 to 21,600.
    pub rate_limit_per_user: Option<i32>,
    /// Order among its siblings.
    pub position: Option<i32>,
    /// Replaces all overwrites.
    pub permission_overwrites: Option<Vec<OverwriteRequest>>,
}

impl UpdateChannel {
    pub(crate) fn checked(mut self) -> Result<Self> {
        let mut check = Check::default();
        if let Some(name) = &self.name {
            self.name = Some(check.text("/name", name, 1, 100));
        }
        self.topic = self.topic.map(|topic| check_topic(&mut check, topic));
        check_numbers(&mut check, self.rate_limit_per_user, self.position);
        check_overwrites(&mut check, self.permission_overwrites.as_deref());
        check.done().map(|()| self)
    }
}

fn creatable(kind: i16) -> bool {
    [
        channel_kind::TEXT,
        channel_kind::VOICE,
        channel_kind::CATEGORY,
        channel_kind::ANNOUNCEMENT,
    ]
    .contains(&kind)
}

/// An empty topic is none.
fn check_topic(check: &mut Check, topic: Option<String>) -> Option<String> {
    let topic = check.text("/topic", &topic?, 0, 1024);
    (!topic.is_empty()).then_some(topic)
}

fn check_numbers(check: &mut Check, slowmode: Option<i32>, position: Option<i32>) {
    if let Some(seconds) = slowmode {
        check.range("/rate_limit_per_user", seconds, 0, MAX_SLOWMODE_S);
    }
    if let Some(position) = position {
        check.range("/position", position, 0, 9_999);
    }
}

fn check_overwrites(check: &mut Check, overwrites: Option<&[OverwriteRequest]>) {
    let overwrites = overwrites.unwrap_or_default();
    if overwrites.len() > MAX_OVERWRITES {
        let detail = format!("at most {MAX_OVERWRITES}");
        check.refuse("/permission_overwrites", "TOO_LONG", &detail);
    }
    let mut ids: Vec<AnyId> = overwrites.iter().map(|o| o.id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() != overwrites.len() {
        let detail = "names a role or member twice";
        check.refuse("/permission_overwrites", "DUPLICATE", detail);
    }
    for (at, overwrite) in overwrites.iter().enumerate() {
        let pointer = format!("/permission_overwrites/{at}/type");
        check.range(&pointer, overwrite.kind, 0, 1);
    }
}

/// An overwrite in a channel's list.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = communities::OverwriteRequest)]
pub struct OverwriteRequest {
    /// A role's or a member's id.
    pub id: AnyId,
    /// 0 = role, 1 = member.
    #[serde(rename = "type")]
    pub kind: i16,
    /// Rights given.
    #[serde(default)]
    pub allow: Option<Chat>,
    /// Rights taken.
    #[serde(default)]
    pub deny: Option<Chat>,
}

impl OverwriteRequest {
    pub(crate) fn object(&self) -> OverwriteObject {
        OverwriteObject {
            id: self.id,
            kind: self.kind,
            allow: self.allow.unwrap_or_default(),
            deny: self.deny.unwrap_or_default(),
        }
    }
}

/// An overwrite whose target stands in the path.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[schema(as = communities::PutOverwrite)]
pub struct PutOverwrite {
    /// 0 = role, 1 = member.
    #[serde(rename = "type")]
    pub kind: i16,
    /// Rights given.
    #[serde(default)]
    pub allow: Option<Chat>,
    /// Rights taken.
    #[serde(default)]
    pub deny: Option<Chat>,
}

impl PutOverwrite {
    pub(crate) fn checked(self, target: AnyId) -> Result<OverwriteObject> {
        let mut check = Check::default();
        check.range("/type", self.kind, 0, 1);
        check.done()?;
        let Self { kind, allow, deny } = self;
        let id = target;
        Ok(OverwriteRequest {
            id,
            kind,
            allow,
            deny,
        }
        .object())
    }
}

/// The colours of a role, as newer libraries send them; the first counts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = communities::RoleColours)]
pub struct RoleColours {
    /// RGB.
    #[serde(default)]
    pub primary_color: Option<i32>,
}

/// A new role, or changes of one; absent fields stay or get their default.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::RoleRequest)]
pub struct RoleRequest {
    /// Name, 1 to 100 characters; "new role" by default.
    pub name: Option<String>,
    /// Rights; everyone's by default.
    pub permissions: Option<Chat>,
    /// RGB, 0 = none.
    pub color: Option<i32>,
    /// The same in the newer form.
    pub colors: Option<RoleColours>,
    /// Shown apart in the member list.
    pub hoist: Option<bool>,
    /// Whether everyone may mention it.
    pub mentionable: Option<bool>,
}

impl RoleRequest {
    pub(crate) fn checked(mut self) -> Result<Self> {
        let mut check = Check::default();
        if let Some(name) = &self.name {
            self.name = Some(check.text("/name", name, 1, 100));
        }
        if self.color.is_none() {
            self.color = self.colors.and_then(|colours| colours.primary_color);
        }
        if let Some(colour) = self.color {
            check.range("/color", colour, 0, 0xFF_FF_FF);
        }
        check.done().map(|()| self)
    }
}

/// A role's new place.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[schema(as = communities::MoveRole)]
pub struct MoveRole {
    /// The role.
    pub id: RoleId,
    /// Its position, from 1.
    #[serde(default)]
    pub position: Option<i32>,
}

/// Checks a list of new places.
pub(crate) fn checked_moves(moves: &[MoveRole], most: usize) -> Result<()> {
    let mut check = Check::default();
    if moves.len() > most {
        check.refuse("", "TOO_LONG", &format!("at most {most}"));
    }
    let mut ids: Vec<RoleId> = moves.iter().map(|one| one.id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() != moves.len() {
        check.refuse("", "DUPLICATE", "names a role twice");
    }
    for (at, one) in moves.iter().enumerate() {
        if let Some(position) = one.position {
            check.range(&format!("/{at}/position"), position, 1, 9_999);
        }
    }
    check.done()
}

/// Changes of a member; absent fields stay.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::UpdateMember)]
pub struct UpdateMember {
    /// Name in this community, at most 32 characters; null or empty removes it.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub nick: Option<Option<String>>,
    /// All roles besides everyone.
    pub roles: Option<Vec<RoleId>>,
    /// Until when a time-out runs, at most 28 days ahead; null ends it.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub communication_disabled_until: Option<Option<Timestamp>>,
}

impl UpdateMember {
    pub(crate) fn checked(mut self, at: Timestamp, most_roles: usize) -> Result<Self> {
        let mut check = Check::default();
        if let Some(nick) = self.nick.take() {
            let nick = check.text("/nick", nick.as_deref().unwrap_or_default(), 0, 32);
            self.nick = Some((!nick.is_empty()).then_some(nick));
        }
        if let Some(roles) = &mut self.roles {
            if roles.len() > most_roles {
                check.refuse("/roles", "TOO_LONG", &format!("at most {most_roles}"));
            }
            roles.sort_unstable();
            roles.dedup();
        }
        if let Some(Some(until)) = self.communication_disabled_until {
            let ahead_s = until.as_second().saturating_sub(at.as_second());
            if ahead_s > MAX_TIMEOUT_DAYS * 86_400 {
                let detail = format!("at most {MAX_TIMEOUT_DAYS} days ahead");
                check.refuse("/communication_disabled_until", "OUT_OF_RANGE", &detail);
            }
        }
        check.done().map(|()| self)
    }
}

/// A new invite.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::CreateInvite)]
pub struct CreateInvite {
    /// Seconds it lives, 0 = for ever, at most 604,800; a day by default.
    pub max_age: Option<i32>,
    /// How many may join by it, 0 = any number, at most 100.
    pub max_uses: Option<i32>,
    /// Membership that ends with the connection; only false is possible.
    pub temporary: Option<bool>,
}

impl CreateInvite {
    pub(crate) fn checked(self) -> Result<(i32, i32)> {
        let mut check = Check::default();
        let age = self.max_age.unwrap_or(86_400);
        let uses = self.max_uses.unwrap_or(0);
        check.range("/max_age", age, 0, MAX_INVITE_AGE_S);
        check.range("/max_uses", uses, 0, MAX_INVITE_USES);
        if self.temporary == Some(true) {
            let detail = "membership that ends with the connection is not offered";
            check.refuse("/temporary", "NOT_SUPPORTED", detail);
        }
        check.done().map(|()| (age, uses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn pointers<T>(result: Result<T>) -> Vec<String> {
        match result {
            Ok(_) => Vec::new(),
            Err(Error::Invalid(fields)) => fields.into_iter().map(|f| f.pointer).collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded_at_both_ends() {
        for (name, good) in [
            ("ab".to_owned(), true),
            ("ş".repeat(100), true),
            ("a".to_owned(), false),
            (" a ".to_owned(), false),
            ("ş".repeat(101), false),
            ("a\0b".to_owned(), false),
        ] {
            let new = CreateCommunity { name: name.clone() };
            assert_eq!(pointers(new.checked()).is_empty(), good, "{name:?}");
        }
        let new = CreateCommunity {
            name: " ab ".into(),
        };
        assert_eq!(new.checked().unwrap().name, "ab");
    }

    #[test]
    fn channels_are_checked_field_by_field() {
        for (body, bad) in [
            (json!({"name": "a"}), vec![]),
            (json!({"name": "a", "type": 1}), vec!["/type"]),
            (
                json!({"name": "", "topic": "t".repeat(1025)}),
                vec!["/name", "/topic"],
            ),
            (json!({"name": "a", "topic": "t".repeat(1024)}), vec![]),
            (
                json!({"name": "a", "rate_limit_per_user": 21600, "position": 0}),
                vec![],
            ),
            (
                json!({"name": "a", "rate_limit_per_user": 21601, "position": -1}),
                vec!["/rate_limit_per_user", "/position"],
            ),
            (
                json!({"name": "a", "type": 4, "parent_id": "5"}),
                vec!["/parent_id"],
            ),
            (
                json!({"name": "a", "permission_overwrites": [{"id": "1", "type": 2}]}),
                vec!["/permission_overwrites/0/type"],
            ),
            (
                json!({"name": "a", "permission_overwrites": [
                    {"id": "1", "type": 0, "allow": "1024"}, {"id": 1, "type": 0}]}),
                vec!["/permission_overwrites"],
            ),
        ] {
            let result = read::<CreateChannel>(body.clone()).checked();
            assert_eq!(pointers(result), bad, "{body}");
        }
        let many: Vec<Value> = (0..501).map(|id| json!({"id": id, "type": 1})).collect();
        let body = json!({"name": "a", "permission_overwrites": many});
        assert_eq!(pointers(read::<CreateChannel>(body).checked()).len(), 1);
    }

    #[test]
    fn null_is_told_from_absent() {
        let patch: UpdateChannel = read(json!({"topic": null}));
        assert_eq!((patch.topic, patch.parent_id), (Some(None), None));
        let patch: UpdateChannel = read(json!({"topic": "", "parent_id": "7"}));
        let patch = patch.checked().unwrap();
        assert_eq!(patch.topic, Some(None));
        assert_eq!(patch.parent_id, Some(Some(ChannelId::new(7))));
    }

    #[test]
    fn invites_time_outs_and_colours_hold_their_bounds() {
        for (age, uses, good) in [
            (0, 0, true),
            (604_800, 100, true),
            (604_801, 0, false),
            (0, 101, false),
            (-1, 0, false),
        ] {
            let new: CreateInvite = read(json!({"max_age": age, "max_uses": uses}));
            assert_eq!(pointers(new.checked()).is_empty(), good, "{age} {uses}");
        }
        assert_eq!(CreateInvite::default().checked().unwrap(), (86_400, 0));
        let temporary: CreateInvite = read(json!({"temporary": true}));
        assert_eq!(pointers(temporary.checked()), ["/temporary"]);
        let at: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        for (until, good) in [
            ("2026-11-29T00:00:00Z", true),
            ("2026-11-29T00:00:01Z", false),
        ] {
            let patch: UpdateMember = read(json!({"communication_disabled_until": until}));
            assert_eq!(pointers(patch.checked(at, 250)).is_empty(), good, "{until}");
        }
        let role: RoleRequest = read(json!({"colors": {"primary_color": 0xFF_FF_FF}}));
        assert_eq!(role.checked().unwrap().color, Some(0xFF_FF_FF));
        let role: RoleRequest = read(json!({"color": 0x100_0000}));
        assert_eq!(pointers(role.checked()), ["/color"]);
    }

    #[test]
    fn a_list_of_places_is_bounded() {
        let one = |id: i64, position: i32| MoveRole {
            id: RoleId::new(id),
            position: Some(position),
        };
        assert!(checked_moves(&[one(1, 1), one(2, 9_999)], 2).is_ok());
        assert!(checked_moves(&[one(1, 1), one(2, 1)], 1).is_err());
        assert!(checked_moves(&[one(1, 0)], 2).is_err());
        assert!(checked_moves(&[one(1, 10_000)], 2).is_err());
        assert!(checked_moves(&[one(1, 1), one(1, 2)], 2).is_err());
    }
}
