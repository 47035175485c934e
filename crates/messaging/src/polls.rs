//! Polls: a question in a message, votes beside it, and a result said when it ends.
//!
//! A vote is a change of the channel that leaves the message's own number alone, as a reaction
//! does. A poll first closes, and is counted then: no vote comes between count and result.

mod model;
mod results;

use async_trait::async_trait;
use contracts::identity::User;
use contracts::messaging::Message;
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, FieldError, MessageId, UserId};

use crate::Messaging;
use crate::change::{Change, Desk};
use crate::error::Error;
use crate::happening::{Happening, Voted};
use crate::model::Body;
use crate::places::Place;
use crate::sql::{self, MessageRow};

pub use model::SentPoll;
pub(crate) use model::{NewPoll, StoredPoll};

/// Makes answers what somebody chose.
struct Vote {
    message: MessageId,
    answers: Vec<i16>,
}

#[async_trait]
impl Change for Vote {
    async fn make(&self, desk: &mut Desk<'_>) -> Result<(), Error> {
        let (channel, user, now) = (desk.planned.channel, desk.planned.actor, desk.planned.at);
        let row = sql::find_message(desk.tx, channel, self.message, now).await?;
        let poll = poll_of(&row.ok_or(Error::UnknownMessage)?)?;
        if poll.is_over(now) {
            return Err(Error::PollOver);
        }
        if !poll.takes(&self.answers) {
            let detail = "answers of the poll; one, unless it takes several";
            let error = FieldError::new("/answer_ids", "INVALID", detail);
            return Err(Error::Invalid(vec![error]));
        }
        let at = (channel, self.message);
        for vote in sql::put_votes(desk.tx, at, user, &self.answers).await? {
            let voted = Voted {
                message_id: self.message,
                user_id: user,
                answer_id: vote.answer_id,
            };
            desk.happened(if vote.came {
                Happening::VoteCame(voted)
            } else {
                Happening::VoteWent(voted)
            })?;
        }
        Ok(())
    }
}

impl Messaging {
    /// Makes `answers` what the caller chose; none withdraws the vote.
    pub async fn vote(
        &self,
        caller: &Caller,
        (channel, message): (ChannelId, MessageId),
        mut answers: Vec<i16>,
    ) -> Result<(), Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::READ_HISTORY)?;
        self.may_write_in(caller.user, &place).await?;
        self.row(channel, message).await?;
        answers.sort_unstable();
        answers.dedup();
        let alter = self.plan(caller.user, &place, Vote { message, answers })?;
        self.writers.alter(alter).await.map(drop)
    }

    /// Lists who chose an answer, in the order of their ids.
    pub async fn list_voters(
        &self,
        caller: &Caller,
        (channel, message): (ChannelId, MessageId),
        answer: i16,
        after: Option<UserId>,
        limit: u8,
    ) -> Result<Vec<User>, Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::READ_HISTORY)?;
        let poll = poll_of(&self.row(channel, message).await?)?;
        if !poll.has(answer) {
            return Err(Error::UnknownMessage);
        }
        let at = (channel, message);
        let after = after.unwrap_or(UserId::new(0));
        let ids = sql::list_voters(&self.db, at, answer, after, i64::from(limit)).await?;
        let cards = self.cards(&ids).await?;
        Ok(ids.into_iter().map(|user| cards.get(user)).collect())
    }

    /// Ends the caller's own poll before its time.
    pub async fn end_poll(
        &self,
        caller: &Caller,
        (channel, message): (ChannelId, MessageId),
    ) -> Result<Message, Error> {
        let place = self.enter(caller, channel).await?;
        let row = self.row(channel, message).await?;
        let poll = poll_of(&row)?;
        if row.author_id != caller.user {
            return Err(Error::NotAuthor);
        }
        if poll.is_over(self.clock.now()) {
            return Err(Error::PollOver);
        }
        self.close_poll(&place, message).await?;
        self.tell_result(&place, message).await?;
        let row = self.row(channel, message).await?;
        self.show_one(caller.user, channel, place.community(), row)
            .await
    }

    /// What is stored of a poll that is sent: with emoji as they are called here.
    pub(crate) async fn prepare_poll(
        &self,
        author: UserId,
        place: &Place,
        new: &NewPoll,
    ) -> Result<StoredPoll, Error> {
        let mut poll = new.starting(self.clock.now());
        for answer in &mut poll.answers {
            if let Some(emoji) = answer
                .emoji
                .take()
                .and_then(|key| crate::emoji::Emoji::read(&key))
            {
                answer.emoji = Some(self.known_emoji(author, place, emoji).await?.key());
            }
        }
        Ok(poll)
    }
}

/// The poll of a message.
fn poll_of(row: &MessageRow) -> Result<StoredPoll, Error> {
    let body = Body::read(row.body.clone())?;
    body.poll.ok_or(Error::NoPoll)
}
