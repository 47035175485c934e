//! What is stored about people here, for their exports and erasures.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::PersonalData;
use contracts::privacy::{Bundle, ERASURE_DUE};
use db::privacy::Eraser;
use jiff::SignedDuration;
use kernel::{Failure, MediaId, UserId};
use serde_json::Value;

use crate::keys::Preset;
use crate::{Media, PRIVACY, SCHEMA, sql};

/// Erases who is due.
const ERASER: &str = "media.erasures";
/// How long the addresses in an export are good: as long as the export itself.
const FETCHABLE: SignedDuration = SignedDuration::from_hours(7 * 24);

#[async_trait]
impl PersonalData for Media {
    fn context(&self) -> &'static str {
        SCHEMA
    }

    /// The rows, and of each file in a message an address at which it can be fetched.
    async fn export(&self, user: UserId, to: &mut Bundle) -> Result<(), Failure> {
        let mut ids = Vec::new();
        let mut take = |table, rows: Vec<Value>| {
            if table == "assets" {
                let of = |row: &Value| row.get("id").and_then(Value::as_i64);
                ids.extend(rows.iter().filter_map(of).map(MediaId::new));
            }
            to.add(SCHEMA, table, &rows)
        };
        PRIVACY.get()?.export(&self.db, user, &mut take).await?;
        let until = (self.clock.now() + FETCHABLE).as_second();
        for step in ids.chunks(contracts::media::MAX_ASKED) {
            let assets = sql::list_assets(&self.db, step).await?;
            let rows = assets.iter().filter_map(|asset| {
                let channel = asset.channel_id?;
                let url = self.address_until(asset, channel, Preset::Whole, until);
                Some(serde_json::json!({ "id": asset.id.get(), "url": url }))
            });
            to.add(SCHEMA, "addresses", &rows.collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

/// The subscription on accounts whose time is up. The job that clears removes the files' objects.
pub(crate) fn consumer(this: &Media) -> runtime::Consumer {
    let ground = (Arc::clone(&this.ids), Arc::clone(&this.clock));
    let eraser = Eraser::consumer(this.db.clone(), &PRIVACY, ERASER, ground);
    runtime::Consumer {
        name: ERASER,
        kinds: &[ERASURE_DUE],
        handler: Arc::new(eraser),
    }
}
