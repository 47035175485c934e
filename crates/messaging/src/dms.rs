//! Direct channels: opened by one, shared by two.

use std::collections::HashMap;

use contracts::messaging::PrivateChannel;
use contracts::relations::Consent;
use infra::fanout::Topic;
use kernel::{Caller, ChannelId, UserId};

use crate::Messaging;
use crate::error::Error;
use crate::live;
use crate::places::Place;
use crate::sql::{self, PrivateRow};
use crate::users::Cards;

impl Messaging {
    /// Opens the direct channel with another user, or finds the one they have.
    ///
    /// Consent: no block, and either they know each other, or the other one takes messages from
    /// strangers and the two share a community, bots included. A channel that exists can be read by
    /// both; who may write in it is asked for each message.
    pub async fn open_dm(&self, caller: &Caller, other: UserId) -> Result<PrivateChannel, Error> {
        if other == caller.user {
            return Err(Error::InvalidRecipient);
        }
        let cards = self.cards(&[caller.user, other]).await?;
        if let Some(row) = sql::find_pair(&self.db, caller.user, other).await? {
            return Ok(private_channel(&row, [other], &cards));
        }
        if cards.known(other).is_none() {
            return Err(Error::UnknownUser);
        }
        self.may_open(caller.user, other).await?;
        let id: ChannelId = self.ids.next()?;
        if sql::insert_pair(&self.db, caller.user, other, id)
            .await?
            .is_none()
        {
            // The other one opened it at the same moment.
            let row = sql::find_pair(&self.db, caller.user, other).await?;
            let row = row.ok_or(Error::UnknownChannel)?;
            return Ok(private_channel(&row, [other], &cards));
        }
        let row = PrivateRow {
            id,
            kind: contracts::communities::channel_kind::DM,
            last_message_id: None,
        };
        for (viewer, peer) in [(caller.user, other), (other, caller.user)] {
            for record in live::opened(&private_channel(&row, [peer], &cards))? {
                live::publish(&*self.fanout, Topic::User(viewer), record).await;
            }
        }
        Ok(private_channel(&row, [other], &cards))
    }

    async fn may_open(&self, from: UserId, to: UserId) -> Result<(), Error> {
        let may = match self.relations.may_write(from, to).await? {
            Consent::Known => true,
            Consent::Stranger => self.communities.share_community(from, to).await?,
            Consent::Refused => false,
        };
        if may {
            Ok(())
        } else {
            Err(Error::CannotMessageUser)
        }
    }

    /// Whether the caller may still write in a channel of two: no block, and no recipient who
    /// has closed the door since.
    pub(crate) async fn may_write_in(&self, from: UserId, place: &Place) -> Result<(), Error> {
        let members = place.private_members();
        let (2, Some(to)) = (
            members.len(),
            members.iter().find(|member| **member != from),
        ) else {
            return Ok(());
        };
        match self.relations.may_write(from, *to).await? {
            Consent::Known | Consent::Stranger => Ok(()),
            Consent::Refused => Err(Error::CannotMessageUser),
        }
    }

    /// A user's private channels, the one with the newest message first; at most 1,000.
    pub async fn private_channels(&self, user: UserId) -> Result<Vec<PrivateChannel>, Error> {
        let rows = sql::list_private_channels(&self.db, user).await?;
        let ids: Vec<ChannelId> = rows.iter().map(|row| row.id).collect();
        let mut others: HashMap<ChannelId, Vec<UserId>> = HashMap::with_capacity(ids.len());
        if !ids.is_empty() {
            for member in sql::list_members(&self.db, &ids).await? {
                if member.user_id != user {
                    others
                        .entry(member.channel_id)
                        .or_default()
                        .push(member.user_id);
                }
            }
        }
        let users: Vec<UserId> = others.values().flatten().copied().collect();
        let cards = self.cards(&users).await?;
        Ok(rows
            .iter()
            .map(|row| {
                let others = others.remove(&row.id).unwrap_or_default();
                private_channel(row, others, &cards)
            })
            .collect())
    }
}

fn private_channel(
    row: &PrivateRow,
    others: impl IntoIterator<Item = UserId>,
    cards: &Cards,
) -> PrivateChannel {
    PrivateChannel {
        id: row.id,
        kind: row.kind,
        recipients: others.into_iter().map(|user| cards.get(user)).collect(),
        last_message_id: row.last_message_id,
        flags: 0,
    }
}
