//! What other contexts tell the audit log: who made, changed and deleted a webhook, and who deleted
//! messages of others.

use std::sync::Arc;

use async_trait::async_trait;
use db::Tx;
use db::inbox::TxHandler;
use infra::fanout::{Record, Topic, Version};
use kernel::event::{Handler, Handling};
use kernel::failure::INTERNAL;
use kernel::{AnyId, CommunityId, Event, Failure, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::audit_log::{EntryPayload, TOLD};
use crate::publish::Publisher;
use crate::sql::audit::{self, AuditRow};
use crate::{Communities, SCHEMA, events};

const NAME: &str = "communities.audit_of_others";
/// Events with the dialect's numbers of what was done.
const ACTIONS: [(&str, i16); 5] = [
    ("applications.webhook_created.v1", 50),
    ("applications.webhook_updated.v1", 51),
    ("applications.webhook_deleted.v1", 52),
    ("messaging.message_removed.v1", 72),
    ("messaging.messages_bulk_deleted.v1", 73),
];
const KINDS: &[&str] = &[
    ACTIONS[0].0,
    ACTIONS[1].0,
    ACTIONS[2].0,
    ACTIONS[3].0,
    ACTIONS[4].0,
];

/// What we read of such an event.
#[derive(Deserialize)]
struct Told {
    /// None of a private channel, which has no log.
    community_id: Option<CommunityId>,
    #[serde(flatten)]
    about: About,
    changes: Option<Value>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum About {
    Webhook { webhook_id: AnyId },
    Message { channel_id: AnyId, author_id: AnyId },
    Messages { channel_id: AnyId, ids: Vec<AnyId> },
}

impl About {
    /// Whom or what the entry is about, and what the dialect tells besides.
    fn target(self) -> (AnyId, Option<Value>) {
        match self {
            About::Webhook { webhook_id } => (webhook_id, None),
            About::Message {
                channel_id,
                author_id,
            } => {
                let options = json!({"channel_id": channel_id, "count": "1"});
                (author_id, Some(options))
            }
            About::Messages { channel_id, ids } => {
                let options = json!({"count": ids.len().to_string()});
                (channel_id, Some(options))
            }
        }
    }
}

fn entry(event: &Event) -> Result<Option<(CommunityId, AuditRow)>, Failure> {
    let told: Told = serde_json::from_value(event.data.clone())
        .map_err(|error| INTERNAL.fail().because(error))?;
    let Some(community) = told.community_id else {
        return Ok(None);
    };
    let (target, options) = told.about.target();
    let action = ACTIONS.iter().find(|(kind, _)| *kind == event.kind);
    let (_, action) = action.ok_or_else(|| INTERNAL.fail().because(event.kind.clone()))?;
    let row = AuditRow {
        // Events and entries draw on the same ids, so that its time is in it.
        id: event.id.cast(),
        actor_id: event.actor.unwrap_or(UserId::new(0)),
        action: *action,
        target_id: Some(target),
        changes: told.changes,
        options,
        reason: told.reason,
    };
    Ok(Some((community, row)))
}

/// Writes the entry.
struct Writer;

#[async_trait]
impl TxHandler for Writer {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<(), Failure> {
        if let Some((community, row)) = entry(event)? {
            audit::insert(tx, community, &row).await?;
        }
        Ok(())
    }
}

/// Writes the entry, then tells those who may read the log; twice, if it is brought twice.
struct Follower {
    written: db::inbox::Consumer,
    publisher: Arc<Publisher>,
}

impl Follower {
    async fn tell(&self, event: &Event) -> Result<(), Failure> {
        let Some((guild_id, row)) = entry(event)? else {
            return Ok(());
        };
        let actor = row.actor_id;
        let entry = row.into();
        let body = events::dispatch(TOLD, actor, &EntryPayload { guild_id, entry })
            .map_err(|error| INTERNAL.fail().because(error))?;
        let record = Record {
            body,
            community: Some(guild_id),
            channel: None,
            version: Version::None,
            epoch: 0,
            ephemeral: false,
        };
        let batch = vec![(Topic::Community(guild_id), Arc::new(record))];
        self.publisher.publish(batch).await;
        Ok(())
    }
}

impl Handler for Follower {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(async move {
            self.written.handle(event).await?;
            if let Err(failure) = self.tell(event).await {
                tracing::warn!(%failure, "an entry of the audit log was told to nobody");
            }
            Ok(())
        })
    }
}

/// The subscription on what others tell.
pub(crate) fn consumer(this: &Communities) -> runtime::Consumer {
    let written = db::inbox::Consumer::new(this.db.clone(), SCHEMA, NAME, Arc::new(Writer));
    runtime::Consumer {
        name: NAME,
        kinds: KINDS,
        handler: Arc::new(Follower {
            written,
            publisher: Arc::clone(&this.publisher),
        }),
    }
}
