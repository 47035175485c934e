//! Who reads what: a seat is one reader's place in one channel.

use std::collections::HashMap;

use contracts::communities::{ChannelAccess, Snapshot, channel_kind};
use contracts::messaging::NotificationLevel;
use kernel::perm::Chat;
use kernel::{ChannelId, CommunityId, MessageId, RoleId, UserId};

use crate::Messaging;
use crate::error::Error;
use crate::places::{Home, Inside, PRIVATE, Place};
use crate::sql;

/// Most communities, and most channels, that communities are asked about at once.
const ASKED_AT_ONCE: usize = 200;

/// A reader's seat in a channel: what decides what there is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) user: UserId,
    pub(crate) channel: ChannelId,
    pub(crate) community: Option<CommunityId>,
    /// Messages below it are from before the reader joined; 0 where members are added by `seq`.
    pub(crate) since: MessageId,
    /// Roles of the reader in the community.
    pub(crate) roles: Vec<RoleId>,
}

/// Everything a user may read.
pub(crate) struct Seats {
    pub(crate) all: Vec<Seat>,
    /// What members of a community are told of unless they set something.
    pub(crate) usual: HashMap<CommunityId, NotificationLevel>,
}

impl Seat {
    /// Of somebody who sees a place.
    pub(crate) fn of(user: UserId, place: &Place) -> Self {
        match &place.inside {
            Inside::Private(_) => Seat::private(user, place.channel),
            Inside::Community(access) => Seat::in_community(user, access),
        }
    }

    /// Of a member of a private channel.
    pub(crate) fn private(user: UserId, channel: ChannelId) -> Self {
        Seat {
            user,
            channel,
            community: None,
            since: MessageId::new(0),
            roles: Vec::new(),
        }
    }

    pub(crate) fn in_community(user: UserId, access: &ChannelAccess) -> Self {
        Seat {
            user,
            channel: access.channel,
            community: Some(access.community),
            since: MessageId::floor_at(access.joined_at),
            roles: access.roles.clone(),
        }
    }

    fn in_snapshot(user: UserId, snapshot: &Snapshot) -> impl Iterator<Item = Seat> {
        snapshot
            .channels
            .iter()
            .filter(|channel| channel_kind::holds_messages(channel.kind))
            .map(move |channel| Seat {
                user,
                channel: channel.id,
                community: Some(snapshot.guild.id),
                since: MessageId::floor_at(snapshot.joined_at),
                roles: snapshot.own.roles.clone(),
            })
    }
}

impl Messaging {
    /// Every channel a user may read.
    pub(crate) async fn seats(&self, user: UserId) -> Result<Seats, Error> {
        let memberships = self.communities.memberships(user).await?;
        let ids: Vec<CommunityId> = memberships.iter().map(|m| m.community).collect();
        let (mut all, mut usual) = (Vec::new(), HashMap::new());
        for part in ids.chunks(ASKED_AT_ONCE) {
            for snapshot in self.communities.snapshots(part, user).await? {
                all.extend(Seat::in_snapshot(user, &snapshot));
                usual.insert(snapshot.guild.id, usual_in(&snapshot));
            }
        }
        let private = sql::list_private_ids(&self.db, user).await?;
        all.extend(
            private
                .into_iter()
                .map(|channel| Seat::private(user, channel)),
        );
        Ok(Seats { all, usual })
    }

    /// Those of `channels` that a user may read; the others are left out.
    pub(crate) async fn seats_in(
        &self,
        user: UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<Seat>, Error> {
        let seats = self.rights_in(user, channels).await?;
        Ok(seats.into_iter().map(|(seat, _)| seat).collect())
    }

    /// The same, with what the user may do there.
    pub(crate) async fn rights_in(
        &self,
        user: UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<(Seat, Chat)>, Error> {
        let homes = self.homes_of(channels).await?;
        let (mut seats, mut asked) = (Vec::with_capacity(channels.len()), Vec::new());
        for channel in channels {
            match homes.get(channel) {
                Some(Home::Private(members)) if members.contains(&user) => {
                    seats.push((Seat::private(user, *channel), PRIVATE));
                }
                Some(Home::Private(_)) => {}
                Some(Home::Community) | None => asked.push(*channel),
            }
        }
        for part in asked.chunks(ASKED_AT_ONCE) {
            let found = self.communities.access(user, part).await?;
            let readable = found.iter().filter(|access| {
                access.chat.has(Chat::VIEW_CHANNEL) && channel_kind::holds_messages(access.kind)
            });
            seats.extend(readable.map(|access| (Seat::in_community(user, access), access.chat)));
        }
        Ok(seats)
    }

    /// The members of a private channel.
    pub(crate) async fn members_of(&self, channel: ChannelId) -> Result<Vec<UserId>, Error> {
        let homes = self.homes_of(&[channel]).await?;
        Ok(match homes.get(&channel) {
            Some(Home::Private(members)) => members.to_vec(),
            Some(Home::Community) | None => Vec::new(),
        })
    }

    /// To whom channels belong, as far as their rows tell; deleted ones belong to nobody.
    async fn homes_of(&self, channels: &[ChannelId]) -> Result<HashMap<ChannelId, Home>, Error> {
        let mut homes = HashMap::with_capacity(channels.len());
        let mut missing = Vec::new();
        for channel in channels {
            match self.homes.get(channel) {
                Some(home) => drop(homes.insert(*channel, home)),
                None => missing.push(*channel),
            }
        }
        if !missing.is_empty() {
            for row in sql::list_homes(&self.db, &missing).await? {
                let home = match row.community_id {
                    _ if row.deleted => Home::Private(Vec::new().into()),
                    Some(_) => Home::Community,
                    None => Home::Private(row.members.into()),
                };
                if !row.deleted {
                    self.homes.insert(row.id, home.clone());
                }
                homes.insert(row.id, home);
            }
        }
        Ok(homes)
    }
}

/// What the dialect's community says its members are told of.
fn usual_in(snapshot: &Snapshot) -> NotificationLevel {
    match snapshot.guild.default_message_notifications {
        1 => NotificationLevel::Mentions,
        _ => NotificationLevel::All,
    }
}
