//! Work at images, outside of requests: what tells of more than the picture is taken out, and
//! smaller pictures are made.
//!
//! A file is leased from the table, so several processes share the work; one that is killed leaves
//! its lease to run out. A file at which work fails again and again is served as something that is
//! only saved.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::SignedDuration;
use kernel::{AnyId, MediaId};
use runtime::Lifecycle;
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, Result};
use crate::kinds::{ImageKind, UNKNOWN};
use crate::model::{Asset, CLEAN, ORIGINAL, State};
use crate::pictures::{self, Derived, Unusable};
use crate::{Media, probe, sql};

/// How long work at one image may take before somebody else begins anew.
const LEASE: SignedDuration = SignedDuration::from_mins(5);
/// Tries before an image counts as one that cannot be worked at.
const MAX_TRIES: i32 = 3;
/// How long somebody who wants to see an image waits for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often they look whether another process is done with it.
const LOOK: Duration = Duration::from_millis(250);

/// Starts the workers.
pub(crate) fn start(media: &Arc<Media>, lifecycle: &Lifecycle) {
    for _ in 0..media.settings.workers.max(1) {
        let (media, soft) = (Arc::clone(media), lifecycle.soft().clone());
        runtime::spawn(lifecycle, "media.worker", async move {
            loop {
                tokio::select! {
                    () = soft.cancelled() => return,
                    () = media.work.notified() => {}
                }
                if let Err(error) = media.work_off().await {
                    // The job comes by soon and tries again.
                    tracing::warn!(%error, "cannot work at images");
                }
            }
        });
    }
}

impl Media {
    /// Works at every image that waits; how many.
    pub async fn work_off(&self) -> Result<u32> {
        let mut done = 0;
        loop {
            let (now, lease) = (self.clock.now(), self.lease()?);
            let taken = sql::take_waiting(&self.db, now, lease, now + LEASE).await?;
            let Some(id) = taken else {
                return Ok(done);
            };
            if let Err(error) = self.work_at(id, lease).await {
                tracing::warn!(media.id = id.get(), %error, "an image could not be worked at");
            }
            done += 1;
        }
    }

    /// The file when its image has been worked at; none when it is gone or not whole.
    pub(crate) async fn await_ready(&self, id: MediaId) -> Result<Option<Asset>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Before the look: a note that comes in between is not missed.
            let worked = self.worked.notified();
            let found = sql::find_asset(&self.db, id).await?;
            match found {
                Some(asset) if asset.state == State::Ready => return Ok(Some(asset)),
                Some(asset) if asset.state == State::Waiting => {}
                Some(_) | None => return Ok(None),
            }
            if Instant::now() >= deadline {
                return Err(Error::NotReady);
            }
            // Another process may be the one that works at it.
            let _woken = timeout_at(deadline.min(Instant::now() + LOOK), worked).await;
        }
    }

    async fn work_at(&self, id: MediaId, lease: AnyId) -> Result<()> {
        let begun = Instant::now();
        let Some(asset) = sql::find_asset(&self.db, id).await? else {
            return Ok(());
        };
        let kind = asset.content_type.as_deref();
        let Some(kind) = kind.and_then(ImageKind::of_content_type) else {
            return Err(Error::UnknownMedia);
        };
        let limit = self.settings.max_image_bytes;
        let file = self.read_object(&asset, ORIGINAL, limit).await?;
        let derived = match self.derived(kind, &asset, file.clone()).await {
            Ok(derived) => derived,
            Err(error @ Error::BrokenImage(_)) => {
                tracing::info!(media.id = id.get(), %error, "an image is only saved from now on");
                return self.only_save(kind, &asset, lease, file).await;
            }
            Err(error) => return Err(error),
        };
        self.store_derived(&asset, lease, derived).await?;
        metrics::histogram!("meydan_media_processing_seconds", "kind" => "attachment")
            .record(begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Everything that is made of an image. An image at which work fails without a reason, such as
    /// a decoder that panics, counts as broken after some tries.
    async fn derived(&self, kind: ImageKind, asset: &Asset, file: Bytes) -> Result<Derived> {
        let work = move || {
            let derive = || pictures::derive(kind, probe::walk(kind, &file)?);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(derive))
        };
        match self.pool.run(work).await {
            Ok(Ok(derived)) => derived.map_err(Error::BrokenImage),
            Ok(Err(_panic)) if asset.tries >= MAX_TRIES => {
                let broken = probe::Broken::Rule("the decoder does not get through it");
                Err(Error::BrokenImage(Unusable::Broken(broken)))
            }
            Ok(Err(_)) | Err(_) => Err(Error::NotReady),
        }
    }

    async fn store_derived(&self, asset: &Asset, lease: AnyId, derived: Derived) -> Result<()> {
        let size_bytes = i64::try_from(derived.clean.len()).unwrap_or(i64::MAX);
        let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
        let thumbnail = derived.thumbnail_object;
        let objects = [(CLEAN, derived.clean), (thumbnail, derived.thumbnail)];
        for (object, bytes) in objects {
            self.objects.put(&asset.key(object), bytes.into()).await?;
        }
        let row = sql::Derived {
            content_type: asset.content_type.as_deref().unwrap_or(UNKNOWN),
            object: CLEAN,
            size_bytes,
            size: Some((side(derived.width), side(derived.height))),
            placeholder: derived.placeholder.as_deref(),
            thumbnail: Some(thumbnail),
        };
        self.end_work(asset, lease, &row).await
    }

    /// Keeps an image that cannot be decoded as a file like any other, without what tells of more
    /// than the picture.
    async fn only_save(
        &self,
        kind: ImageKind,
        asset: &Asset,
        lease: AnyId,
        file: Bytes,
    ) -> Result<()> {
        let clean = self.pool.run(move || probe::walk(kind, &file)).await;
        let clean = clean.or(Err(Error::NotReady))?;
        let clean = clean
            .map_err(|error| Error::BrokenImage(Unusable::Broken(error)))?
            .clean;
        let size_bytes = i64::try_from(clean.len()).unwrap_or(i64::MAX);
        self.objects.put(&asset.key(CLEAN), clean.into()).await?;
        let row = sql::Derived {
            content_type: UNKNOWN,
            object: CLEAN,
            size_bytes,
            size: None,
            placeholder: None,
            thumbnail: None,
        };
        metrics::histogram!("meydan_media_processing_seconds", "kind" => "failed").record(0.0);
        self.end_work(asset, lease, &row).await
    }

    async fn end_work(&self, asset: &Asset, lease: AnyId, row: &sql::Derived<'_>) -> Result<()> {
        let tx = self.db.begin().await?;
        if sql::set_derived(&tx, asset.id, lease, row).await? {
            self.tell_ready(&tx, asset, row.content_type).await?;
        }
        tx.commit().await?;
        self.worked.notify_waiters();
        // It tells of more than the picture. If it stays, it goes with the file.
        if let Err(error) = self.objects.remove(&asset.key(ORIGINAL)).await {
            tracing::warn!(media.id = asset.id.get(), %error, "an original stays with its file");
        }
        Ok(())
    }
}
