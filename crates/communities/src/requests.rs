//! What requests ask for, and the rules of their fields. Pure.
//!
//! Unknown fields are ignored: stock libraries send more than anybody reads.

mod automod;
mod channels;
mod emojis;
mod members;
mod safety;
mod templates;
mod threads;

use kernel::{ChannelId, Check, UserId};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

pub use automod::AutomodRuleRequest;
pub(crate) use automod::checked_trigger;
pub(crate) use channels::MAX_OVERWRITES;
pub use channels::{CreateChannel, OverwriteRequest, PutOverwrite, UpdateChannel};
pub use emojis::{CreateEmoji, UpdateEmoji};
pub use members::{
    BulkBanRequest, CreateInvite, MoveRole, PruneRequest, RoleColours, RoleRequest, UpdateMember,
};
pub(crate) use members::{PruneRules, checked_moves};
pub use safety::{AppealReport, DecideReport, IncidentActions};
pub use templates::{CreateTemplate, UpdateTemplate};
pub use threads::{DefaultReactionRequest, ForumTagRequest, ThreadsRequest};

use crate::error::{Error, Result};
use crate::raids::RaidProtection;

/// Tells an absent field (`None`) from null (`Some(None)`).
fn present<'de, D, T>(deserializer: D) -> std::result::Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Most tags of a community.
const MAX_TAGS: usize = 5;

/// After how long somebody is away, in seconds.
const AWAY: [i32; 5] = [60, 300, 900, 1800, 3600];

fn away() -> utoipa::openapi::Object {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::Type::Integer)
        .enum_values(Some(AWAY))
        .build()
}

/// A new community.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = communities::CreateCommunity)]
pub struct CreateCommunity {
    /// Name, 2 to 100 characters.
    #[schema(format = "line", min_length = 2, max_length = 100)]
    pub name: String,
}

impl CreateCommunity {
    pub(crate) fn checked(mut self) -> Result<Self> {
        let mut check = Check::default();
        self.name = check.text("/name", &self.name, 2, 100);
        check.done().map_err(Error::Invalid).map(|()| self)
    }
}

/// To whom a community is handed over.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[schema(as = communities::TransferOwnership)]
pub struct TransferOwnership {
    /// A member, no bot.
    pub owner_id: UserId,
}

/// Changes of a community; absent fields stay.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::UpdateCommunity)]
pub struct UpdateCommunity {
    /// Name, 2 to 100 characters.
    #[schema(format = "line", min_length = 2, max_length = 100)]
    pub name: Option<String>,
    /// The member who shall own it from now on; only the owner may hand it over, with a login proved
    /// in the last five minutes.
    pub owner_id: Option<UserId>,
    /// Its picture as `data:image/png;base64,…`; null removes it.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub icon: Option<Option<String>>,
    /// Description, at most 300 characters; null removes it.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = "lines", max_length = 300)]
    pub description: Option<Option<String>>,
    /// 0 to 4.
    #[schema(minimum = 0, maximum = 4)]
    pub verification_level: Option<i32>,
    /// 0 = all messages notify, 1 = mentions only.
    #[schema(minimum = 0, maximum = 1)]
    pub default_message_notifications: Option<i32>,
    /// 0 to 2.
    #[schema(minimum = 0, maximum = 2)]
    pub explicit_content_filter: Option<i32>,
    /// Language tag.
    #[schema(format = "line", min_length = 2, max_length = 35)]
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
    /// Seconds.
    #[schema(schema_with = away)]
    pub afk_timeout: Option<i32>,
    /// Whether anybody may find it and join; then it has a description.
    pub discoverable: Option<bool>,
    /// What it is about, for whoever looks for it: at most 5, each 2 to 20 characters.
    #[schema(max_items = 5)]
    pub tags: Option<Vec<String>>,
    /// When many joins are a raid, and what happens then; null = never.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<RaidProtection>)]
    pub raid_protection: Option<Option<RaidProtection>>,
    /// Which system messages are off, as bits.
    #[schema(minimum = 0, maximum = 63)]
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
        let guard = self.raid_protection.as_ref().and_then(Option::as_ref);
        safety::check_raid_protection(&mut check, guard);
        self.tags = self.tags.map(|tags| checked_tags(&mut check, &tags));
        if let Some(seconds) = self.afk_timeout
            && !AWAY.contains(&seconds)
        {
            let detail = "must be 60, 300, 900, 1800 or 3600";
            check.refuse("/afk_timeout", "OUT_OF_RANGE", detail);
        }
        check.done().map_err(Error::Invalid).map(|()| self)
    }
}

fn checked_tags(check: &mut Check, tags: &[String]) -> Vec<String> {
    if tags.len() > MAX_TAGS {
        check.refuse("/tags", "TOO_LONG", format!("at most {MAX_TAGS}"));
        return Vec::new();
    }
    let checked: Vec<String> = (0..)
        .zip(tags)
        .map(|(at, tag)| check.name(&format!("/tags/{at}"), tag, 2, 20))
        .collect();
    let mut folded: Vec<String> = checked.iter().map(|tag| kernel::tr::fold(tag)).collect();
    folded.sort_unstable();
    folded.dedup();
    if folded.len() != checked.len() {
        check.refuse("/tags", "DUPLICATE", "names one tag twice");
    }
    checked
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use kernel::RoleId;
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
    fn tags_are_few_short_and_differ() {
        let tags =
            |list: Value| pointers(read::<UpdateCommunity>(json!({ "tags": list })).checked());
        assert!(tags(json!(["oto", "ikinci el", "a b", "ç".repeat(20), "x1"])).is_empty());
        assert_eq!(tags(json!(["a1", "a2", "a3", "a4", "a5", "a6"])), ["/tags"]);
        assert_eq!(
            tags(json!(["oto", "x", "ç".repeat(21)])),
            ["/tags/1", "/tags/2"]
        );
        assert_eq!(
            tags(json!(["ışık", "ISIK"])),
            ["/tags"],
            "folded they are one"
        );
    }

    #[test]
    fn bans_of_many_and_prunes_hold_their_bounds() {
        let bans = |count: i64| {
            let ids: Vec<i64> = (1..=count).collect();
            read::<BulkBanRequest>(json!({ "user_ids": ids })).checked()
        };
        assert_eq!(bans(200).unwrap().len(), 200);
        assert_eq!(pointers(bans(201)), ["/user_ids"]);
        assert_eq!(pointers(bans(0)), ["/user_ids"]);
        for (days, good) in [(1, true), (30, true), (0, false), (31, false)] {
            let request: PruneRequest = read(json!({ "days": days }));
            assert_eq!(pointers(request.checked(9)).is_empty(), good, "{days}");
        }
        let rules = PruneRequest::default().checked(9).unwrap();
        assert_eq!((rules.days, rules.counted), (7, true));
        let roles: PruneRequest = read(json!({"include_roles": [1, 2, 3]}));
        assert_eq!(pointers(roles.checked(2)), ["/include_roles"]);
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
