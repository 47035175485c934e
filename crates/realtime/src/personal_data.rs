//! What is stored about people here goes when their time is up.
//!
//! Nothing is exported and nobody is answered: the rows live for minutes anyway.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::privacy::ERASURE_DUE;
use db::inbox::TxHandler;
use db::privacy::subject_of;
use db::{Db, Tx};
use kernel::{Event, Failure};

use crate::PRIVACY;

/// Erases who is due.
const ERASER: &str = "realtime.erasures";

struct Eraser;

#[async_trait]
impl TxHandler for Eraser {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<(), Failure> {
        PRIVACY.get()?.erase(tx, subject_of(event)?).await?;
        Ok(())
    }
}

/// The subscription on accounts whose time is up.
pub(crate) fn consumer(db: &Db) -> runtime::Consumer {
    let consumer = db::inbox::Consumer::new(db.clone(), PRIVACY.schema(), ERASER, Arc::new(Eraser));
    runtime::Consumer {
        name: ERASER,
        kinds: &[ERASURE_DUE],
        handler: Arc::new(consumer),
    }
}
