//! Subscriptions as they are stored and shown, and the rules of requests. Pure.

use db::FromRow;
use jiff::Timestamp;
use kernel::{ApplicationId, Check, CommunityId, Id, SubscriptionId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::kinds::{self, Sight};
use crate::error::{Error, Result};

/// Longest address, in characters.
const MAX_URL: usize = 2_048;
/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 200;

/// Whose subscriptions they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// An application: it is told what its bot may see.
    Application(ApplicationId),
    /// A community: its subscriptions tell what their maker may see.
    Community(CommunityId),
}

impl Owner {
    /// Of the two columns, of which a constraint fills one.
    pub(crate) fn of(
        application: Option<ApplicationId>,
        community: Option<CommunityId>,
    ) -> Option<Self> {
        let community = community.map(Owner::Community);
        application.map(Owner::Application).or(community)
    }

    pub(crate) fn application(self) -> Option<ApplicationId> {
        match self {
            Owner::Application(id) => Some(id),
            Owner::Community(_) => None,
        }
    }

    pub(crate) fn community(self) -> Option<CommunityId> {
        match self {
            Owner::Application(_) => None,
            Owner::Community(id) => Some(id),
        }
    }

    /// The number in its path.
    pub(crate) fn number(self) -> i64 {
        match self {
            Owner::Application(id) => id.get(),
            Owner::Community(id) => id.get(),
        }
    }
}

/// Paths that can stand before a subscription; the same handlers serve all.
pub(crate) trait Owns: Sized {
    /// The owner with this number.
    fn owner(id: Id<Self>) -> Owner;
}

impl Owns for kernel::id::kind::Application {
    fn owner(id: Id<Self>) -> Owner {
        Owner::Application(id)
    }
}

impl Owns for kernel::id::kind::Community {
    fn owner(id: Id<Self>) -> Owner {
        Owner::Community(id)
    }
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct SubscriptionRow {
    pub(crate) id: SubscriptionId,
    pub(crate) application_id: Option<ApplicationId>,
    pub(crate) community_id: Option<CommunityId>,
    pub(crate) creator_id: UserId,
    pub(crate) url: String,
    pub(crate) description: String,
    pub(crate) events: Vec<String>,
    pub(crate) old_secret_until: Option<Timestamp>,
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) disabled_at: Option<Timestamp>,
    pub(crate) disabled_reason: Option<String>,
    pub(crate) created_at: Timestamp,
}

/// Why a subscription is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Off {
    /// Its owner switched it off.
    Owner,
    /// Its address only failed for 120 hours.
    Failing,
    /// Its address said that it is gone.
    Gone,
    /// More waits for its address than may wait.
    Backlog,
    /// Whoever made it may not see what it tells any more.
    Rights,
}

impl Off {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Off::Owner => "owner",
            Off::Failing => "failing",
            Off::Gone => "gone",
            Off::Backlog => "backlog",
            Off::Rights => "rights",
        }
    }
}

/// A wish to be told of events at an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = applications::Subscription)]
pub struct Subscription {
    /// The subscription.
    pub id: SubscriptionId,
    /// Whose it is, if an application's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_id: Option<ApplicationId>,
    /// Whose it is, if a community's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guild_id: Option<CommunityId>,
    /// Who made it.
    pub creator_id: UserId,
    /// Where events go.
    pub url: String,
    /// What it is for.
    pub description: String,
    /// Names of the events.
    pub events: Vec<String>,
    /// Whether events are sent.
    pub enabled: bool,
    /// Why not: `owner`, `failing`, `gone`, `backlog` or `rights`.
    pub disabled_reason: Option<String>,
    /// Since when every attempt fails.
    #[serde(with = "kernel::time::dialect_form::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<Timestamp>,
    /// Until when the secret before the present one signs, too.
    #[serde(with = "kernel::time::dialect_form::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub old_secret_until: Option<Timestamp>,
    /// When it was made.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A subscription with its secret, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = applications::SubscriptionSecret)]
pub struct WithSecret {
    /// The subscription.
    #[serde(flatten)]
    pub subscription: Subscription,
    /// What receivers check signatures with.
    pub secret: String,
}

/// A new subscription.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = applications::CreateSubscription)]
pub struct CreateSubscription {
    /// Where events go: https, at most 2,048 characters.
    #[schema(max_length = 2048)]
    pub url: String,
    /// Names of events, at least one.
    pub events: Vec<String>,
    /// What it is for, at most 200 characters.
    #[serde(default)]
    #[schema(format = "line", max_length = 200)]
    pub description: String,
}

/// Changes of a subscription; absent fields stay.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = applications::UpdateSubscription)]
pub struct UpdateSubscription {
    /// Where events go.
    #[schema(max_length = 2048)]
    pub url: Option<String>,
    /// Names of events, at least one.
    pub events: Option<Vec<String>>,
    /// What it is for.
    #[schema(format = "line", max_length = 200)]
    pub description: Option<String>,
    /// On or off. What waits goes out when it is on again.
    pub enabled: Option<bool>,
}

impl SubscriptionRow {
    pub(crate) fn object(self) -> Subscription {
        Subscription {
            id: self.id,
            application_id: self.application_id,
            guild_id: self.community_id,
            creator_id: self.creator_id,
            url: self.url,
            description: self.description,
            events: self.events,
            enabled: self.disabled_at.is_none(),
            disabled_reason: self.disabled_reason,
            failing_since: self.failing_since,
            old_secret_until: self.old_secret_until,
            created_at: self.created_at,
        }
    }

    /// What encryption binds secrets to.
    pub(crate) fn bound(id: SubscriptionId) -> Vec<u8> {
        [b"subscription".as_slice(), &id.get().to_be_bytes()].concat()
    }
}

/// What a subscription shall be, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) url: String,
    pub(crate) events: Vec<String>,
    pub(crate) description: String,
}

impl Wanted {
    /// Checks all fields but whether the address may be called.
    pub(crate) fn checked(new: CreateSubscription, owner: Owner) -> Result<Self> {
        let mut check = Check::default();
        let url = check.text("/url", &new.url, 1, MAX_URL);
        if url.contains('#') || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            check.refuse(
                "/url",
                "INVALID",
                "an address without a fragment and blanks",
            );
        }
        let description = check.name("/description", &new.description, 0, MAX_DESCRIPTION);
        let mut events = new.events;
        events.sort_unstable();
        events.dedup();
        if events.is_empty() {
            check.refuse("/events", "TOO_SHORT", "at least one event");
        }
        for name in &events {
            let known = kinds::by_name(name);
            let known =
                known.filter(|kind| kind.sight != Sight::Own || owner.community().is_none());
            if known.is_none() {
                // The text is the caller's own.
                check.refuse("/events", "UNKNOWN", format!("no such event: {name}"));
            }
        }
        let wanted = Wanted {
            url,
            events,
            description,
        };
        check.done().map_err(Error::Invalid).map(|()| wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_events_and_descriptions_are_checked() {
        let application = Owner::Application(ApplicationId::new(1));
        let community = Owner::Community(CommunityId::new(1));
        let long = format!("https://e.example/{}", "a".repeat(2_030));
        let good = "https://e.example/";
        let (created, too_long) = ("message.created", format!("{long}a"));
        for (owner, url, event, description, is_good) in [
            (community, good, created, 0, true),
            (community, &long, created, 200, true),
            (community, &too_long, created, 0, false),
            (community, "https://e.example/#x", created, 0, false),
            (community, "https://e.example/ x", created, 0, false),
            (community, "", created, 0, false),
            (community, good, "", 0, false),
            (community, good, "message.born", 0, false),
            (community, good, "webhook.test", 0, false),
            (community, good, created, 201, false),
            (community, good, "application.installed", 0, false),
            (application, good, "application.installed", 0, true),
        ] {
            let events = Some(event).filter(|name| !name.is_empty());
            let new = CreateSubscription {
                url: url.to_owned(),
                events: events.into_iter().map(str::to_owned).collect(),
                description: "d".repeat(description),
            };
            let checked = Wanted::checked(new, owner).is_ok();
            assert_eq!(checked, is_good, "{url} {event:?}");
        }
    }
}
