//! What is counted of what happens: messages, and members who come and go, as told on the bus.

use std::sync::Arc;

use async_trait::async_trait;
use db::Tx;
use db::inbox::TxHandler;
use kernel::{CommunityId, Event, Failure, UserId};
use serde::Deserialize;

use crate::events::{MEMBER_JOINED, MEMBER_LEFT};
use crate::sql::statistics;
use crate::statistics::{day_of, unreadable};
use crate::{Communities, SCHEMA};

/// Counts.
const ACTIVITY: &str = "communities.activity";
const MESSAGE_CREATED: &str = "messaging.message_created.v1";

/// What we read of a message's event. Messages outside communities have no community.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    community_id: Option<CommunityId>,
    author_id: UserId,
}

/// What we read of a member's event.
#[derive(Deserialize)]
struct Moved {
    community_id: CommunityId,
}

struct Counter;

#[async_trait]
impl TxHandler for Counter {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<(), Failure> {
        let day = day_of(event.at);
        if event.kind == MESSAGE_CREATED {
            let written = Written::deserialize(&event.data).map_err(unreadable)?;
            if let Some(community) = written.community_id {
                let author = written.author_id;
                statistics::count_message(tx, community, author, event.at, day).await?;
            }
            return Ok(());
        }
        let moved = Moved::deserialize(&event.data).map_err(unreadable)?;
        let (joins, leaves) = if event.kind == MEMBER_JOINED {
            (1, 0)
        } else {
            (0, 1)
        };
        statistics::count_member(tx, moved.community_id, day, joins, leaves).await?;
        Ok(())
    }
}

/// The subscription on messages and members.
pub(crate) fn consumer(this: &Communities) -> runtime::Consumer {
    let consumer = db::inbox::Consumer::new(this.db.clone(), SCHEMA, ACTIVITY, Arc::new(Counter));
    runtime::Consumer {
        name: ACTIVITY,
        kinds: &[MESSAGE_CREATED, MEMBER_JOINED, MEMBER_LEFT],
        handler: Arc::new(consumer),
    }
}
