//! What one can be told of: the names of events outside, and who may see each. Pure.

/// An event one can subscribe to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Its name outside.
    pub(crate) name: &'static str,
    /// The event it is made from.
    pub(crate) from: &'static str,
    pub(crate) sight: Sight,
}

/// What it takes to see an event, and where what it tells comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// A message: whoever may read its channel.
    Message,
    /// The same for one that is gone.
    MessageGone,
    /// A channel: whoever sees it.
    Channel,
    /// The same for one that is gone: whoever manages channels.
    ChannelGone,
    /// A role: every member.
    Role,
    /// The same for one that is gone.
    RoleGone,
    /// A member: every person; of applications those with the intent for members.
    Member,
    /// The same for one that left.
    MemberGone,
    /// The community itself: every member.
    Community,
    /// Only the application that it is about.
    Own,
}

const fn kind(name: &'static str, from: &'static str, sight: Sight) -> Kind {
    Kind { name, from, sight }
}

/// All of them.
pub(crate) const KINDS: &[Kind] = &[
    kind(
        "message.created",
        "messaging.message_created.v1",
        Sight::Message,
    ),
    kind(
        "message.updated",
        "messaging.message_updated.v1",
        Sight::Message,
    ),
    kind(
        "message.deleted",
        "messaging.message_deleted.v1",
        Sight::MessageGone,
    ),
    kind(
        "channel.created",
        "communities.channel_created.v1",
        Sight::Channel,
    ),
    kind(
        "channel.updated",
        "communities.channel_updated.v1",
        Sight::Channel,
    ),
    kind(
        "channel.deleted",
        "communities.channel_deleted.v1",
        Sight::ChannelGone,
    ),
    kind("role.created", "communities.role_created.v1", Sight::Role),
    kind("role.updated", "communities.role_updated.v1", Sight::Role),
    kind(
        "role.deleted",
        "communities.role_deleted.v1",
        Sight::RoleGone,
    ),
    kind(
        "member.joined",
        "communities.member_joined.v1",
        Sight::Member,
    ),
    kind(
        "member.updated",
        "communities.member_updated.v1",
        Sight::Member,
    ),
    kind(
        "member.left",
        "communities.member_left.v1",
        Sight::MemberGone,
    ),
    kind(
        "community.updated",
        "communities.community_updated.v1",
        Sight::Community,
    ),
    kind(
        "application.installed",
        "applications.installed.v1",
        Sight::Own,
    ),
    kind(
        "application.uninstalled",
        "applications.uninstalled.v1",
        Sight::Own,
    ),
];

/// The events of the bus that are listened to.
pub(crate) const SOURCES: &[&str] = &[
    "messaging.message_created.v1",
    "messaging.message_updated.v1",
    "messaging.message_deleted.v1",
    "communities.channel_created.v1",
    "communities.channel_updated.v1",
    "communities.channel_deleted.v1",
    "communities.role_created.v1",
    "communities.role_updated.v1",
    "communities.role_deleted.v1",
    "communities.member_joined.v1",
    "communities.member_updated.v1",
    "communities.member_left.v1",
    "communities.community_updated.v1",
    "applications.installed.v1",
    "applications.uninstalled.v1",
];

/// What a test delivery is called; nobody subscribes to it.
pub(crate) const TEST: &str = "webhook.test";

/// The event of this name.
pub(crate) fn by_name(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// The event that is made from one of the bus.
pub(crate) fn by_source(from: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.from == from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_one_name_and_one_source() {
        let sources: Vec<&str> = KINDS.iter().map(|kind| kind.from).collect();
        assert_eq!(sources, SOURCES);
        for kind in KINDS {
            assert_eq!(by_name(kind.name), Some(kind));
            assert_eq!(by_source(kind.from), Some(kind));
        }
        assert_eq!(by_name(TEST), None);
    }
}
