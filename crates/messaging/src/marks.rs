//! What a message leaves in the read states of others: whom it calls, and that its author has read
//! up to it. Written in the transaction that stores the message, taken back in the one that
//! deletes it.
//!
//! A mention of everyone is one number in the channel's row, however many people it calls.

use contracts::communities::MemberQuery;
use db::Tx;
use kernel::{ChannelId, RoleId, UserId};

use crate::Messaging;
use crate::error::Error;
use crate::log::NewRow;
use crate::model::Body;
use crate::places::{Inside, Place};
use crate::sql::{self, MarkRow, MentionRow, ReceiptRow};
use crate::users::Cards;

/// Most users communities are asked for at once.
const MEMBERS_AT_ONCE: usize = 100;
/// The dialect's kinds of threads, which have members of their own.
const THREADS: std::ops::RangeInclusive<i16> = 10..=12;

/// Whom a message calls and what its author has read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// Users it mentions that are members here; bots and the author do not count.
    pub users: Vec<UserId>,
    /// Roles it mentions.
    pub roles: Vec<RoleId>,
    /// Whether it mentions everyone.
    pub everyone: bool,
    /// What its author has read by sending it.
    pub reads: Reads,
}

/// What sending a message says about its author's reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reads {
    /// Nothing: a bot reads nothing.
    #[default]
    Nothing,
    /// The author's own marker is at the message.
    Marker,
    /// So is the receipt that the other members see.
    Receipt,
}

impl Marks {
    /// Everything that a stored message mentions, be it a member or not.
    pub(crate) fn named(body: &Body) -> Self {
        Marks {
            users: body.mentions.clone(),
            roles: body.mention_roles.clone(),
            everyone: body.mention_everyone,
            reads: Reads::Nothing,
        }
    }

    /// What of it a changed message does not mention any more. What it mentions anew calls nobody:
    /// an edit is no news.
    pub(crate) fn without(mut self, body: &Body) -> Self {
        self.users.retain(|user| !body.mentions.contains(user));
        self.roles.retain(|role| !body.mention_roles.contains(role));
        self.everyone &= !body.mention_everyone;
        self
    }

    fn called(&self, channel: ChannelId, seq: i64) -> impl Iterator<Item = MentionRow> {
        let everyone = self.everyone.then_some(None);
        let roles = self.roles.iter().map(|role| Some(*role));
        everyone
            .into_iter()
            .chain(roles)
            .map(move |role| MentionRow { channel, seq, role })
    }

    fn mentioned(&self, channel: ChannelId, seq: i64) -> impl Iterator<Item = MarkRow> {
        self.users.iter().map(move |user| MarkRow {
            user: *user,
            channel,
            mention_seq: Some(seq),
            read_seq: None,
        })
    }
}

impl Messaging {
    /// Works out whom a message of `author` calls.
    pub(crate) async fn marks(
        &self,
        author: UserId,
        place: &Place,
        body: &Body,
        cards: &Cards,
    ) -> Result<Marks, Error> {
        let is_person = |user: &UserId| cards.known(*user).is_some_and(|card| !card.bot);
        let named: Vec<UserId> = body
            .mentions
            .iter()
            .copied()
            .filter(|user| *user != author && is_person(user))
            .collect();
        let (users, others_see) = match &place.inside {
            Inside::Private(members) => (in_common(named, members), true),
            Inside::Community(access) => {
                let members = self.members_among(access.community, &named).await?;
                (in_common(named, &members), THREADS.contains(&access.kind))
            }
        };
        let reads = match (is_person(&author), others_see) {
            (false, _) => Reads::Nothing,
            (true, false) => Reads::Marker,
            (true, true) => Reads::Receipt,
        };
        Ok(Marks {
            users,
            roles: body.mention_roles.clone(),
            everyone: body.mention_everyone,
            reads,
        })
    }

    async fn members_among(
        &self,
        community: kernel::CommunityId,
        users: &[UserId],
    ) -> Result<Vec<UserId>, Error> {
        let mut members = Vec::with_capacity(users.len());
        for part in users.chunks(MEMBERS_AT_ONCE) {
            let query = MemberQuery::Ids(part.to_vec());
            let found = self.communities.members(community, query).await?;
            members.extend(found.into_iter().filter_map(|member| member.user));
        }
        Ok(members.into_iter().map(|user| user.id).collect())
    }
}

fn in_common(mut users: Vec<UserId>, members: &[UserId]) -> Vec<UserId> {
    users.retain(|user| members.contains(user));
    users
}

/// Writes what stored messages leave; `messages` are rows with their `seq`.
///
/// Each table's rows are locked in one order, and the tables in that of this function, so that
/// batches that meet wait for each other and never in a ring.
pub(crate) async fn leave<'a>(
    tx: &Tx,
    messages: impl Iterator<Item = (&'a NewRow, i64)>,
) -> db::Result<()> {
    let mut left = Left::default();
    for (row, seq) in messages {
        left.add(row.channel, row.author, &row.marks, seq);
    }
    // They leave at once and are carried out in this order.
    futures::try_join!(
        sql::mention_in_channels(tx, &left.mentions),
        sql::mark_read_states(tx, &left.marks),
        sql::move_receipts(tx, &left.receipts),
    )?;
    Ok(())
}

/// Takes marks of messages back, in the transaction in which they lose them.
pub(crate) async fn take_back(tx: &Tx, taken: &TakenBack) -> db::Result<()> {
    futures::try_join!(
        sql::take_back_calls(tx, &taken.mentions),
        sql::unmark_read_states(tx, &taken.marks),
    )?;
    Ok(())
}

/// Marks that messages lose.
#[derive(Debug, Default)]
pub(crate) struct TakenBack {
    mentions: Vec<MentionRow>,
    marks: Vec<MarkRow>,
}

impl TakenBack {
    pub(crate) fn add(&mut self, channel: ChannelId, seq: i64, marks: &Marks) {
        self.mentions.extend(marks.called(channel, seq));
        self.marks.extend(marks.mentioned(channel, seq));
    }
}

/// Rows to be written.
#[derive(Default)]
struct Left {
    mentions: Vec<MentionRow>,
    marks: Vec<MarkRow>,
    receipts: Vec<ReceiptRow>,
}

impl Left {
    fn add(&mut self, channel: ChannelId, author: UserId, marks: &Marks, seq: i64) {
        self.mentions.extend(marks.called(channel, seq));
        self.marks.extend(marks.mentioned(channel, seq));
        if marks.reads != Reads::Nothing {
            self.marks.push(MarkRow {
                user: author,
                channel,
                mention_seq: None,
                read_seq: Some(seq),
            });
        }
        if marks.reads == Reads::Receipt {
            self.receipts.push(ReceiptRow {
                user_id: author,
                channel_id: channel,
                delivered_seq: seq,
                read_seq: seq,
            });
        }
    }
}
