//! Typing: told to whoever is connected, never stored.

use std::time::Duration;

use kernel::perm::Chat;
use kernel::{Caller, ChannelId, Rule};

use crate::Messaging;
use crate::error::Error;
use crate::live::{self, Audience};

/// A user shows as typing for ten seconds: more than one sign in eight says nothing new.
const OF_USER: Rule = Rule::new("typing_of_user", 1, Duration::from_secs(8));
/// In a busy channel nobody reads who all types.
const OF_CHANNEL: Rule = Rule::new("typing_of_channel", 5, Duration::from_secs(5));

impl Messaging {
    /// Tells a channel that the caller types. Too many signs are dropped without an error.
    pub async fn start_typing(&self, caller: &Caller, channel: ChannelId) -> Result<(), Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::SEND_MESSAGES)?;
        self.may_write_in(caller.user, &place).await?;
        let of_user = format!("{channel}:{}", caller.user);
        if !self.limiter.take(OF_USER, &of_user, 1).await.allowed {
            return Ok(());
        }
        if !self
            .limiter
            .take(OF_CHANNEL, &channel.to_string(), 1)
            .await
            .allowed
        {
            return Ok(());
        }
        let user = self.cards(&[caller.user]).await?.get(caller.user);
        let audience = Audience::of(&place, caller.user);
        let record = audience.typing(&user, self.clock.now().as_second())?;
        live::publish(&*self.fanout, audience.topic, record).await;
        Ok(())
    }
}
