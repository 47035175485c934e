//! What the chain keeps, and how it arrives.

use std::sync::Arc;

use async_trait::async_trait;
use db::Tx;
use db::inbox::TxHandler;
use kernel::failure::INTERNAL;
use kernel::{Event, Failure, SharedClock};

use crate::model::{PLATFORM, subject};
use crate::{Audit, SCHEMA, sql};

/// Events that become entries.
pub const AUDITED: &[&str] = &[
    "identity.user_created.v1",
    "identity.user_updated.v1",
    "identity.user_state_changed.v1",
    "identity.roles_changed.v1",
    "identity.device_created.v1",
    "identity.device_revoked.v1",
    "identity.factor_changed.v1",
    "identity.reset_started.v1",
    "identity.registration_lock_waiting.v1",
    "identity.passkey_count_fell.v1",
    "identity.consent_changed.v1",
    "identity.text_published.v1",
    "identity.stuffing_noticed.v1",
    "identity.export_requested.v1",
    "identity.erasure_requested.v1",
    "identity.erasure_due.v1",
    "identity.api_key_created.v1",
    "identity.api_key_revoked.v1",
    "identity.impersonation_asked.v1",
    "identity.impersonation_approved.v1",
    "identity.impersonation_started.v1",
    "applications.application_created.v1",
    "applications.application_deleted.v1",
    "applications.token_reset.v1",
];

/// Stages what arrives.
struct Stage {
    clock: SharedClock,
}

#[async_trait]
impl TxHandler for Stage {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<(), Failure> {
        let body = serde_json::to_vec(event).map_err(|error| INTERNAL.fail().because(error))?;
        let chain = event.tenant.unwrap_or(PLATFORM);
        let now = self.clock.now();
        sql::stage(tx, event.id, chain, &body, subject(event), now).await?;
        Ok(())
    }
}

/// The consumer of all audited events.
pub(crate) fn consumer(this: &Arc<Audit>) -> runtime::Consumer {
    const NAME: &str = "audit.stage";
    let stage = Stage {
        clock: Arc::clone(&this.clock),
    };
    runtime::Consumer {
        name: NAME,
        kinds: AUDITED,
        handler: Arc::new(db::inbox::Consumer::new(
            this.db.clone(),
            SCHEMA,
            NAME,
            Arc::new(stage),
        )),
    }
}
