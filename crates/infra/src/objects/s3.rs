//! Objects in a bucket of Amazon S3 or of a server that speaks its protocol.
//!
//! The protocol is `object_store`'s: signatures, checksums, retries. An upload that a killed process
//! left unfinished is invisible; the bucket's own rules of lifecycle remove it.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{StreamExt as _, TryStreamExt as _};
use http::Method;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{
    Attribute, Attributes, ClientOptions, Error, GetOptions, GetRange, GetResult, MultipartUpload,
    ObjectStore as _, ObjectStoreExt as _, PutMultipartOptions, PutOptions, RetryConfig,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    About, MAX_LISTED, Object, ObjectError, Objects, Pieces, check_key, check_range, check_size,
    next_piece,
};

/// A part of an upload. S3 takes none below 5 MiB but the last, and 10,000 of one object.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Tries of one request beyond the first.
const MAX_RETRIES: usize = 3;
/// How long tries go on.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may stand still.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Where a bucket is, and who may use it.
#[derive(Clone)]
pub struct Bucket {
    /// The server, `https://host`; none for Amazon's of the region.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: String,
    /// Its name.
    pub name: String,
    /// Who asks.
    pub access_key_id: String,
    /// Their secret.
    pub secret_access_key: SecretString,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Objects in a bucket.
pub struct S3Objects {
    bucket: AmazonS3,
}

impl S3Objects {
    /// A store in a bucket. Nothing is asked of the server yet.
    ///
    /// # Errors
    ///
    /// When the client cannot be set up, for example without any trusted certificate here.
    pub fn new(bucket: &Bucket) -> Result<Arc<Self>, ObjectError> {
        let mut builder = AmazonS3Builder::new()
            .with_region(&bucket.region)
            .with_bucket_name(&bucket.name)
            .with_access_key_id(&bucket.access_key_id)
            .with_secret_access_key(bucket.secret_access_key.expose_secret())
            .with_retry(RetryConfig {
                max_retries: MAX_RETRIES,
                retry_timeout: RETRY_TIMEOUT,
                ..RetryConfig::default()
            })
            .with_http_connector(Connector);
        if let Some(endpoint) = &bucket.endpoint {
            // Settings refuse plain http to other computers.
            builder = builder.with_endpoint(endpoint).with_allow_http(true);
        }
        let bucket = builder.build().map_err(failed)?;
        Ok(Arc::new(S3Objects { bucket }))
    }

    async fn read(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<Object>, ObjectError> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        match self.bucket.get_opts(&path(key)?, options).await {
            Ok(found) => Ok(Some(reading(found))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Stores what is longer than one part.
    async fn put_parts(
        &self,
        key: &Path,
        about: &About,
        first: Bytes,
        mut rest: Parts,
    ) -> Result<u64, ObjectError> {
        let options = PutMultipartOptions {
            attributes: attributes(about),
            ..PutMultipartOptions::default()
        };
        let mut upload = self
            .bucket
            .put_multipart_opts(key, options)
            .await
            .map_err(failed)?;
        let sent = send_parts(&mut *upload, first, &mut rest).await;
        if let Err(error) = sent {
            // Parts that stay are invisible; the bucket's rules remove them.
            if let Err(error) = upload.abort().await {
                tracing::warn!(%error, "an upload to the bucket cannot be given up");
            }
            return Err(error);
        }
        Ok(rest.taken)
    }
}

async fn send_parts(
    upload: &mut dyn MultipartUpload,
    first: Bytes,
    rest: &mut Parts,
) -> Result<(), ObjectError> {
    let mut part = Some(first);
    while let Some(bytes) = part {
        upload.put_part(bytes.into()).await.map_err(failed)?;
        part = rest.next().await?;
    }
    upload.complete().await.map_err(failed)?;
    Ok(())
}

/// Content cut into parts of one size; the last one may be smaller.
struct Parts {
    content: Pieces,
    limit: u64,
    taken: u64,
    /// What came beyond the last part.
    over: Bytes,
}

impl Parts {
    /// The next part; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, ObjectError> {
        let mut part = BytesMut::new();
        let mut piece = std::mem::take(&mut self.over);
        loop {
            let room = PART_BYTES.saturating_sub(part.len());
            let fits = piece.split_to(room.min(piece.len()));
            part.extend_from_slice(&fits);
            if part.len() == PART_BYTES {
                self.over = piece;
                return Ok(Some(part.freeze()));
            }
            let next = next_piece(&mut self.content, &mut self.taken, self.limit).await?;
            let Some(next) = next else {
                return Ok((!part.is_empty()).then(|| part.freeze()));
            };
            piece = next;
        }
    }
}

#[async_trait]
impl Objects for S3Objects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        check_key(key)?;
        check_size(&bytes)?;
        let put = self.bucket.put(&path(key)?, bytes.into()).await;
        put.map(drop).map_err(failed)
    }

    async fn put_stream(
        &self,
        key: &str,
        about: &About,
        content: Pieces,
    ) -> Result<u64, ObjectError> {
        check_key(key)?;
        let key = path(key)?;
        let mut parts = Parts {
            content,
            limit: about.max_bytes,
            taken: 0,
            over: Bytes::new(),
        };
        let first = parts.next().await?.unwrap_or_default();
        if first.len() == PART_BYTES {
            return self.put_parts(&key, about, first, parts).await;
        }
        let options = PutOptions {
            attributes: attributes(about),
            ..PutOptions::default()
        };
        let put = self.bucket.put_opts(&key, first.into(), options).await;
        put.map_err(failed)?;
        Ok(parts.taken)
    }

    async fn open(&self, key: &str) -> Result<Option<Object>, ObjectError> {
        check_key(key)?;
        self.read(key, None).await
    }

    async fn open_range(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<Option<Object>, ObjectError> {
        check_key(key)?;
        check_range(&range)?;
        self.read(key, Some(range)).await
    }

    async fn presign(&self, key: &str, valid: Duration) -> Result<Option<String>, ObjectError> {
        check_key(key)?;
        let signed = self
            .bucket
            .signed_url(Method::GET, &path(key)?, valid)
            .await;
        Ok(Some(signed.map_err(failed)?.into()))
    }

    async fn remove(&self, key: &str) -> Result<(), ObjectError> {
        check_key(key)?;
        match self.bucket.delete(&path(key)?).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, ObjectError> {
        check_key(folder)?;
        let folder = path(folder)?;
        let found = self.bucket.list(Some(&folder)).take(MAX_LISTED);
        let keys = found.map_ok(|about| about.location.to_string());
        keys.try_collect().await.map_err(failed)
    }
}

fn path(key: &str) -> Result<Path, ObjectError> {
    Path::parse(key).map_err(|error| failed(error.into()))
}

fn attributes(about: &About) -> Attributes {
    Attributes::from_iter([
        (Attribute::ContentType, about.content_type.clone()),
        (Attribute::ContentDisposition, about.disposition.clone()),
    ])
}

fn reading(found: GetResult) -> Object {
    Object {
        size_bytes: found.range.end.saturating_sub(found.range.start),
        body: found.into_stream().map_err(io::Error::other).boxed(),
    }
}

fn failed(error: Error) -> ObjectError {
    ObjectError::Io(io::Error::other(error))
}

/// Makes the client: no proxy of the environment, no redirects, and deadlines.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    #[expect(
        clippy::disallowed_methods,
        reason = "object_store sends by itself, to the one address the operator configured"
    )]
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = reqwest::Client::builder()
            .user_agent("meydan")
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build();
        let client = client.map_err(|error| Error::Generic {
            store: "S3",
            source: Box::new(error),
        })?;
        Ok(HttpClient::new(client))
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    async fn cut(pieces: Vec<usize>) -> Vec<usize> {
        let content = pieces
            .into_iter()
            .map(|size| Ok(Bytes::from(vec![0; size])));
        let mut parts = Parts {
            content: stream::iter(content.collect::<Vec<_>>()).boxed(),
            limit: u64::MAX,
            taken: 0,
            over: Bytes::new(),
        };
        let mut sizes = Vec::new();
        while let Some(part) = parts.next().await.unwrap() {
            sizes.push(part.len());
        }
        sizes
    }

    #[tokio::test]
    async fn content_is_cut_into_parts_of_one_size() {
        const PART: usize = PART_BYTES;
        assert_eq!(cut(vec![]).await, [0; 0]);
        assert_eq!(cut(vec![0, 0]).await, [0; 0]);
        assert_eq!(cut(vec![5]).await, [5]);
        assert_eq!(cut(vec![PART - 1, 1]).await, [PART]);
        assert_eq!(cut(vec![PART - 1, 3]).await, [PART, 2]);
        assert_eq!(cut(vec![2 * PART + 7, 1]).await, [PART, PART, 8]);
    }

    #[test]
    fn the_secret_is_not_shown() {
        let bucket = Bucket {
            endpoint: None,
            region: "us-east-1".to_owned(),
            name: "files".to_owned(),
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: SecretString::from("wJalrXUtnFEMI"),
        };
        let shown = format!("{bucket:?}");
        assert!(!shown.contains("wJalrXUtnFEMI"), "{shown}");
    }
}
