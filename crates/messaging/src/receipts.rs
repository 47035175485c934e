//! Receipts: how far each member of a private channel or a thread has got, as the others see it.
//!
//! A receipt is a cursor per member and never a row per message. It never goes back. That messages
//! arrived is seen by all; that they were read only where both people's switches allow it, or where
//! the channel always shows it, as deal rooms do. The switches are asked when a receipt is shown,
//! and a message is its author's receipt: nobody is told of that apart.

use std::collections::HashSet;

use db::FromRow;
use infra::fanout::Topic;
use kernel::{Caller, ChannelId, MessageId, UserId};
use serde::Serialize;

use crate::Messaging;
use crate::error::Error;
use crate::live;
use crate::sql::{self, MovedReceipt};

/// Up to so many members a channel shows who has read; above it the author sees how many have.
pub(crate) const MAX_NAMED: usize = 256;
/// Most people relations are asked about at once.
const RELATIONS_AT_ONCE: usize = 500;

/// Who of a channel has got how far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Receipts {
    /// The message asked about.
    pub message_id: MessageId,
    /// Its number: whoever has read up to it or further has read it.
    pub seq: i64,
    /// Members besides the author.
    pub member_count: i64,
    /// Those of them at whom the message has arrived.
    pub delivered_count: i64,
    /// Those of them who have read it and let the caller know; at most 1,000 are counted.
    pub read_count: i64,
    /// Cursors of the other members; empty in channels of more than 256.
    pub receipts: Vec<Receipt>,
}

/// How far one member has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow, Serialize, utoipa::ToSchema)]
pub struct Receipt {
    /// The member.
    pub user_id: UserId,
    /// Messages up to this `seq` have arrived.
    pub delivered_seq: i64,
    /// Messages up to this `seq` were read; null where it is not shown.
    pub read_seq: Option<i64>,
}

/// Whom a channel shows what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// Everybody.
    Always,
    /// Those whom both people's switches allow.
    BySwitches,
}

impl MovedReceipt {
    fn shows(&self) -> Shows {
        if self.always {
            Shows::Always
        } else {
            Shows::BySwitches
        }
    }
}

impl Messaging {
    /// Who has got a message, and who has read it.
    pub async fn list_receipts(
        &self,
        caller: &Caller,
        channel: ChannelId,
        message: MessageId,
    ) -> Result<Receipts, Error> {
        self.enter(caller, channel).await?;
        let row = self.row(channel, message).await?;
        let members = sql::list_receipts(&self.db, channel).await?;
        if members.is_empty() {
            return Err(Error::WrongChannelKind);
        }
        let shows = if sql::shows_receipts(&self.db, channel).await? {
            Shows::Always
        } else {
            Shows::BySwitches
        };
        let mut receipts = Receipts {
            message_id: message,
            seq: row.seq,
            member_count: 0,
            delivered_count: 0,
            read_count: 0,
            receipts: Vec::new(),
        };
        if members.len() > MAX_NAMED {
            if row.author_id != caller.user {
                return Err(Error::MissingPermission);
            }
            let counts = sql::count_receipts(&self.db, channel, row.author_id, row.seq).await?;
            let readers = sql::list_readers(&self.db, channel, row.author_id, row.seq).await?;
            let seen = self.shown_to(caller.user, &readers, shows).await?;
            receipts.member_count = counts.members;
            receipts.delivered_count = counts.delivered;
            receipts.read_count = i64::try_from(seen.len()).unwrap_or(i64::MAX);
            return Ok(receipts);
        }
        if !members.iter().any(|member| member.user_id == caller.user) {
            return Err(Error::MissingPermission);
        }
        let ids: Vec<UserId> = members.iter().map(|member| member.user_id).collect();
        let seen = self.shown_to(caller.user, &ids, shows).await?;
        for member in members {
            let shown = Receipt {
                read_seq: member.read_seq.filter(|_| seen.contains(&member.user_id)),
                ..member
            };
            if member.user_id != row.author_id {
                let has_read = shown.read_seq.is_some_and(|read| read >= row.seq);
                receipts.member_count += 1;
                receipts.delivered_count += i64::from(member.delivered_seq >= row.seq);
                receipts.read_count += i64::from(has_read);
            }
            if member.user_id != caller.user {
                receipts.receipts.push(shown);
            }
        }
        Ok(receipts)
    }

    /// Tells the other members how far somebody has got. In channels of more than 256 members
    /// nobody is told: the author of a message asks.
    pub(crate) async fn tell_receipts(&self, moved: &[MovedReceipt]) -> Result<(), Error> {
        for receipt in moved {
            let mut others = match receipt.community_id {
                None => self.members_of(receipt.channel_id).await?,
                Some(_) => {
                    let members = sql::list_receipts(&self.db, receipt.channel_id).await?;
                    members.into_iter().map(|member| member.user_id).collect()
                }
            };
            if others.len() > MAX_NAMED {
                continue;
            }
            others.retain(|user| *user != receipt.user_id);
            // The rule is the same seen from either side: whom the reader may see, sees the reader.
            let seen = self
                .shown_to(receipt.user_id, &others, receipt.shows())
                .await?;
            self.tell_receipt(receipt, &others, &seen).await?;
        }
        Ok(())
    }

    async fn tell_receipt(
        &self,
        receipt: &MovedReceipt,
        others: &[UserId],
        seen: &HashSet<UserId>,
    ) -> Result<(), Error> {
        let whole = live::receipt(receipt, Some(receipt.read_seq))?;
        if receipt.community_id.is_none() && seen.len() == others.len() {
            let topic = Topic::Channel(receipt.channel_id);
            live::publish(&*self.fanout, topic, whole).await;
            return Ok(());
        }
        let arrived = live::receipt(receipt, None)?;
        for viewer in others {
            let record = if seen.contains(viewer) {
                &whole
            } else {
                &arrived
            };
            live::publish(&*self.fanout, Topic::User(*viewer), record.clone()).await;
        }
        Ok(())
    }

    /// Those of `people` whose reading `viewer` may see.
    async fn shown_to(
        &self,
        viewer: UserId,
        people: &[UserId],
        shows: Shows,
    ) -> Result<HashSet<UserId>, Error> {
        if shows == Shows::Always {
            return Ok(people.iter().copied().collect());
        }
        let mut shown = HashSet::with_capacity(people.len());
        for part in people.chunks(RELATIONS_AT_ONCE) {
            let visible = self.relations.visible(viewer, part).await?;
            shown.extend(
                visible
                    .iter()
                    .filter(|one| one.receipts)
                    .map(|one| one.user),
            );
        }
        Ok(shown)
    }
}
