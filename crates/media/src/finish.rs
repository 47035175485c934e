//! Judging a file that is whole: by its content, and without decoding any of it.

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use kernel::AnyId;
use serde_json::json;

use crate::error::{Error, Result};
use crate::events::ASSET_READY;
use crate::kinds::{self, Class, ImageKind, Kind};
use crate::model::{Asset, ORIGINAL, State};
use crate::pictures::Unusable;
use crate::probe::{self, Probe};
use crate::receive::Seen;
use crate::sql::WholeRow;
use crate::{Media, SCHEMA, sql};

impl Media {
    /// Judges a whole file and ends its upload. A refused one is to be given up by the caller.
    pub(crate) async fn finish(&self, asset: &Asset, lease: AnyId, seen: Seen) -> Result<()> {
        let judged = self.judge(asset, &seen).await;
        let result = match &judged {
            Ok((kind, _)) => kind.class.word(),
            Err(_) => "refused",
        };
        metrics::counter!("meydan_media_finished_total", "result" => result).increment(1);
        let (kind, size) = judged?;
        let state = if kind.class == Class::Image {
            State::Waiting
        } else {
            State::Ready
        };
        let now = self.clock.now();
        let row = WholeRow {
            id: asset.id,
            lease,
            state: state.into(),
            size_bytes: i64::try_from(seen.size_bytes).unwrap_or(i64::MAX),
            sha256: &seen.sha256,
            content_type: kind.content_type,
            object: ORIGINAL,
            size,
            expires_at: now + self.settings.keep_unclaimed,
        };
        let limit = self.settings.quota_bytes;
        let tx = self.db.begin().await?;
        sql::lock_owner(&tx, asset.owner_id).await?;
        if !sql::finish_upload(&tx, &row).await? {
            return Err(Error::UnknownUpload);
        }
        let usage = sql::usage(&tx, asset.owner_id).await?;
        // Several that came side by side may be too much together.
        if u64::try_from(usage.bytes).unwrap_or(u64::MAX) > limit {
            return Err(Error::Quota { limit });
        }
        if state == State::Ready {
            self.tell_ready(&tx, asset, kind.content_type).await?;
        }
        tx.commit().await?;
        self.work.notify_one();
        Ok(())
    }

    /// Tells other contexts that a file is served from now on.
    pub(crate) async fn tell_ready(
        &self,
        tx: &db::Tx,
        asset: &Asset,
        content_type: &str,
    ) -> Result<()> {
        let event = kernel::Event {
            id: self.ids.next()?,
            kind: ASSET_READY.to_owned(),
            at: self.clock.now(),
            actor: None,
            tenant: None,
            key: asset.id.to_string(),
            data: json!({
                "media_id": asset.id, "owner_id": asset.owner_id, "content_type": content_type,
            }),
        };
        db::outbox::append(tx, SCHEMA, &[event]).await?;
        Ok(())
    }

    /// What the file is; of an image also its size as people see it.
    async fn judge(&self, asset: &Asset, seen: &Seen) -> Result<(Kind, Option<(i32, i32)>)> {
        let expected = asset.expected_sha256.as_deref();
        if expected.is_some_and(|expected| expected != seen.sha256) {
            return Err(Error::WrongChecksum);
        }
        let kind = kinds::sniff(&seen.head);
        if kinds::contradicts(&asset.declared_type, kind) {
            return Err(Error::WrongType);
        }
        if !self.settings.classes.contains(&kind.class) {
            return Err(Error::TypeNotAllowed(kind.class.word()));
        }
        let Some(image) = ImageKind::of_content_type(kind.content_type) else {
            return Ok((kind, None));
        };
        let limit = self.settings.max_image_bytes;
        if seen.size_bytes > limit {
            return Err(Error::TooLarge { limit });
        }
        let file = self.read_object(asset, ORIGINAL, limit).await?;
        let walked = self.pool.run(move || probe::walk(image, &file)).await;
        let probe = walked.or(Err(Error::NotReady))?;
        let probe = probe.map_err(|broken| Error::BrokenImage(Unusable::Broken(broken)))?;
        self.check_pixels(&probe)?;
        let (width, height) = probe.shown_size();
        let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
        Ok((kind, Some((side(width), side(height)))))
    }

    /// A header may promise pixels that no memory holds.
    pub(crate) fn check_pixels(&self, probe: &Probe) -> Result<()> {
        if probe.pixels() > self.settings.max_pixels {
            return Err(Error::TooManyPixels(probe.pixels()));
        }
        Ok(())
    }

    /// Reads one object of a file whole.
    pub(crate) async fn read_object(
        &self,
        asset: &Asset,
        object: &str,
        limit: u64,
    ) -> Result<Bytes> {
        let found = self.objects.open(&asset.key(object)).await?;
        let mut found = found.ok_or(Error::UnknownMedia)?;
        if found.size_bytes > limit {
            return Err(Error::TooLarge { limit });
        }
        let room = usize::try_from(found.size_bytes).unwrap_or(0);
        let mut whole = BytesMut::with_capacity(room);
        while let Some(piece) = found
            .body
            .try_next()
            .await
            .map_err(infra::objects::ObjectError::Io)?
        {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}
