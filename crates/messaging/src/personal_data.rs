//! What is stored about people here, for their exports and erasures.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::PersonalData;
use contracts::privacy::{Bundle, ERASURE_DUE};
use db::privacy::Eraser;
use kernel::{Failure, UserId};

use crate::{Messaging, PRIVACY, SCHEMA};

/// Erases who is due.
const ERASER: &str = "messaging.erasures";

#[async_trait]
impl PersonalData for Messaging {
    fn context(&self) -> &'static str {
        SCHEMA
    }

    async fn export(&self, user: UserId, to: &mut Bundle) -> Result<(), Failure> {
        let mut take = |table, rows: Vec<serde_json::Value>| to.add(SCHEMA, table, &rows);
        PRIVACY.get()?.export(&self.db, user, &mut take).await
    }
}

/// The subscription on accounts whose time is up.
pub(crate) fn consumer(this: &Messaging) -> runtime::Consumer {
    let ground = (Arc::clone(&this.ids), Arc::clone(&this.clock));
    let eraser = Eraser::consumer(this.db.clone(), &PRIVACY, ERASER, ground);
    runtime::Consumer {
        name: ERASER,
        kinds: &[ERASURE_DUE],
        handler: Arc::new(eraser),
    }
}
