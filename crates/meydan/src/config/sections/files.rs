//! Settings of what is kept as files.

use std::path::PathBuf;
use std::time::Duration;

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

settings! {
    /// Files that people upload.
    "media." struct Media {
        /// Where files are fetched. A host of their own keeps them apart from everything that
        /// knows a login; let it lead to the same listener.
        public_url: Option<WebOrigin>, or "`http.public_url`";
        /// Largest file.
        max_file: Size = "25MiB", in "1KiB" => "2GiB";
        /// Largest image; it is held in memory while it is worked at.
        max_image: Size = "25MiB", in "1KiB" => "64MiB";
        /// Most pixels of an image. One of 50 million takes about 200 MiB while it is worked at.
        max_pixels: u32 = "50000000", in "10000" => "200000000";
        /// Most bytes of one user's files together.
        quota: Size = "1GiB", in "1KiB" => "1TiB";
        /// Most unfinished uploads of one user.
        uploads_per_user: u32 = "20", in "1" => "1000";
        /// Which files are taken, by what they are.
        allow: Vec<media::Class> = "image,video,audio,document,archive,other";
        /// How long an unfinished upload is kept, and a file that nothing uses.
        keep_unclaimed: Duration = "24h", in "1h" => "30d";
        /// How long an address of a file is good at least; at most twice as long.
        address_ttl: Duration = "24h", in "1m" => "7d";
        /// Images that are worked at side by side.
        workers: usize = "1", in "1" => "16";
    }
}
