//! How polls end: they close, and their result is said in the channel.

use async_trait::async_trait;
use contracts::messaging::Message;
use jiff::Timestamp;
use kernel::{ChannelId, MessageId};
use serde_json::{Value, json};

use super::{StoredPoll, poll_of};
use crate::Messaging;
use crate::change::{Change, Desk, Tries};
use crate::error::Error;
use crate::live::Audience;
use crate::model::{self, Body};
use crate::places::Place;
use crate::sql::{self, MessageRow};
use crate::writer::Append;

/// Polls that one run of the job ends.
const AT_ONCE: i64 = 200;

/// Takes no more votes.
struct Close {
    message: MessageId,
    author: kernel::UserId,
    expected_ev: i64,
    ended_at: Timestamp,
}

#[async_trait]
impl Change for Close {
    async fn make(&self, desk: &mut Desk<'_>) -> Result<(), Error> {
        let (at, ev) = ((desk.planned.channel, self.message), desk.next_ev());
        if sql::close_poll(desk.tx, at, self.expected_ev, ev, self.ended_at).await? == 0 {
            return Err(Error::Stale);
        }
        desk.updated(self.message, self.author)
    }
}

impl Messaging {
    /// Ends polls whose time is over, and says results that were not said.
    pub async fn end_due_polls(&self) -> Result<String, Error> {
        let due = sql::list_due_polls(&self.db, self.clock.now(), AT_ONCE).await?;
        let mut ended = 0_usize;
        for poll in due {
            match self.end_due_poll(poll.channel_id, poll.message_id).await {
                Ok(()) => ended = ended.saturating_add(1),
                // The message or its channel is gone: nobody waits for the result.
                Err(Error::UnknownMessage | Error::UnknownChannel | Error::NoPoll) => {
                    sql::settle_poll(&self.db, poll.channel_id, poll.message_id).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(format!("ended {ended}"))
    }

    async fn end_due_poll(&self, channel: ChannelId, message: MessageId) -> Result<(), Error> {
        let place = self.unattended(channel).await?;
        if !poll_of(&self.row(channel, message).await?)?.closed {
            self.close_poll(&place, message).await?;
        }
        self.tell_result(&place, message).await
    }

    /// Takes no more votes.
    pub(super) async fn close_poll(&self, place: &Place, message: MessageId) -> Result<(), Error> {
        let mut tries = Tries::default();
        loop {
            let row = self.row(place.channel, message).await?;
            let poll = poll_of(&row)?;
            if poll.closed {
                return Ok(());
            }
            let (author, now) = (row.author_id, self.clock.now());
            let ended_at = poll.ends_at.min(now);
            let change = Close {
                message,
                author,
                expected_ev: row.ev,
                ended_at,
            };
            let mut alter = self.plan(author, place, change)?;
            alter.audience.member = None;
            let shown = self.show_closed(place, row, ended_at).await?;
            alter.shows = vec![shown];
            if let Some(done) = tries.settle(self.writers.alter(alter).await) {
                return done.map(drop);
            }
        }
    }

    async fn show_closed(
        &self,
        place: &Place,
        row: MessageRow,
        ended_at: Timestamp,
    ) -> Result<Message, Error> {
        let author = row.author_id;
        let shown = self.show_one(author, place.channel, place.community(), row);
        let mut shown = shown.await?;
        if let Some(poll) = &mut shown.poll {
            poll.expiry = ended_at;
            poll.results.is_finalized = true;
        }
        Ok(shown)
    }

    /// Says the result of a closed poll; saying it again has no effect.
    pub(super) async fn tell_result(&self, place: &Place, message: MessageId) -> Result<(), Error> {
        let row = self.row(place.channel, message).await?;
        let (author, poll) = (row.author_id, poll_of(&row)?);
        let shown = self.show_one(author, place.channel, place.community(), row);
        let counts = shown.await?.poll.map(|poll| poll.results.answer_counts);
        let counts: Vec<(i16, i32)> = counts
            .unwrap_or_default()
            .iter()
            .map(|count| (count.id, count.count))
            .collect();
        let body = Body {
            embeds: vec![result(&poll, &counts)],
            ..Body::default()
        };
        let said = self.said(author, place, model::POLL_RESULT, Some(message), body);
        let (mut row, shown) = said.await?;
        row.nonce = Some(format!("poll:{message}"));
        let mut audience = Audience::of(place, author);
        audience.member = None;
        self.writers
            .append(Append {
                row,
                message: shown,
                audience,
            })
            .await?;
        sql::settle_poll(&self.db, place.channel, message).await?;
        Ok(())
    }
}

/// The dialect's embed of a result. Without votes, and when two answers have the most, none won.
fn result(poll: &StoredPoll, counts: &[(i16, i32)]) -> Value {
    let total: i32 = counts.iter().map(|(_, count)| count).sum();
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let mut fields = vec![
        field("poll_question_text", &poll.question),
        field("victor_answer_votes", &most.to_string()),
        field("total_votes", &total.to_string()),
    ];
    let mut first = counts.iter().filter(|(_, count)| *count == most);
    if let (Some((id, _)), None) = (first.next(), first.next()) {
        fields.push(field("victor_answer_id", &id.to_string()));
        let at = usize::try_from(*id).unwrap_or(0).wrapping_sub(1);
        if let Some(answer) = poll.answers.get(at) {
            fields.push(field("victor_answer_text", &answer.text));
            if let Some(emoji) = &answer.emoji {
                let emoji = crate::emoji::shown(emoji);
                if let Some(id) = emoji.id {
                    fields.push(field("victor_answer_emoji_id", &id.to_string()));
                }
                fields.push(field("victor_answer_emoji_name", &emoji.name));
            }
        }
    }
    json!({"type": "poll_result", "fields": fields})
}

fn field(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value, "inline": false})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::polls::model::StoredAnswer;

    #[test]
    fn an_answer_wins_when_no_other_has_as_many() {
        let answer = |text: &str| StoredAnswer {
            text: text.to_owned(),
            emoji: Some("🔥".to_owned()),
        };
        let poll = StoredPoll {
            question: "?".to_owned(),
            answers: vec![answer("a"), answer("b")],
            ends_at: Timestamp::UNIX_EPOCH,
            several: false,
            closed: true,
        };
        let names = |counts: &[(i16, i32)]| {
            let embed = result(&poll, counts);
            let fields = embed["fields"].as_array().unwrap().clone();
            let shown = |field: &Value| format!("{}={}", field["name"], field["value"]);
            fields
                .iter()
                .map(shown)
                .collect::<Vec<_>>()
                .join(" ")
                .replace('"', "")
        };
        assert_eq!(
            names(&[(1, 1), (2, 3)]),
            "poll_question_text=? victor_answer_votes=3 total_votes=4 victor_answer_id=2 \
             victor_answer_text=b victor_answer_emoji_name=🔥"
        );
        for counts in [&[(1, 2), (2, 2)][..], &[]] {
            assert!(!names(counts).contains("victor_answer_id"), "{counts:?}");
        }
    }
}
