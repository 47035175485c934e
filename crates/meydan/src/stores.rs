//! Where files are kept, as the settings say.

use std::sync::Arc;

use infra::objects::s3::Bucket;
use infra::objects::{DiskObjects, ObjectError, Objects, S3Objects};
use jiff::{SignedDuration, Timestamp};

use crate::config::{Config, StoreKind};

/// A file to which nothing was added for so long was left by a process that is gone.
const UNFINISHED: SignedDuration = SignedDuration::from_hours(1);

/// The store; asks no server yet.
pub(crate) fn objects(config: &Config) -> Result<Arc<dyn Objects>, ObjectError> {
    match (config.store_kind(), bucket(config)) {
        (StoreKind::S3, Some(bucket)) => Ok(S3Objects::new(&bucket)?),
        // The rules of the settings refuse `s3` without a bucket before.
        (StoreKind::S3 | StoreKind::Disk, _) => Ok(disk(config)),
    }
}

/// Removes what killed processes left half written on this computer.
pub(crate) async fn clear_unfinished(config: &Config, now: Timestamp) {
    match disk(config).clear_unfinished(now - UNFINISHED).await {
        Ok(0) => {}
        Ok(files) => tracing::info!(
            files,
            "removed half written files of processes that are gone"
        ),
        Err(error) => tracing::warn!(%error, "half written files cannot be removed"),
    }
}

fn disk(config: &Config) -> Arc<DiskObjects> {
    DiskObjects::new(config.storage.data_dir.join("objects"))
}

fn bucket(config: &Config) -> Option<Bucket> {
    let s3 = &config.objects.s3;
    Some(Bucket {
        endpoint: s3.endpoint.as_ref().map(ToString::to_string),
        region: s3.region.clone(),
        name: s3.bucket.clone()?,
        access_key_id: s3.access_key_id.clone()?,
        secret_access_key: s3.secret_access_key.as_ref()?.to_secret_string(),
    })
}
