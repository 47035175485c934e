//! Uploads that go on where they stopped.
//!
//! A part is an object before it counts: content is gathered for ten seconds or four mebibytes,
//! stored, and counted in by one statement that also checks that the upload is still ours. Whatever
//! breaks off in between was never acknowledged.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use contracts::media::Content;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use kernel::{AnyId, Caller, Check, MediaId, UserId};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, Result};
use crate::model::{Asset, State, sound_name, sound_type};
use crate::sql::{NewRow, PartRow};
use crate::{Media, sql};

/// Content that is held in memory before it becomes a part.
const PART_BYTES: usize = 4 * 1024 * 1024;
/// How long it is held.
const PART_TIME: Duration = Duration::from_secs(10);
/// How long an upload stays leased after its last part: long enough to store the next.
const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// A wish to upload.
#[derive(Debug, Clone, Default)]
pub struct NewUpload {
    /// How many bytes will come.
    pub size_bytes: u64,
    /// What the file is called.
    pub name: String,
    /// What its sender says it is.
    pub content_type: Option<String>,
    /// The SHA-256 that the whole will have, in hexadecimal digits.
    pub sha256: Option<String>,
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Content is missing.
    Receiving,
    /// It is whole; the image is being worked at. It can be used already.
    Processing,
    /// It is whole.
    Ready,
}

/// An upload, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Upload {
    /// The file, for `attachments[{media_id}]` and the like.
    pub id: MediaId,
    /// How far it is.
    pub state: Progress,
    /// What it is called.
    pub file_name: String,
    /// What it is, once it is whole.
    pub content_type: Option<String>,
    /// How many bytes it has in all.
    pub size: i64,
    /// How many have arrived.
    pub offset: i64,
    /// Width in pixels, for images.
    pub width: Option<i32>,
    /// Height in pixels, for images.
    pub height: Option<i32>,
    /// What to show until the image has come: a ThumbHash, as base64.
    pub placeholder: Option<String>,
    /// When it goes if nothing uses it; null once something does.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

impl From<Asset> for Upload {
    fn from(asset: Asset) -> Self {
        Upload {
            id: asset.id,
            state: match asset.state {
                State::Receiving => Progress::Receiving,
                State::Waiting => Progress::Processing,
                // Removed ones are not shown.
                State::Ready | State::Removed => Progress::Ready,
            },
            file_name: asset.file_name,
            content_type: asset.content_type,
            size: asset.size_bytes,
            offset: asset.offset_bytes,
            width: asset.width,
            height: asset.height,
            placeholder: asset.placeholder,
            expires_at: asset.expires_at,
        }
    }
}

/// How the content of a part ended.
enum Ending {
    /// More may come.
    Open,
    /// It is over.
    Closed,
    /// The line broke.
    Broken(io::Error),
}

impl Media {
    /// Opens an upload.
    pub async fn create_upload(&self, caller: &Caller, new: NewUpload) -> Result<Upload> {
        let limit = self.settings.max_file_bytes;
        if new.size_bytes > limit {
            return Err(Error::TooLarge { limit });
        }
        let expected = checksum(new.sha256.as_deref())?;
        let now = self.clock.now();
        let (name, declared) = (
            sound_name(&new.name),
            sound_type(new.content_type.as_deref()),
        );
        let row = NewRow {
            id: self.ids.next()?,
            owner: caller.user,
            folder: &self.new_folder(),
            file_name: &name,
            declared_type: &declared,
            size_bytes: i64::try_from(new.size_bytes).unwrap_or(i64::MAX),
            expected_sha256: expected.as_deref(),
            lease: None,
            now,
            expires_at: now + self.settings.keep_unclaimed,
        };
        self.open(&row).await?;
        if new.size_bytes == 0 {
            return self
                .append(caller, row.id, 0, stream::empty().boxed())
                .await;
        }
        self.upload(caller.user, row.id).await
    }

    /// How far one of the caller's uploads is.
    pub async fn upload(&self, owner: UserId, id: MediaId) -> Result<Upload> {
        self.own(owner, id).await.map(Upload::from)
    }

    /// Takes the next part of an upload. What came before a line broke is kept.
    pub async fn append(
        &self,
        caller: &Caller,
        id: MediaId,
        offset: i64,
        content: Content,
    ) -> Result<Upload> {
        self.own(caller.user, id).await?;
        // Each holds a part in memory: beyond the bound the client comes again in a second.
        let _buffer = self.buffers.try_acquire().or(Err(Error::NotReady))?;
        let (now, lease) = (self.clock.now(), self.lease()?);
        let leased = sql::lease_upload(&self.db, id, now, lease, now + LEASE).await?;
        // Read under the lease: from here on nobody else moves it.
        let asset = self.own(caller.user, id).await?;
        match (leased, asset.state) {
            (true, _) => {}
            (false, State::Receiving) => return Err(Error::Busy),
            // A client that did not hear of the end asks with nothing left to send.
            (false, _) if offset == asset.size_bytes => return Ok(asset.into()),
            (false, _) => return Err(wrong_offset(&asset, offset)),
        }
        let taken = self.append_leased(&asset, lease, offset, content).await;
        if let Err(error) = &taken {
            if refuses(error) {
                self.give_up(id, lease).await;
            } else if let Err(error) = sql::unlease(&self.db, id, lease).await {
                tracing::warn!(media.id = id.get(), %error, "an upload stays leased for a minute");
            }
        }
        taken?;
        self.upload(caller.user, id).await
    }

    /// Ends an upload before it is whole, or forgets a file that nothing uses.
    pub async fn end_upload(&self, caller: &Caller, id: MediaId) -> Result<()> {
        let asset = self.own(caller.user, id).await?;
        if asset.place_kind.is_some() {
            return Err(Error::NotClaimable);
        }
        sql::remove(&self.db, &[id]).await?;
        Ok(())
    }

    /// Finishes uploads whose process was killed right before it could; how many.
    pub(crate) async fn finish_complete(&self, limit: i64) -> Result<u32> {
        let now = self.clock.now();
        let mut finished = 0;
        for id in sql::list_complete(&self.db, now, limit).await? {
            let lease = self.lease()?;
            if !sql::lease_upload(&self.db, id, now, lease, now + LEASE).await? {
                continue;
            }
            let Some(asset) = sql::find_asset(&self.db, id).await? else {
                continue;
            };
            match self.assemble(&asset, lease).await {
                Ok(()) => finished += 1,
                Err(error) if refuses(&error) => self.give_up(id, lease).await,
                Err(error) => {
                    tracing::warn!(media.id = id.get(), %error, "an upload is not finished yet");
                    sql::unlease(&self.db, id, lease).await?;
                }
            }
        }
        Ok(finished)
    }

    /// One of a user's files; others do not exist.
    async fn own(&self, owner: UserId, id: MediaId) -> Result<Asset> {
        let now = self.clock.now();
        sql::find_asset(&self.db, id)
            .await?
            .filter(|asset| asset.owner_id == owner && asset.state != State::Removed)
            .filter(|asset| asset.expires_at.is_none_or(|at| at > now))
            .ok_or(Error::UnknownUpload)
    }

    async fn append_leased(
        &self,
        asset: &Asset,
        lease: AnyId,
        offset: i64,
        mut content: Content,
    ) -> Result<()> {
        if offset != asset.offset_bytes {
            return Err(wrong_offset(asset, offset));
        }
        let mut at = offset;
        loop {
            let (bytes, ending) = gather(&mut content).await;
            if !bytes.is_empty() {
                at = self.store_part(asset, lease, at, bytes).await?;
            }
            match ending {
                Ending::Open => {}
                Ending::Closed => break,
                Ending::Broken(error) => return Err(Error::Broken(error)),
            }
        }
        if at == asset.size_bytes {
            self.assemble(asset, lease).await
        } else {
            sql::unlease(&self.db, asset.id, lease).await?;
            Ok(())
        }
    }

    /// Stores a part, then counts it in; where the upload is now.
    async fn store_part(&self, asset: &Asset, lease: AnyId, at: i64, bytes: Bytes) -> Result<i64> {
        let part = PartRow {
            start_bytes: at,
            size_bytes: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            lease_id: lease,
        };
        let end = at.saturating_add(part.size_bytes);
        if end > asset.size_bytes {
            let limit = u64::try_from(asset.size_bytes).unwrap_or(0);
            return Err(Error::TooLarge { limit });
        }
        self.objects.put(&part_key(asset, &part), bytes).await?;
        let until = self.clock.now() + LEASE;
        if !sql::advance_upload(&self.db, asset.id, part, until).await? {
            return Err(Error::Busy);
        }
        Ok(end)
    }

    /// Makes one object of the parts, and judges it.
    async fn assemble(&self, asset: &Asset, lease: AnyId) -> Result<()> {
        let parts = sql::list_parts(&self.db, asset.id).await?;
        let keys: Vec<String> = parts.iter().map(|part| part_key(asset, part)).collect();
        let objects = std::sync::Arc::clone(&self.objects);
        let content = stream::iter(keys.clone())
            .then(move |key| {
                let objects = std::sync::Arc::clone(&objects);
                async move {
                    let found = objects.open(&key).await.map_err(io::Error::other)?;
                    let found = found.ok_or_else(|| io::Error::other("a part is gone"))?;
                    io::Result::Ok(found.body)
                }
            })
            .try_flatten()
            .boxed();
        let size = u64::try_from(asset.size_bytes).unwrap_or(0);
        let seen = match self.store_original(asset, size, content).await {
            // Our own store broke off, not the client.
            Err(Error::Broken(error)) => {
                return Err(Error::Objects(infra::objects::ObjectError::Io(error)));
            }
            seen => seen?,
        };
        if seen.size_bytes != size {
            let error = io::Error::other("the parts of an upload are not the whole");
            return Err(Error::Objects(infra::objects::ObjectError::Io(error)));
        }
        self.finish(asset, lease, seen).await?;
        for key in keys {
            if let Err(error) = self.objects.remove(&key).await {
                // The folder goes with the file.
                tracing::debug!(%error, "a part stays as long as its file");
            }
        }
        Ok(())
    }
}

/// Whether the content itself is refused, so that sending it again cannot help.
fn refuses(error: &Error) -> bool {
    matches!(
        error,
        Error::WrongType
            | Error::TypeNotAllowed(_)
            | Error::BrokenImage(_)
            | Error::TooManyPixels(_)
            | Error::WrongChecksum
            | Error::Quota { .. }
    )
}

fn wrong_offset(asset: &Asset, sent: i64) -> Error {
    Error::WrongOffset {
        at: asset.offset_bytes,
        sent,
    }
}

fn part_key(asset: &Asset, part: &PartRow) -> String {
    asset.key(&format!("parts/{}-{}", part.start_bytes, part.lease_id))
}

fn checksum(digits: Option<&str>) -> Result<Option<Vec<u8>>> {
    let Some(digits) = digits else {
        return Ok(None);
    };
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).ok()?;
        let is_digits = text.bytes().all(|digit| digit.is_ascii_hexdigit());
        u8::from_str_radix(text, 16).ok().filter(|_| is_digits)
    });
    let bytes: Option<Vec<u8>> = pairs.collect();
    let bytes = bytes.filter(|bytes| bytes.len() == 32 && digits.len() == 64);
    if bytes.is_none() {
        let mut check = Check::default();
        check.refuse(
            "Upload-Metadata",
            "INVALID_CHECKSUM",
            "64 hexadecimal digits",
        );
        check.done().map_err(Error::Invalid)?;
    }
    Ok(bytes)
}

/// Gathers content up to the bounds of a part.
async fn gather(content: &mut Content) -> (Bytes, Ending) {
    let mut bytes = BytesMut::new();
    let deadline = Instant::now() + PART_TIME;
    loop {
        if bytes.len() >= PART_BYTES {
            return (bytes.freeze(), Ending::Open);
        }
        let piece = if bytes.is_empty() {
            // Nothing to lose yet; how long a client may be silent is bounded where it is read.
            content.next().map(Ok).await
        } else {
            timeout_at(deadline, content.next()).await
        };
        match piece {
            Ok(Some(Ok(piece))) => bytes.extend_from_slice(&piece),
            Ok(Some(Err(error))) => return (bytes.freeze(), Ending::Broken(error)),
            Ok(None) => return (bytes.freeze(), Ending::Closed),
            Err(_elapsed) => return (bytes.freeze(), Ending::Open),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_64_digits() {
        let good = "0f".repeat(32);
        assert_eq!(checksum(Some(&good)).unwrap(), Some(vec![15; 32]));
        assert_eq!(checksum(None).unwrap(), None);
        for bad in [
            "",
            "0f",
            &"0f".repeat(33),
            &"+f".repeat(32),
            &"ş".repeat(32),
        ] {
            assert!(checksum(Some(bad)).is_err(), "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_slow_sender_sent_is_stored_after_ten_seconds() {
        let first = stream::iter([io::Result::Ok(Bytes::from_static(b"abc"))]);
        let mut content = first.chain(stream::pending()).boxed();
        let begun = Instant::now();
        let (bytes, ending) = gather(&mut content).await;
        assert!(matches!(ending, Ending::Open));
        assert_eq!(bytes, "abc");
        assert_eq!(begun.elapsed(), PART_TIME);
    }

    #[tokio::test]
    async fn parts_are_bounded_and_keep_what_came_before_a_break() {
        let piece = Bytes::from(vec![0; PART_BYTES / 2]);
        let mut content = stream::iter([
            Ok(piece.clone()),
            Ok(piece.clone()),
            Ok(piece),
            Err(io::Error::other("gone")),
        ])
        .boxed();
        let (bytes, ending) = gather(&mut content).await;
        assert!(matches!(ending, Ending::Open));
        assert_eq!(bytes.len(), PART_BYTES);
        let (bytes, ending) = gather(&mut content).await;
        assert!(matches!(ending, Ending::Broken(_)));
        assert_eq!(bytes.len(), PART_BYTES / 2);
    }
}
