//! Content on its way into the store: counted, hashed, and looked at while it passes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use contracts::media::{Content, NewFile};
use futures::StreamExt as _;
use futures::TryStreamExt as _;
use infra::objects::About;
use jiff::SignedDuration;
use kernel::{AnyId, MediaId, UserId};

use crate::error::{Error, Result};
use crate::kinds::{HEAD_BYTES, UNKNOWN};
use crate::model::{Asset, ORIGINAL, sound_name, sound_type};
use crate::sql::NewRow;
use crate::{Media, sql};

/// How long content that comes in one go may take. Longer ones go with their expiry.
const IN_ONE_GO: SignedDuration = SignedDuration::from_hours(1);

/// What was seen of content that passed.
pub(crate) struct Seen {
    pub(crate) size_bytes: u64,
    pub(crate) sha256: Vec<u8>,
    pub(crate) head: Vec<u8>,
}

/// The same while it passes.
struct Passing {
    size_bytes: u64,
    context: Context,
    head: Vec<u8>,
}

impl Passing {
    fn piece(&mut self, piece: &[u8]) {
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.size_bytes = self.size_bytes.saturating_add(length);
        self.context.update(piece);
        let room = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend(piece.iter().take(room));
    }
}

fn lock(passing: &Mutex<Passing>) -> MutexGuard<'_, Passing> {
    passing.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Media {
    /// Takes a file in that comes in one go; nothing stays of one that is refused.
    pub async fn receive_file(
        &self,
        owner: UserId,
        file: NewFile,
        content: Content,
    ) -> Result<MediaId> {
        let lease = self.lease()?;
        let (asset, room) = self.open_in_one_go(owner, &file, lease).await?;
        let taken = self.take_whole(&asset, lease, room, content).await;
        if taken.is_err() {
            self.give_up(asset.id, lease).await;
        }
        taken.map(|()| asset.id)
    }

    async fn take_whole(
        &self,
        asset: &Asset,
        lease: AnyId,
        room: u64,
        content: Content,
    ) -> Result<()> {
        let most = self.settings.max_file_bytes;
        let seen = match self.store_original(asset, most.min(room), content).await {
            Err(Error::TooLarge { limit }) if limit < most => {
                let limit = self.settings.quota_bytes;
                return Err(Error::Quota { limit });
            }
            seen => seen?,
        };
        self.finish(asset, lease, seen).await
    }

    /// Opens a file whose size nobody knows; with how much room its owner has.
    async fn open_in_one_go(
        &self,
        owner: UserId,
        file: &NewFile,
        lease: AnyId,
    ) -> Result<(Asset, u64)> {
        let now = self.clock.now();
        let (name, declared) = (
            sound_name(&file.name),
            sound_type(file.content_type.as_deref()),
        );
        let row = NewRow {
            id: self.ids.next()?,
            owner,
            folder: &self.new_folder(),
            file_name: &name,
            declared_type: &declared,
            size_bytes: 0,
            expected_sha256: None,
            lease: Some((lease, now + IN_ONE_GO)),
            now,
            expires_at: now + IN_ONE_GO,
        };
        let room = self.open(&row).await?;
        let asset = sql::find_asset(&self.db, row.id).await?;
        Ok((asset.ok_or(Error::UnknownMedia)?, room))
    }

    /// Opens a file if its owner may; with how much room is left for more.
    pub(crate) async fn open(&self, row: &NewRow<'_>) -> Result<u64> {
        let limit = self.settings.quota_bytes;
        let tx = self.db.begin().await?;
        sql::lock_owner(&tx, row.owner).await?;
        let usage = sql::usage(&tx, row.owner).await?;
        // Nobody's files, such as pictures of communities, are bounded by whoever asks for them.
        let is_owned = row.owner.get() != 0;
        if is_owned && usage.open >= self.settings.uploads_per_user {
            return Err(Error::TooManyUploads(self.settings.uploads_per_user));
        }
        let wanted = usage.bytes.saturating_add(row.size_bytes);
        let left = limit.checked_sub(u64::try_from(wanted).unwrap_or(u64::MAX));
        let left = if is_owned { left } else { Some(limit) };
        let Some(left) = left.filter(|left| *left > 0 || row.size_bytes > 0) else {
            return Err(Error::Quota { limit });
        };
        sql::insert_asset(&tx, row).await?;
        tx.commit().await?;
        Ok(left)
    }

    /// A name for a folder that nobody can guess.
    pub(crate) fn new_folder(&self) -> String {
        crate::keys::hex(&kernel::rng::bytes::<16>(&*self.rng))
    }

    /// Stores content as the original of a file.
    pub(crate) async fn store_original(
        &self,
        asset: &Asset,
        max_bytes: u64,
        content: Content,
    ) -> Result<Seen> {
        let passing = Arc::new(Mutex::new(Passing {
            size_bytes: 0,
            context: Context::new(&SHA256),
            head: Vec::new(),
        }));
        let watched = {
            let passing = Arc::clone(&passing);
            content.inspect_ok(move |piece| lock(&passing).piece(piece))
        };
        // Nobody fetches it from the store itself.
        let about = About {
            max_bytes,
            content_type: UNKNOWN.to_owned(),
            disposition: "attachment".to_owned(),
        };
        let key = asset.key(ORIGINAL);
        let size_bytes = self
            .objects
            .put_stream(&key, &about, watched.boxed())
            .await?;
        metrics::counter!("meydan_media_received_bytes_total").increment(size_bytes);
        let mut passing = lock(&passing);
        Ok(Seen {
            size_bytes,
            sha256: passing.context.clone().finish().as_ref().to_vec(),
            head: std::mem::take(&mut passing.head),
        })
    }

    /// Lets a file go that is not taken. What fails here is done by its expiry.
    pub(crate) async fn give_up(&self, id: MediaId, lease: AnyId) {
        let removed = async {
            sql::remove(&self.db, &[id]).await?;
            sql::unlease(&self.db, id, lease).await
        };
        if let Err(error) = removed.await {
            tracing::warn!(media.id = id.get(), %error, "a refused file stays until it expires");
        }
    }
}
