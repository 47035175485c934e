//! Where a caller stands: the channel, to whom it belongs, and what the caller may do in it.

use std::sync::Arc;

use contracts::communities::{ChannelAccess, Member, channel_kind};
use infra::fanout::Topic;
use kernel::perm::{Chat, Trade};
use kernel::{Caller, ChannelId, CommunityId, UserId};

use crate::Messaging;
use crate::error::Error;
use crate::sql;

/// What membership of a private channel gives.
pub(crate) const PRIVATE: Chat = Chat::from_bits(
    (1 << 6) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 14) | (1 << 15) | (1 << 16),
);

/// To whom a channel with a row belongs.
#[derive(Debug, Clone)]
pub(crate) enum Home {
    /// A community's; its context knows the rights.
    Community,
    /// Its members'.
    Private(Arc<[UserId]>),
}

/// A channel the caller may see.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) channel: ChannelId,
    pub(crate) rights: Chat,
    /// Whether the counter row is known to be there.
    pub(crate) has_row: bool,
    pub(crate) inside: Inside,
}

/// What else is known of a channel.
#[derive(Debug, Clone)]
pub(crate) enum Inside {
    Community(Box<ChannelAccess>),
    Private(Arc<[UserId]>),
}

impl Place {
    /// Fails without the right.
    pub(crate) fn needs(&self, right: Chat) -> Result<(), Error> {
        if self.rights.has(right) {
            Ok(())
        } else {
            Err(Error::MissingPermission)
        }
    }

    pub(crate) fn community(&self) -> Option<CommunityId> {
        match &self.inside {
            Inside::Community(access) => Some(access.community),
            Inside::Private(_) => None,
        }
    }

    pub(crate) fn topic(&self) -> Topic {
        match &self.inside {
            Inside::Community(access) => Topic::Community(access.community),
            Inside::Private(_) => Topic::Channel(self.channel),
        }
    }

    pub(crate) fn epoch(&self) -> i32 {
        match &self.inside {
            Inside::Community(access) => access.epoch,
            Inside::Private(_) => 0,
        }
    }

    /// The caller as a member, without the user inside.
    pub(crate) fn member(&self) -> Option<Member> {
        match &self.inside {
            Inside::Community(access) => Some(Member {
                user: None,
                nick: access.nick.clone(),
                roles: access.roles.clone(),
                joined_at: access.joined_at,
                communication_disabled_until: access.timeout_until,
                flags: 0,
                mute: false,
                deaf: false,
            }),
            Inside::Private(_) => None,
        }
    }

    /// Everybody in a private channel.
    pub(crate) fn private_members(&self) -> &[UserId] {
        match &self.inside {
            Inside::Community(_) => &[],
            Inside::Private(members) => members,
        }
    }
}

impl Messaging {
    /// Finds the channel and the rights of the caller in it; fails unless it may be seen. Private
    /// channels are there for nobody who acts in a user's name.
    pub(crate) async fn enter(&self, caller: &Caller, channel: ChannelId) -> Result<Place, Error> {
        let user = caller.user;
        let home = self.home(channel).await?;
        if let Some(Home::Private(members)) = &home {
            if !members.contains(&user) || caller.act.is_some() {
                return Err(Error::UnknownChannel);
            }
            let inside = Inside::Private(Arc::clone(members));
            return Ok(Place {
                channel,
                rights: PRIVATE,
                has_row: true,
                inside,
            });
        }
        let found = self.communities.access(user, &[channel]).await?;
        let access = found
            .into_iter()
            .find(|access| access.channel == channel)
            .ok_or(Error::UnknownChannel)?;
        if !access.chat.has(Chat::VIEW_CHANNEL) {
            return Err(Error::MissingAccess);
        }
        if !channel_kind::holds_messages(access.kind) {
            return Err(Error::WrongChannelKind);
        }
        let (rights, has_row) = (access.chat, home.is_some());
        Ok(Place {
            channel,
            rights,
            has_row,
            inside: Inside::Community(Box::new(access)),
        })
    }

    /// A channel as time finds it, for what nobody does: with the rights of nobody.
    pub(crate) async fn unattended(&self, channel: ChannelId) -> Result<Place, Error> {
        let home = sql::list_homes(&self.db, &[channel]).await?.pop();
        let home = home.filter(|home| !home.deleted);
        let home = home.ok_or(Error::UnknownChannel)?;
        let inside = match home.community_id {
            None => Inside::Private(home.members.into()),
            Some(community) => Inside::Community(Box::new(ChannelAccess {
                channel,
                kind: channel_kind::TEXT,
                community,
                chat: Chat::NONE,
                trade: Trade::NONE,
                thread_chat: Chat::NONE,
                class: 0,
                epoch: 0,
                slowmode_s: 0,
                roles: Vec::new(),
                nick: None,
                joined_at: channel.made_at(),
                timeout_until: None,
            })),
        };
        Ok(Place {
            channel,
            rights: Chat::NONE,
            has_row: true,
            inside,
        })
    }

    /// Makes the counter row of a community's channel at its first use.
    pub(crate) async fn ensure_row(&self, place: &Place) -> Result<(), Error> {
        if let (false, Inside::Community(access)) = (place.has_row, &place.inside) {
            sql::insert_channel(&self.db, place.channel, access.community, access.kind).await?;
            self.homes.insert(place.channel, Home::Community);
        }
        Ok(())
    }

    /// To whom a channel belongs, as far as its row tells; none when it has no row yet.
    pub(crate) async fn home(&self, channel: ChannelId) -> Result<Option<Home>, Error> {
        if let Some(home) = self.homes.get(&channel) {
            return Ok(Some(home));
        }
        let Some(row) = sql::find_home(&self.db, channel).await? else {
            return Ok(None);
        };
        if row.deleted {
            return Err(Error::UnknownChannel);
        }
        let home = match row.community_id {
            Some(_) => Home::Community,
            None => Home::Private(row.members.into()),
        };
        self.homes.insert(channel, home.clone());
        Ok(Some(home))
    }
}
