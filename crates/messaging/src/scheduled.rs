//! Messages to be sent later. A job sends those that are due as if their author did it then: with
//! the rights of that moment, and under a nonce of their own, so that a second try has no effect.

use std::time::Duration;

use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{AnyId, Caller, CallerKind, ChannelId, ErrorKind, Failure, FieldError, MessageId};
use serde::Serialize;
use serde_json::Value;

use crate::Messaging;
use crate::error::Error;
use crate::model::{NewMessage, SendMessage};
use crate::sql::{self, ScheduledRow};

/// Most messages of one author that wait.
const MAX_WAITING: i64 = 100;
/// Most that are listed.
const MAX_LISTED: i64 = 200;
/// How far ahead a message may be.
const FARTHEST: Duration = Duration::from_secs(366 * 86_400);
/// Messages that one run of the job takes, and how long they are its own.
const AT_ONCE: i64 = 50;
const CLAIMED_FOR: Duration = Duration::from_secs(60);
/// How long it goes on trying when something is away or slow mode runs.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// How long those that were settled stay to be looked at.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// A message that is to be sent later, as its author sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ScheduledMessage {
    /// It.
    pub id: AnyId,
    /// Where.
    pub channel_id: ChannelId,
    /// When.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub send_at: Timestamp,
    /// As it was asked for.
    #[schema(value_type = Object)]
    pub message: Value,
    /// What became of it.
    pub state: ScheduledState,
    /// The message, once it is sent.
    pub message_id: Option<MessageId>,
    /// The code of the error for which it was not.
    pub error: Option<String>,
}

/// What became of a message that is to be sent later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduledState {
    /// Nothing yet.
    Waiting,
    /// It was sent.
    Sent,
    /// It cannot be sent.
    Failed,
}

impl From<ScheduledRow> for ScheduledMessage {
    fn from(row: ScheduledRow) -> Self {
        ScheduledMessage {
            id: row.id,
            channel_id: row.channel_id,
            send_at: row.send_at,
            message: row.body,
            state: match row.state {
                0 => ScheduledState::Waiting,
                1 => ScheduledState::Sent,
                _ => ScheduledState::Failed,
            },
            message_id: row.message_id,
            error: row.error,
        }
    }
}

impl Messaging {
    /// Notes a message to be sent later.
    pub async fn schedule(
        &self,
        caller: &Caller,
        channel: ChannelId,
        send_at: Timestamp,
        message: Value,
    ) -> Result<ScheduledMessage, Error> {
        self.may_send_later(caller, channel, &message).await?;
        self.check_time(send_at)?;
        let id: AnyId = self.ids.next()?;
        let (author, body) = (caller.user, message.to_string());
        let put = sql::insert_scheduled(&self.db, id, channel, author, send_at, &body, MAX_WAITING);
        if put.await? == 0 {
            return Err(Error::TooManyScheduled);
        }
        self.find_scheduled(caller, channel, id).await
    }

    /// Lists the caller's own in a channel, those that wait first.
    pub async fn list_scheduled(
        &self,
        caller: &Caller,
        channel: ChannelId,
    ) -> Result<Vec<ScheduledMessage>, Error> {
        self.enter(caller, channel).await?;
        let rows = sql::list_scheduled(&self.db, caller.user, channel, MAX_LISTED).await?;
        Ok(rows.into_iter().map(ScheduledMessage::from).collect())
    }

    /// Changes one that waits.
    pub async fn reschedule(
        &self,
        caller: &Caller,
        channel: ChannelId,
        id: AnyId,
        (send_at, message): (Option<Timestamp>, Option<Value>),
    ) -> Result<ScheduledMessage, Error> {
        let old = self.find_scheduled(caller, channel, id).await?;
        if let Some(message) = &message {
            self.may_send_later(caller, channel, message).await?;
        }
        if let Some(send_at) = send_at {
            self.check_time(send_at)?;
        }
        let (send_at, message) = (
            send_at.unwrap_or(old.send_at),
            message.unwrap_or(old.message),
        );
        let (author, now, body) = (caller.user, self.clock.now(), message.to_string());
        if sql::update_scheduled(&self.db, id, author, now, send_at, &body).await? == 0 {
            return Err(Error::NotWaiting);
        }
        self.find_scheduled(caller, channel, id).await
    }

    /// Takes one back, or forgets what became of it.
    pub async fn unschedule(
        &self,
        caller: &Caller,
        channel: ChannelId,
        id: AnyId,
    ) -> Result<(), Error> {
        self.find_scheduled(caller, channel, id).await?;
        match sql::delete_scheduled(&self.db, id, caller.user, self.clock.now()).await? {
            0 => Err(Error::NotWaiting),
            _ => Ok(()),
        }
    }

    async fn find_scheduled(
        &self,
        caller: &Caller,
        channel: ChannelId,
        id: AnyId,
    ) -> Result<ScheduledMessage, Error> {
        self.enter(caller, channel).await?;
        let row = sql::find_scheduled(&self.db, id, caller.user, channel).await?;
        row.map(ScheduledMessage::from)
            .ok_or(Error::UnknownScheduled)
    }

    /// What can be told beforehand; all is asked again when the time comes.
    async fn may_send_later(
        &self,
        caller: &Caller,
        channel: ChannelId,
        message: &Value,
    ) -> Result<(), Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::SEND_MESSAGES)?;
        self.may_write_in(caller.user, &place).await?;
        read(message).map(drop)
    }

    fn check_time(&self, send_at: Timestamp) -> Result<(), Error> {
        let now = self.clock.now();
        let farthest = now.checked_add(FARTHEST).unwrap_or(Timestamp::MAX);
        if send_at > now && send_at <= farthest {
            return Ok(());
        }
        let error = FieldError::new("/send_at", "OUT_OF_RANGE", "from now to 366 days ahead");
        Err(Error::Invalid(vec![error]))
    }

    /// Sends what is due, and forgets what was settled long ago.
    pub async fn send_scheduled(&self) -> Result<String, Error> {
        let now = self.clock.now();
        let until = now.checked_add(CLAIMED_FOR).unwrap_or(Timestamp::MAX);
        let due = sql::claim_scheduled(&self.db, now, until, AT_ONCE).await?;
        let (mut sent, mut failed) = (0_u32, 0_u32);
        for row in due {
            match self.send_one(&row).await {
                Ok(message) => {
                    sql::settle_scheduled(&self.db, row.id, Some(message), None).await?;
                    sent = sent.saturating_add(1);
                }
                // Somebody takes it up again when the claim runs out.
                Err(failure) if passes(&failure) && self.is_patient(&row) => {}
                Err(failure) => {
                    let code = Some(failure.row.code);
                    sql::settle_scheduled(&self.db, row.id, None, code).await?;
                    failed = failed.saturating_add(1);
                }
            }
        }
        let old = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        let purged = sql::purge_scheduled(&self.db, old).await?;
        Ok(format!("sent {sent}, failed {failed}, purged {purged}"))
    }

    async fn send_one(&self, row: &ScheduledRow) -> Result<MessageId, Failure> {
        let cards = self.cards(&[row.author_id]).await?;
        let card = cards.known(row.author_id).ok_or(Error::UnknownUser)?;
        let caller = Caller {
            kind: if card.bot {
                CallerKind::Bot
            } else {
                CallerKind::User
            },
            ..Caller::bot(row.author_id)
        };
        let mut new = read(&row.body)?;
        new.once = Some(format!("sched:{}", row.id));
        let sent = self.send_message(&caller, row.channel_id, new).await?;
        Ok(sent.message.id)
    }

    fn is_patient(&self, row: &ScheduledRow) -> bool {
        let late = self.clock.now().duration_since(row.send_at);
        late.unsigned_abs() < PATIENCE
    }
}

/// Whether an error goes away by waiting.
fn passes(failure: &Failure) -> bool {
    match failure.row.kind {
        ErrorKind::Unavailable | ErrorKind::RateLimited | ErrorKind::Internal => true,
        _ => failure.retry_after.is_some(),
    }
}

/// The message that is asked for. What it is called by its author is of no use later.
fn read(message: &Value) -> Result<NewMessage, Error> {
    let sent: SendMessage = serde_json::from_value(message.clone()).map_err(|error| {
        Error::Invalid(vec![FieldError::new(
            "/message",
            "INVALID",
            error.to_string(),
        )])
    })?;
    let mut new = sent.check(None)?;
    (new.nonce, new.once) = (None, None);
    Ok(new)
}
