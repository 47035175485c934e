//! What leaves this context, and what it learns from others.

use std::sync::Arc;

use async_trait::async_trait;
use db::Tx;
use db::inbox::TxHandler;
use kernel::failure::INTERNAL;
use kernel::{AnyId, ChannelId, CommunityId, Event, Failure, MediaId};
use serde_json::Value;

use crate::model::IN_MESSAGE;
use crate::{Media, SCHEMA, sql};

/// A file is served from now on. `{media_id, owner_id, content_type}`; the key is the file.
pub const ASSET_READY: &str = "media.asset_ready.v1";
/// Nothing is left of a user here. The key is the user.
pub const USER_ERASED: &str = "media.user_erased.v1";

/// All of them.
pub const EVENTS: &[&str] = &[ASSET_READY, USER_ERASED];

const MESSAGE_DELETED: &str = "messaging.message_deleted.v1";
const ATTACHMENTS_REMOVED: &str = "messaging.attachments_removed.v1";
const CHANNEL_DELETED: &str = "communities.channel_deleted.v1";
const COMMUNITY_DELETED: &str = "communities.community_deleted.v1";
const FOLLOWER: &str = "media.places";

/// Lets files go whose place is gone.
struct Places;

#[async_trait]
impl TxHandler for Places {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<(), Failure> {
        let newest = MediaId::new(i64::MAX);
        match event.kind.as_str() {
            MESSAGE_DELETED => {
                let message: AnyId = field(event, "id")?;
                sql::release_place(tx, (IN_MESSAGE, message), newest).await?;
            }
            ATTACHMENTS_REMOVED => {
                sql::remove(tx, &list(event, "media_ids")?).await?;
            }
            CHANNEL_DELETED => {
                let channel: ChannelId = field(event, "channel_id")?;
                sql::release_channel(tx, channel).await?;
            }
            COMMUNITY_DELETED => {
                let community: CommunityId = field(event, "community_id")?;
                sql::release_community(tx, community).await?;
                let icon =
                    crate::model::PlaceColumns::from(contracts::media::Place::Icon(community));
                sql::release_place(tx, (icon.kind, icon.id), newest).await?;
            }
            other => tracing::warn!(event.kind = other, "an event nobody asked for was brought"),
        }
        Ok(())
    }
}

fn field<K>(event: &Event, name: &str) -> Result<kernel::Id<K>, Failure> {
    let text = event.data.get(name).and_then(Value::as_str);
    let id = text.and_then(|text| text.parse().ok());
    id.ok_or_else(|| {
        let cause = format!("{} without {name}", event.kind);
        INTERNAL.fail().because(cause)
    })
}

fn list(event: &Event, name: &str) -> Result<Vec<MediaId>, Failure> {
    let list = event.data.get(name).cloned().unwrap_or_default();
    serde_json::from_value(list).map_err(|error| INTERNAL.fail().because(error))
}

/// The subscription on places that go.
pub(crate) fn consumer(this: &Arc<Media>) -> runtime::Consumer {
    let handler = db::inbox::Consumer::new(this.db.clone(), SCHEMA, FOLLOWER, Arc::new(Places));
    runtime::Consumer {
        name: FOLLOWER,
        kinds: &[
            MESSAGE_DELETED,
            ATTACHMENTS_REMOVED,
            CHANNEL_DELETED,
            COMMUNITY_DELETED,
        ],
        handler: Arc::new(handler),
    }
}
