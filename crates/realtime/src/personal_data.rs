//! What is stored about people here, for their exports and erasures.
//!
//! Apart from the gateway: an export is made also where no gateway runs.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::PersonalData;
use contracts::privacy::{Bundle, ERASURE_DUE};
use db::Db;
use db::privacy::Eraser;
use kernel::{Failure, Ids, SharedClock, UserId};

use crate::{PRIVACY, SCHEMA};

/// Erases who is due.
const ERASER: &str = "realtime.erasures";

/// What this context stores about people.
pub struct PersonalRows {
    db: Db,
    ids: Arc<Ids>,
    clock: SharedClock,
}

impl PersonalRows {
    /// In a database with the rights of the schema.
    pub fn new(db: Db, ids: Arc<Ids>, clock: SharedClock) -> Arc<Self> {
        Arc::new(PersonalRows { db, ids, clock })
    }

    /// The subscription on accounts whose time is up.
    pub fn eraser(&self) -> runtime::Consumer {
        let ground = (Arc::clone(&self.ids), Arc::clone(&self.clock));
        let eraser = Eraser::consumer(self.db.clone(), &PRIVACY, ERASER, ground);
        runtime::Consumer {
            name: ERASER,
            kinds: &[ERASURE_DUE],
            handler: Arc::new(eraser),
        }
    }
}

#[async_trait]
impl PersonalData for PersonalRows {
    fn context(&self) -> &'static str {
        SCHEMA
    }

    async fn export(&self, user: UserId, to: &mut Bundle) -> Result<(), Failure> {
        let mut take = |table, rows: Vec<serde_json::Value>| to.add(SCHEMA, table, &rows);
        PRIVACY.get()?.export(&self.db, user, &mut take).await
    }
}
