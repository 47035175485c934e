//! Messages that disappear: after the time that their channel or they themselves set.
//!
//! Nobody reads a message whose time is over; a job empties it a little later, as a deletion does.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, FieldError, MessageId, UserId};
use serde_json::json;

use crate::Messaging;
use crate::change::{Change, Desk};
use crate::deletions::{DeleteMany, MANY};
use crate::error::Error;
use crate::happening::{Happening, TtlSet};
use crate::model::{self, Body};
use crate::places::Inside;
use crate::sql;

/// For how many seconds messages may stay.
pub(crate) const SECONDS: std::ops::RangeInclusive<i32> = 60..=7_776_000;
/// Messages of one step of the job, and steps of one run; the next run goes on.
const STEP: i64 = 1_000;
const STEPS: usize = 20;
/// In whose name time acts.
const TIME: UserId = UserId::new(0);

/// Sets how long later messages stay.
struct SetTtl(Option<i32>);

#[async_trait]
impl Change for SetTtl {
    async fn make(&self, desk: &mut Desk<'_>) -> Result<(), Error> {
        if sql::set_ttl(desk.tx, desk.planned.channel, self.0).await? == 0 {
            return Ok(());
        }
        let message_ttl = self.0.unwrap_or(0);
        desk.happened(Happening::TtlSet(TtlSet { message_ttl }))
    }
}

impl Messaging {
    /// For how many seconds new messages of a channel stay; 0 = for good.
    pub async fn message_ttl(&self, caller: &Caller, channel: ChannelId) -> Result<i32, Error> {
        self.enter(caller, channel).await?;
        Ok(sql::find_ttl(&self.db, channel).await?.unwrap_or(0))
    }

    /// Sets it for later messages, and says so in the channel.
    pub async fn set_message_ttl(
        &self,
        caller: &Caller,
        channel: ChannelId,
        seconds: i32,
    ) -> Result<i32, Error> {
        let place = self.enter(caller, channel).await?;
        if let Inside::Community(_) = &place.inside {
            place.needs(Chat::MANAGE_CHANNELS)?;
        }
        self.may_write_in(caller.user, &place).await?;
        if seconds != 0 && !SECONDS.contains(&seconds) {
            let detail = "0, or 60 to 7776000 seconds";
            let error = FieldError::new("/message_ttl", "NUMBER_TYPE_RANGE", detail);
            return Err(Error::Invalid(vec![error]));
        }
        self.ensure_row(&place).await?;
        let change = SetTtl((seconds != 0).then_some(seconds));
        let mut alter = self.plan(caller.user, &place, change)?;
        let field = json!({"name": "message_ttl", "value": seconds.to_string(), "inline": false});
        let body = Body {
            embeds: vec![json!({"type": "message_ttl", "fields": [field]})],
            ..Body::default()
        };
        let said = self.said(caller.user, &place, model::TTL_SET, None, body);
        let (row, shown) = said.await?;
        alter.planned.says = Some(row);
        alter.shows = vec![shown];
        self.writers.alter(alter).await?;
        Ok(seconds)
    }

    /// Empties messages whose time is over.
    pub async fn expire_messages(&self) -> Result<String, Error> {
        let mut gone = 0_usize;
        for _ in 0..STEPS {
            let expired = sql::list_expired(&self.db, self.clock.now(), STEP).await?;
            if expired.is_empty() {
                break;
            }
            let mut of_channel: BTreeMap<ChannelId, Vec<MessageId>> = BTreeMap::new();
            for row in expired {
                of_channel.entry(row.channel_id).or_default().push(row.id);
            }
            for (channel, ids) in of_channel {
                gone = gone.saturating_add(ids.len());
                self.expire_in(channel, &ids).await?;
            }
        }
        Ok(format!("emptied {gone}"))
    }

    async fn expire_in(&self, channel: ChannelId, ids: &[MessageId]) -> Result<(), Error> {
        let place = self.unattended(channel).await?;
        for part in ids.chunks(*MANY.end()) {
            let change = DeleteMany {
                messages: self.with_events(part.to_vec())?,
                by: None,
            };
            let mut alter = self.plan(TIME, &place, change)?;
            alter.audience.member = None;
            self.writers.alter(alter).await?;
        }
        Ok(())
    }
}
