//! What leaves this context, and what it learns from others.

use std::sync::Arc;

use async_trait::async_trait;
use db::Tx;
use db::inbox::TxHandler;
use infra::fanout::{Body, Control, Record, Topic, Version};
use kernel::failure::INTERNAL;
use kernel::{ChannelId, CommunityId, Event, Failure, UserId};

use crate::{Applications, SCHEMA, sql};

/// An application was made.
pub const APPLICATION_CREATED: &str = "applications.application_created.v1";
/// Its name, description or switches changed.
pub const APPLICATION_UPDATED: &str = "applications.application_updated.v1";
/// It is gone.
pub const APPLICATION_DELETED: &str = "applications.application_deleted.v1";
/// Its token was replaced.
pub const TOKEN_RESET: &str = "applications.token_reset.v1";
/// It was installed, or its rights changed.
pub const INSTALLED: &str = "applications.installed.v1";
/// It was taken out.
pub const UNINSTALLED: &str = "applications.uninstalled.v1";

/// A webhook was made. The key is its community.
pub const WEBHOOK_CREATED: &str = "applications.webhook_created.v1";
/// It changed.
pub const WEBHOOK_UPDATED: &str = "applications.webhook_updated.v1";
/// Somebody deleted it; one that goes with its channel says nothing.
pub const WEBHOOK_DELETED: &str = "applications.webhook_deleted.v1";

/// A subscription was made. The key is the subscription, here and below.
pub const SUBSCRIPTION_CREATED: &str = "applications.subscription_created.v1";
/// It changed, or was switched on or off by its owner.
pub const SUBSCRIPTION_UPDATED: &str = "applications.subscription_updated.v1";
/// Its secret was replaced.
pub const SUBSCRIPTION_SECRET_ROTATED: &str = "applications.subscription_secret_rotated.v1";
/// It is gone.
pub const SUBSCRIPTION_DELETED: &str = "applications.subscription_deleted.v1";
/// It was switched off by itself; `reason` says why.
pub const SUBSCRIPTION_DISABLED: &str = "applications.subscription_disabled.v1";

/// Nothing is left of a user here but an id. The key is the user.
pub const USER_ERASED: &str = "applications.user_erased.v1";

/// All of them.
pub const EVENTS: &[&str] = &[
    APPLICATION_CREATED,
    APPLICATION_UPDATED,
    APPLICATION_DELETED,
    TOKEN_RESET,
    INSTALLED,
    UNINSTALLED,
    WEBHOOK_CREATED,
    WEBHOOK_UPDATED,
    WEBHOOK_DELETED,
    SUBSCRIPTION_CREATED,
    SUBSCRIPTION_UPDATED,
    SUBSCRIPTION_SECRET_ROTATED,
    SUBSCRIPTION_DELETED,
    SUBSCRIPTION_DISABLED,
    USER_ERASED,
];

const MEMBER_LEFT: &str = "communities.member_left.v1";
const CHANNEL_DELETED: &str = "communities.channel_deleted.v1";
const COMMUNITY_DELETED: &str = "communities.community_deleted.v1";
const FOLLOWER: &str = "applications.installs";

/// Forgets installs, webhooks and subscriptions whose bot, channel or community is gone.
struct Installs;

#[async_trait]
impl TxHandler for Installs {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<(), Failure> {
        let community: CommunityId = field(event, "community_id")?;
        match event.kind.as_str() {
            MEMBER_LEFT => {
                // People have no installs, so nothing happens for them.
                let user: UserId = field(event, "user_id")?;
                sql::applications::delete_install(tx, user.cast(), community).await?;
            }
            COMMUNITY_DELETED => {
                sql::applications::delete_installs_of_community(tx, community).await?;
                sql::webhooks::delete_webhooks_of_community(tx, community).await?;
                sql::subscriptions::delete_subscriptions_of_community(tx, community).await?;
            }
            CHANNEL_DELETED => {
                let channel: ChannelId = field(event, "channel_id")?;
                sql::webhooks::delete_webhooks_of_channel(tx, channel).await?;
            }
            other => tracing::warn!(event.kind = other, "an event nobody asked for was brought"),
        }
        Ok(())
    }
}

fn field<K>(event: &Event, name: &str) -> Result<kernel::Id<K>, Failure> {
    let text = event.data.get(name).and_then(serde_json::Value::as_str);
    let id = text.and_then(|text| text.parse().ok());
    id.ok_or_else(|| {
        let cause = format!("{} without {name}", event.kind);
        INTERNAL.fail().because(cause)
    })
}

/// The subscription on what happens in communities.
pub(crate) fn consumer(this: &Arc<Applications>) -> runtime::Consumer {
    let handler = db::inbox::Consumer::new(this.db.clone(), SCHEMA, FOLLOWER, Arc::new(Installs));
    runtime::Consumer {
        name: FOLLOWER,
        kinds: &[MEMBER_LEFT, CHANNEL_DELETED, COMMUNITY_DELETED],
        handler: Arc::new(handler),
    }
}

impl Applications {
    /// Tells every node that a bot's token is void.
    pub(crate) async fn publish_revoked(&self, bot: UserId) {
        let record = Arc::new(Record {
            body: Body::Control(Control::BotTokenRevoked(bot)),
            community: None,
            channel: None,
            version: Version::None,
            epoch: 0,
            ephemeral: false,
        });
        if let Err(error) = self.fanout.publish(Topic::Revoked, record).await {
            // Nodes ask again when their cached answer runs out, after half a minute at most.
            tracing::warn!(%error, "could not tell nodes of a void bot token");
        }
    }
}
