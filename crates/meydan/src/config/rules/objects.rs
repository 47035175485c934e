//! What the settings of files mean together.

use super::{Checker, Code, Config};
use crate::config::types::StoreKind;

/// Fills in what follows from other settings.
pub(super) fn derive(config: &mut Config) {
    let objects = &mut config.objects;
    let has_bucket = objects.s3.bucket.is_some();
    objects.store.get_or_insert(if has_bucket {
        StoreKind::S3
    } else {
        StoreKind::Disk
    });
}

impl Config {
    /// Where files are kept.
    pub(crate) fn store_kind(&self) -> StoreKind {
        self.objects.store.unwrap_or(StoreKind::Disk)
    }
}

impl Checker<'_> {
    pub(super) fn objects(&mut self) {
        let s3 = &self.config.objects.s3;
        if let Some(endpoint) = &s3.endpoint
            && !endpoint.is_https()
            && !endpoint.is_loopback()
        {
            let message = "must be https: what people upload goes there";
            self.refuse("objects.s3.endpoint", Code::BadValue, message);
        }
        if self.config.store_kind() == StoreKind::Disk {
            return;
        }
        let given = [
            s3.bucket.is_some(),
            s3.access_key_id.is_some(),
            s3.secret_access_key.is_some(),
        ];
        if given.contains(&false) {
            let message = "\"s3\" needs objects.s3.bucket, objects.s3.access_key_id and \
                           objects.s3.secret_access_key";
            self.refuse("objects.store", Code::Combination, message);
        }
    }
}
