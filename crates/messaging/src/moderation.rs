//! What moderation has to do with messages: it judges them before they are said, takes reports about
//! them, and tells moderators in a channel.

use std::sync::Weak;

use contracts::messaging::{Voice, WebhookAct, WebhookPlace};
use contracts::moderation::NewReport;
use kernel::event::{Handler, Handling};
use kernel::failure::INTERNAL;
use kernel::perm::Chat;
use kernel::{
    AutomodRuleId, Caller, ChannelId, CommunityId, Event, Failure, MessageId, ReportId, UserId,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Messaging;
use crate::error::Error;
use crate::places::Place;

/// The consumer that tells moderators.
pub(crate) const ALERTS: &str = "messaging.automod_alerts";
/// What it listens to.
pub(crate) const ALERT_KINDS: &[&str] = &["communities.automod_alerted.v1"];
/// Under which name they are told.
const ALERTER: &str = "AutoMod";

impl Messaging {
    /// Lets moderation judge what a person is about to say in a community. Bots are their owners'
    /// business.
    pub(crate) async fn may_say(
        &self,
        caller: &Caller,
        place: &Place,
        content: &str,
        embeds: &[Value],
    ) -> Result<(), Error> {
        if caller.is_bot() || place.community().is_none() {
            return Ok(());
        }
        let mut said = content.to_owned();
        embeds.iter().for_each(|embed| add_texts(embed, &mut said));
        Ok(self
            .moderation
            .judge(caller.user, place.channel, &said)
            .await?)
    }

    /// Complains about a message the caller sees in a community.
    pub async fn report_message(
        &self,
        caller: &Caller,
        channel: ChannelId,
        id: MessageId,
        reason: String,
    ) -> Result<ReportId, Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::READ_HISTORY)?;
        if place.community().is_none() {
            return Err(Error::WrongChannelKind);
        }
        let row = self.row(channel, id).await?;
        let report = NewReport {
            reporter: caller.user,
            channel,
            message: id,
            author: row.author_id,
            reason,
        };
        Ok(self.moderation.report(report).await?)
    }

    async fn alert(&self, event: &Event) -> Result<(), Failure> {
        let alert = Alert::deserialize(&event.data).map_err(|e| INTERNAL.fail().because(e))?;
        let place = WebhookPlace {
            webhook: alert.rule_id.cast(),
            creator: alert.user_id,
            community: alert.community_id,
            channel: alert.alert_channel_id,
            thread: None,
        };
        let content = format!(
            "{}: <@{}> in <#{}>\n>>> {}",
            alert.rule_name, alert.user_id, alert.channel_id, alert.content
        );
        let act = WebhookAct::Send {
            voice: Voice {
                name: ALERTER.to_owned(),
                avatar: None,
                avatar_url: None,
            },
            body: json!({ "content": content, "allowed_mentions": { "parse": [] } }),
            // An event that comes twice is told once.
            key: Some(format!("automod:{}", event.id)),
        };
        match self.speak_in(place, act).await {
            // The channel is gone; the log has it all the same.
            Ok(_) | Err(Error::UnknownChannel) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// All texts of an embed, whatever they are for.
fn add_texts(value: &Value, said: &mut String) {
    match value {
        Value::String(text) => {
            said.push('\n');
            said.push_str(text);
        }
        Value::Array(list) => list.iter().for_each(|one| add_texts(one, said)),
        Value::Object(fields) => fields.values().for_each(|one| add_texts(one, said)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What we read of an alert.
#[derive(Deserialize)]
struct Alert {
    community_id: CommunityId,
    alert_channel_id: ChannelId,
    channel_id: ChannelId,
    user_id: UserId,
    rule_id: AutomodRuleId,
    rule_name: String,
    content: String,
}

/// Tells moderators; idempotent by the key of what it says.
pub(crate) struct Alerts(pub(crate) Weak<Messaging>);

impl Handler for Alerts {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(async move {
            match self.0.upgrade() {
                Some(messaging) => messaging.alert(event).await,
                None => Ok(()),
            }
        })
    }
}
