//! What sessions are told when a relation changes, in the chat dialect.

use std::sync::Arc;

use contracts::relations::Bond;
use infra::fanout::{Body, Control, Dispatch, Record, Topic, Version};
use jiff::Timestamp;
use kernel::UserId;
use kernel::perm::Chat;

use super::Changed;
use crate::Identity;
use crate::error::Result;

impl Identity {
    /// Tells the sessions of both what changed for them, each only its own side.
    pub(super) async fn show_changes(&self, changed: &[Changed], now: Timestamp) -> Result<()> {
        let ids: Vec<UserId> = changed.iter().map(|side| side.other).collect();
        let users = self.chat_users(&ids).await?;
        for side in changed {
            let user = users.iter().find(|user| user.id == side.other);
            let shown = match (side.after, side.before) {
                (Some(bond), _) => serde_json::json!({
                    "id": side.other, "type": dialect_type(bond), "nickname": null,
                    "user": user, "since": now, "should_notify": bond == Bond::PendingIn,
                }),
                (None, Some(bond)) => {
                    serde_json::json!({"id": side.other, "type": dialect_type(bond)})
                }
                (None, None) => continue,
            };
            let name = if side.after.is_some() {
                "RELATIONSHIP_ADD"
            } else {
                "RELATIONSHIP_REMOVE"
            };
            self.tell(side.user, name, &shown).await;
        }
        // A block concerns both, also where only one side has a row for it.
        if let Some(side) = changed.first() {
            self.tell_sight_changed(side.user).await;
            self.tell_sight_changed(side.other).await;
        }
        Ok(())
    }

    /// Lets the nodes look anew who may see the user.
    pub(crate) async fn tell_sight_changed(&self, user: UserId) {
        self.tell_nodes(user, Body::Control(Control::SightChanged))
            .await;
    }

    /// Tells a user's own sessions something; what gets lost is in the list they can read.
    async fn tell(&self, user: UserId, name: &'static str, data: &serde_json::Value) {
        let body = Body::Dispatch(Dispatch {
            name: name.into(),
            intent: None,
            needs: Chat::NONE,
            author: None,
            except: None,
            full_for: Vec::new(),
            data: data.to_string().into(),
            redacted: None,
        });
        self.tell_nodes(user, body).await;
    }

    async fn tell_nodes(&self, user: UserId, body: Body) {
        let record = Record {
            body,
            community: None,
            channel: None,
            version: Version::None,
            epoch: 0,
            ephemeral: false,
        };
        let told = self.fanout.publish(Topic::User(user), Arc::new(record));
        if let Err(error) = told.await {
            tracing::warn!(%error, "a change of a relation was not shown");
        }
    }
}

/// The chat dialect's number of a bond.
pub(super) fn dialect_type(bond: Bond) -> u8 {
    match bond {
        Bond::Friend => 1,
        Bond::Block => 2,
        Bond::PendingIn => 3,
        Bond::PendingOut => 4,
    }
}
