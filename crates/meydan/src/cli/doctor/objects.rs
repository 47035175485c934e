//! Whether files can be kept.

use std::error::Error as _;

use bytes::Bytes;
use futures::TryStreamExt as _;
use infra::objects::{ObjectError, Objects};

use super::Finding;
use crate::config::{Config, StoreKind};
use crate::stores;

/// An object that is made, read and removed; of one computer at a time, so a name of its own.
const CONTENT: Bytes = Bytes::from_static(b"meydan doctor");

pub(super) async fn look(config: &Config) -> Finding {
    if config.store_kind() == StoreKind::Disk {
        let folder = config.storage.data_dir.join("objects");
        return Finding::good("OB001", format!("files lie in {}", folder.display()));
    }
    let tried = match stores::objects(config) {
        Ok(store) => round_trip(&*store).await,
        Err(error) => Err(error),
    };
    match tried {
        Ok(()) => Finding::good("OB001", "an object came back from the bucket"),
        Err(error) => {
            let cause = error.source().map(ToString::to_string);
            Finding::bad("OB001", cause.unwrap_or_else(|| error.to_string()))
        }
    }
}

async fn round_trip(store: &dyn Objects) -> Result<(), ObjectError> {
    let key = format!("doctor/{}", std::process::id());
    store.put(&key, CONTENT).await?;
    let lost = || ObjectError::Io(std::io::Error::other("an object did not come back"));
    let object = store.open(&key).await?.ok_or_else(lost)?;
    let pieces: Vec<Bytes> = object.body.try_collect().await?;
    if pieces.concat() != CONTENT {
        return Err(lost());
    }
    store.remove(&key).await
}
