//! Webhooks in the audit log: who made, changed and deleted one, as `applications` tells it.

use std::sync::Arc;

use async_trait::async_trait;
use db::Tx;
use db::inbox::TxHandler;
use infra::fanout::{Record, Topic, Version};
use kernel::event::{Handler, Handling};
use kernel::failure::INTERNAL;
use kernel::{AnyId, CommunityId, Event, Failure, UserId};
use serde::Deserialize;
use serde_json::Value;

use crate::audit_log::{EntryPayload, TOLD};
use crate::publish::Publisher;
use crate::sql::audit::{self, AuditRow};
use crate::{Communities, SCHEMA, events};

const NAME: &str = "communities.webhook_audit";
/// Events with the dialect's numbers of what was done.
const ACTIONS: [(&str, i16); 3] = [
    ("applications.webhook_created.v1", 50),
    ("applications.webhook_updated.v1", 51),
    ("applications.webhook_deleted.v1", 52),
];
const KINDS: &[&str] = &[ACTIONS[0].0, ACTIONS[1].0, ACTIONS[2].0];

/// What we read of such an event.
#[derive(Deserialize)]
struct Told {
    webhook_id: AnyId,
    community_id: CommunityId,
    changes: Option<Value>,
    reason: Option<String>,
}

fn entry(event: &Event) -> Result<(CommunityId, AuditRow), Failure> {
    let told: Told = serde_json::from_value(event.data.clone())
        .map_err(|error| INTERNAL.fail().because(error))?;
    let action = ACTIONS.iter().find(|(kind, _)| *kind == event.kind);
    let (_, action) = action.ok_or_else(|| INTERNAL.fail().because(event.kind.clone()))?;
    let row = AuditRow {
        // Events and entries draw on the same ids, so that its time is in it.
        id: event.id.cast(),
        actor_id: event.actor.unwrap_or(UserId::new(0)),
        action: *action,
        target_id: Some(told.webhook_id),
        changes: told.changes,
        options: None,
        reason: told.reason,
    };
    Ok((told.community_id, row))
}

/// Writes the entry.
struct Writer;

#[async_trait]
impl TxHandler for Writer {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<(), Failure> {
        let (community, row) = entry(event)?;
        Ok(audit::insert(tx, community, &row).await?)
    }
}

/// Writes the entry, then tells those who may read the log; twice, if it is brought twice.
struct Follower {
    written: db::inbox::Consumer,
    publisher: Arc<Publisher>,
}

impl Follower {
    async fn tell(&self, event: &Event) -> Result<(), Failure> {
        let (guild_id, row) = entry(event)?;
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

/// The subscription on what happens to webhooks.
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
