//! Who is active: messages as they are told on the bus, kept as one moment per member.

use std::sync::Arc;

use async_trait::async_trait;
use db::Tx;
use db::inbox::TxHandler;
use kernel::failure::INTERNAL;
use kernel::{CommunityId, Event, Failure, UserId};
use serde::Deserialize;

use crate::sql::members;
use crate::{Communities, SCHEMA};

/// Notes who wrote.
const WRITERS: &str = "communities.writers";
const MESSAGE_CREATED: &str = "messaging.message_created.v1";

/// What we read of a message's event. Messages outside communities have no community.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    community_id: Option<CommunityId>,
    author_id: UserId,
}

struct Writers;

#[async_trait]
impl TxHandler for Writers {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<(), Failure> {
        let written =
            Written::deserialize(&event.data).map_err(|error| INTERNAL.fail().because(error))?;
        if let Some(community) = written.community_id {
            members::note_message(tx, community, written.author_id, event.at).await?;
        }
        Ok(())
    }
}

/// The subscription on messages.
pub(crate) fn consumer(this: &Communities) -> runtime::Consumer {
    let consumer = db::inbox::Consumer::new(this.db.clone(), SCHEMA, WRITERS, Arc::new(Writers));
    runtime::Consumer {
        name: WRITERS,
        kinds: &[MESSAGE_CREATED],
        handler: Arc::new(consumer),
    }
}
