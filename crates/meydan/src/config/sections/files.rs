//! Settings of what is kept as files.

use std::path::PathBuf;

use super::super::schema::settings;
use super::super::types::{Secret, StoreKind, WebOrigin};
use super::super::value::Size;

settings! {
    /// Files of this installation.
    "storage." struct Storage {
        /// Data directory: the private PostgreSQL, secrets and run-time files. Mode 0700.
        data_dir: PathBuf = "./meydan-data";
        /// Below this much free space writes are refused with 507, before PostgreSQL stops.
        min_free: Size = "1GiB", in "16MiB" => "1TiB";
    }
}

settings! {
    /// Where files are kept that people upload, and exports. What was kept elsewhere before is not
    /// moved.
    "objects." struct Objects {
        /// `disk` keeps them in the data directory, `s3` in a bucket.
        store: Option<StoreKind>, or "`s3` with `objects.s3.bucket`, else `disk`";
        sections {
            s3: S3,
        }
    }
}

settings! {
    /// A bucket of Amazon S3 or of a server that speaks its protocol. Let its rules of lifecycle
    /// abort incomplete uploads after a day: what a killed process leaves of one can only be seen
    /// there.
    "objects.s3." struct S3 {
        /// The server; plain http only on this computer.
        endpoint: Option<WebOrigin>, or "Amazon's server of the region";
        /// Region of the bucket.
        region: String = "us-east-1";
        /// Name of the bucket.
        bucket: Option<String>, or "no bucket";
        /// Access key id.
        access_key_id: Option<String>, or "no bucket";
        /// Its secret access key.
        secret_access_key: Option<Secret>, or "no bucket";
    }
}
