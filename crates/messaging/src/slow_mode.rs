//! The slow mode of a community's channel. The newest stored message decides; the limiter covers the
//! moment in which one is on its way.

use std::time::Duration;

use jiff::tz::TimeZone;
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, MessageId, Rule, UserId};

use crate::Messaging;
use crate::error::Error;
use crate::log::{Later, Marks, NewRow};
use crate::places::{Inside, Place};
use crate::sql;

/// Sends without waiting for the slow mode.
const BYPASS_SLOW_MODE: Chat = Chat::from_bits(1 << 52);
/// Holds the turn while a message is on its way to the database, which then knows.
const IN_FLIGHT: Duration = Duration::from_secs(5);

impl Messaging {
    /// Waits for nobody: fails while the slow mode runs, unless the message is a replay, which is
    /// returned.
    pub(crate) async fn await_turn(
        &self,
        caller: &Caller,
        place: &Place,
        once: Option<&str>,
    ) -> Result<Option<MessageId>, Error> {
        let Inside::Community(access) = &place.inside else {
            return Ok(None);
        };
        let free = [
            BYPASS_SLOW_MODE,
            Chat::MANAGE_MESSAGES,
            Chat::MANAGE_CHANNELS,
        ]
        .iter()
        .any(|right| place.rights.has(*right));
        let Ok(slow_s @ 1..) = u64::try_from(access.slowmode_s) else {
            return Ok(None);
        };
        if free || caller.is_bot() {
            return Ok(None);
        }
        let wait = self
            .slow_mode_wait(caller.user, place, Duration::from_secs(slow_s))
            .await?;
        let Some(wait) = wait else { return Ok(None) };
        if let Some(nonce) = once
            && let Some(original) = self.find_once(caller.user, place.channel, nonce).await?
        {
            return Ok(Some(original));
        }
        Err(Error::SlowMode(wait))
    }

    async fn slow_mode_wait(
        &self,
        user: UserId,
        place: &Place,
        slow: Duration,
    ) -> Result<Option<Duration>, Error> {
        let now = self.clock.now();
        let oldest = now
            .checked_sub(slow)
            .map_or(MessageId::new(0), MessageId::floor_at);
        let newest = sql::find_newest_of_author(&self.db, user, place.channel, oldest).await?;
        if let Some(newest) = newest {
            let past = now.duration_since(newest.made_at()).unsigned_abs();
            if let Some(wait) = slow.checked_sub(past).filter(|wait| !wait.is_zero()) {
                return Ok(Some(wait));
            }
        }
        let rule = Rule::new("slow_mode", 1, slow.min(IN_FLIGHT));
        let key = format!("{}:{user}", place.channel);
        let verdict = self.limiter.take(rule, &key, 1).await;
        Ok((!verdict.allowed).then_some(verdict.retry_after))
    }

    /// The message that was sent under a nonce.
    pub(crate) async fn find_once(
        &self,
        author: UserId,
        channel: ChannelId,
        nonce: &str,
    ) -> Result<Option<MessageId>, Error> {
        let asked = NewRow {
            channel,
            id: MessageId::new(0),
            author,
            nonce: Some(nonce.to_owned()),
            kind: 0,
            flags: 0,
            reply_to: None,
            content: None,
            body: None,
            expires_at: None,
            marks: Marks::default(),
            later: Later::default(),
        };
        let today = self.clock.now().to_zoned(TimeZone::UTC).date();
        let known = sql::find_stored(&self.db, &[&asked], today).await?;
        Ok(known.first().map(|stored| stored.id))
    }
}
