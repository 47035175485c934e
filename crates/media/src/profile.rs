//! Pictures of accounts and communities: small squares in a few sizes and forms, at addresses that
//! anybody may know.

use bytes::Bytes;
use contracts::media::{Picture, PictureSource, Place};
use futures::{StreamExt as _, stream};
use kernel::{AnyId, MediaId, UserId};
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::keys::hex;
use crate::kinds::{self, ImageKind, UNKNOWN};
use crate::model::{Asset, State};
use crate::pictures::{self, PICTURE_FORMS, PICTURE_SIDES, Unusable};
use crate::serve::Opened;
use crate::sql::{NewRow, PictureRow};
use crate::{Media, probe, sql};

/// The largest image that becomes such a picture.
pub(crate) const MAX_PICTURE_BYTES: usize = 4 * 1024 * 1024;
/// How long making one may take; what a killed process leaves goes then.
const MAKING: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);
/// Digits of a hash in addresses.
const HASH_BYTES: usize = 16;

type Squares = Vec<(String, Vec<u8>)>;

impl Media {
    /// Makes an image the picture of a place.
    pub(crate) async fn make_picture(
        &self,
        owner: UserId,
        place: Place,
        source: PictureSource,
    ) -> Result<Picture> {
        let (image, used) = match source {
            PictureSource::Image(image) => (image, None),
            PictureSource::Media(id) => (self.own_image(owner, id).await?, Some(id)),
        };
        if image.len() > MAX_PICTURE_BYTES {
            let limit = u64::try_from(MAX_PICTURE_BYTES).unwrap_or(u64::MAX);
            return Err(Error::TooLarge { limit });
        }
        // What shows a community stays when whoever put it there goes.
        let owner = match place {
            Place::Icon(_) => UserId::new(0),
            Place::Avatar(_) | Place::Message { .. } => owner,
        };
        let hash = kernel::digest::sha256(&image);
        let hash = hex(hash.get(..HASH_BYTES).unwrap_or_default());
        let begun = Instant::now();
        let squares = self.squares(image).await?;
        metrics::histogram!("meydan_media_processing_seconds", "kind" => "picture")
            .record(begun.elapsed().as_secs_f64());
        let media = self.store_picture(owner, place, &hash, squares).await?;
        if let Some(used) = used {
            // The squares stand for it.
            sql::remove(&self.db, &[used]).await?;
        }
        let url = match place {
            Place::Avatar(user) => format!("avatars/{user}/{hash}.png"),
            Place::Icon(community) => format!("icons/{community}/{hash}.png"),
            Place::Message { .. } => return Err(Error::NotClaimable),
        };
        let url = format!("{}/{url}", self.settings.public_url);
        Ok(Picture { media, hash, url })
    }

    /// One square of a picture by its address: `{hash}.{form}`, of at least `side` pixels where
    /// there is one.
    pub(crate) async fn picture(
        &self,
        place: Place,
        file: &str,
        side: Option<u32>,
    ) -> Result<Opened> {
        let (hash, form) = file.rsplit_once('.').ok_or(Error::UnknownMedia)?;
        let form = if form == "jpeg" { "jpg" } else { form };
        if !PICTURE_FORMS.contains(&form) {
            return Err(Error::UnknownMedia);
        }
        let [small, large] = PICTURE_SIDES;
        let side = if side.is_some_and(|side| side <= small) {
            small
        } else {
            large
        };
        let asset = sql::find_picture(&self.db, place.into(), hash).await?;
        let asset = asset.ok_or(Error::UnknownMedia)?;
        let object = pictures::picture_object(side, form);
        Ok(Opened {
            key: asset.key(&object),
            size_bytes: None,
            content_type: pictures::type_of_object(&object).to_owned(),
            name: None,
            etag: format!("\"{}-{object}\"", asset.id),
            cache: "public, max-age=31536000, immutable".to_owned(),
        })
    }

    /// An image of a user that nothing uses yet.
    async fn own_image(&self, owner: UserId, id: MediaId) -> Result<Bytes> {
        let asset = self.await_ready(id).await?.ok_or(Error::NotClaimable)?;
        let is_usable = asset.owner_id == owner
            && asset.place_kind.is_none()
            && asset.state == State::Ready
            && asset.width.is_some();
        let object = asset.object.as_deref().filter(|_| is_usable);
        let object = object.ok_or(Error::NotClaimable)?;
        let limit = u64::try_from(MAX_PICTURE_BYTES).unwrap_or(u64::MAX);
        self.read_object(&asset, object, limit).await
    }

    async fn squares(&self, image: Bytes) -> Result<Squares> {
        let head = image.get(..kinds::HEAD_BYTES.min(image.len()));
        let found = kinds::sniff(head.unwrap_or_default());
        let kind = ImageKind::of_content_type(found.content_type).ok_or(Error::WrongType)?;
        let max_pixels = self.settings.max_pixels;
        let work = move || {
            let probe = probe::walk(kind, &image).map_err(Unusable::Broken);
            let probe = probe.map_err(Error::BrokenImage)?;
            if probe.pixels() > max_pixels {
                return Err(Error::TooManyPixels(probe.pixels()));
            }
            let make = || pictures::squares(kind, &probe).map_err(Error::BrokenImage);
            let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(make));
            made.unwrap_or_else(|_panic| {
                let broken = probe::Broken::Rule("the decoder does not get through it");
                Err(Error::BrokenImage(Unusable::Broken(broken)))
            })
        };
        self.pool.run(work).await.or(Err(Error::NotReady))?
    }

    async fn store_picture(
        &self,
        owner: UserId,
        place: Place,
        hash: &str,
        squares: Squares,
    ) -> Result<MediaId> {
        let (now, lease) = (self.clock.now(), self.lease()?);
        let sizes = squares.iter().map(|(_, bytes)| bytes.len());
        let size_bytes = i64::try_from(sizes.sum::<usize>()).unwrap_or(i64::MAX);
        let row = NewRow {
            id: self.ids.next()?,
            owner,
            folder: &self.new_folder(),
            file_name: "picture",
            declared_type: UNKNOWN,
            size_bytes,
            expected_sha256: None,
            lease: Some((lease, now + MAKING)),
            now,
            expires_at: now + MAKING,
        };
        self.open(&row).await?;
        let stored = self.put_squares(row.id, lease, place, hash, squares).await;
        if stored.is_err() {
            self.give_up(row.id, lease).await;
        }
        stored.map(|()| row.id)
    }

    async fn put_squares(
        &self,
        id: MediaId,
        lease: AnyId,
        place: Place,
        hash: &str,
        squares: Squares,
    ) -> Result<()> {
        let asset: Asset = sql::find_asset(&self.db, id)
            .await?
            .ok_or(Error::UnknownMedia)?;
        let mut puts = stream::iter(squares)
            .map(|(object, bytes)| {
                let key = asset.key(&object);
                async move { self.objects.put(&key, bytes.into()).await }
            })
            .buffer_unordered(PICTURE_FORMS.len());
        while let Some(put) = puts.next().await {
            put?;
        }
        let row = PictureRow {
            id,
            lease,
            place: place.into(),
            hash,
            size_bytes: asset.size_bytes,
            now: self.clock.now(),
        };
        if sql::put_picture(&self.db, &row).await? {
            Ok(())
        } else {
            Err(Error::NotClaimable)
        }
    }
}
