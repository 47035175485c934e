//! What is stored about people here, for their exports and erasures.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::PersonalData;
use contracts::privacy::{Bundle, ERASURE_DUE};
use db::Tx;
use db::inbox::TxHandler;
use db::privacy::{Eraser, subject_of};
use kernel::{Event, Failure, UserId};

use crate::{Messaging, PRIVACY, SCHEMA, sql};

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

/// Takes a user out of what is counted before what the file says is done.
struct Leaver(Eraser);

#[async_trait]
impl TxHandler for Leaver {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<(), Failure> {
        let user = subject_of(event)?;
        sql::withdraw_reactions(tx, user).await?;
        sql::withdraw_votes(tx, user).await?;
        self.0.handle(tx, event).await
    }
}

/// The subscription on accounts whose time is up.
pub(crate) fn consumer(this: &Messaging) -> runtime::Consumer {
    let eraser = Eraser::new(&PRIVACY, Arc::clone(&this.ids), Arc::clone(&this.clock));
    let handler = Arc::new(Leaver(eraser));
    let consumer = db::inbox::Consumer::new(this.db.clone(), SCHEMA, ERASER, handler);
    runtime::Consumer {
        name: ERASER,
        kinds: &[ERASURE_DUE],
        handler: Arc::new(consumer),
    }
}
