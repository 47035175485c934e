//! Files in a map.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use contracts::Media;
use contracts::media::{Attachment, Content, NewFile, Outcome, Picture, PictureSource, Place};
use futures::TryStreamExt as _;
use kernel::failure::{INTERNAL, INVALID_REQUEST, UNAVAILABLE};
use kernel::{Failure, MediaId, UserId};

/// [`Media`] over a map. Every file is ready at once; nothing expires.
#[derive(Debug, Default)]
pub struct FakeMedia {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<MediaId, File>,
    pictures: BTreeMap<MediaId, Place>,
    made: i64,
    away: bool,
}

/// A file, as a test may look at it.
#[derive(Debug, Clone)]
pub struct File {
    /// Whose it is.
    pub owner: UserId,
    /// What it is called.
    pub name: String,
    /// Its content.
    pub content: Vec<u8>,
    /// Where it is shown.
    pub place: Option<Place>,
    /// Whether that is settled.
    pub settled: bool,
}

impl FakeMedia {
    /// Holds nothing.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Every file that was not released.
    pub fn files(&self) -> BTreeMap<MediaId, File> {
        self.lock().files.clone()
    }

    /// The pictures that were put in a place and not replaced.
    pub fn pictures(&self, place: Place) -> Vec<MediaId> {
        let state = self.lock();
        let here = state.pictures.iter().filter(|(_, at)| **at == place);
        here.map(|(id, _)| *id).collect()
    }

    /// Puts a file in by hand.
    pub fn add(&self, owner: UserId, name: &str, content: &[u8]) -> MediaId {
        let mut state = self.lock();
        state.made += 1;
        let id = MediaId::new(state.made);
        let file = File {
            owner,
            name: name.to_owned(),
            content: content.to_vec(),
            place: None,
            settled: false,
        };
        state.files.insert(id, file);
        id
    }

    /// From now on every call fails as if media were away.
    pub fn leave(&self) {
        self.lock().away = true;
    }

    /// Calls work again.
    pub fn come_back(&self) {
        self.lock().away = false;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn here(&self) -> Result<MutexGuard<'_, State>, Failure> {
        let state = self.lock();
        if state.away {
            return Err(UNAVAILABLE.fail());
        }
        Ok(state)
    }
}

#[async_trait]
impl Media for FakeMedia {
    async fn receive(
        &self,
        owner: UserId,
        file: NewFile,
        content: Content,
    ) -> Result<MediaId, Failure> {
        drop(self.here()?);
        let pieces: Vec<bytes::Bytes> = content
            .try_collect()
            .await
            .map_err(|error| INVALID_REQUEST.fail().because(error))?;
        Ok(self.add(owner, &file.name, &pieces.concat()))
    }

    async fn claim(&self, owner: UserId, ids: &[MediaId], place: Place) -> Result<(), Failure> {
        let mut state = self.here()?;
        let may = |id: &MediaId| {
            let file = state.files.get(id);
            file.is_some_and(|file| {
                file.owner == owner && file.place.is_none_or(|other| other == place)
            })
        };
        if !ids.iter().all(may) {
            return Err(INVALID_REQUEST.fail());
        }
        for id in ids {
            if let Some(file) = state.files.get_mut(id) {
                file.place = Some(place);
            }
        }
        Ok(())
    }

    async fn settle(&self, place: Place, outcome: Outcome) -> Result<(), Failure> {
        let mut state = self.here()?;
        match outcome {
            Outcome::Kept => {
                let files = state.files.values_mut();
                for file in files.filter(|file| file.place == Some(place)) {
                    file.settled = true;
                }
            }
            Outcome::Released => state.files.retain(|_, file| file.place != Some(place)),
        }
        Ok(())
    }

    async fn unsettled(&self) -> Result<Vec<Place>, Failure> {
        let state = self.here()?;
        let files = state.files.values().filter(|file| !file.settled);
        Ok(files.filter_map(|file| file.place).collect())
    }

    async fn describe(&self, ids: &[MediaId]) -> Result<Vec<Attachment>, Failure> {
        let state = self.here()?;
        let known = ids
            .iter()
            .filter_map(|id| Some((*id, state.files.get(id)?)));
        let shown = known.filter(|(_, file)| file.place.is_some());
        Ok(shown.map(|(id, file)| attachment(id, file)).collect())
    }

    async fn release(&self, ids: &[MediaId]) -> Result<(), Failure> {
        let mut state = self.here()?;
        state.files.retain(|id, _| !ids.contains(id));
        state.pictures.retain(|id, _| !ids.contains(id));
        Ok(())
    }

    async fn put_picture(
        &self,
        _owner: UserId,
        place: Place,
        source: PictureSource,
    ) -> Result<Picture, Failure> {
        let mut state = self.here()?;
        let image = match source {
            PictureSource::Image(image) => image.to_vec(),
            PictureSource::Media(id) => {
                let used = state.files.remove(&id);
                used.ok_or_else(|| INVALID_REQUEST.fail())?.content
            }
        };
        state.made += 1;
        let media = MediaId::new(state.made);
        state.pictures.insert(media, place);
        let hash = kernel::digest::sha256(&image);
        let hash = u64::from_be_bytes(
            hash.first_chunk()
                .copied()
                .ok_or_else(|| INTERNAL.fail().because("a digest that is too short"))?,
        );
        let hash = format!("{hash:016x}");
        Ok(Picture {
            media,
            url: format!("https://files.test/{hash}.png"),
            hash,
        })
    }

    async fn keep_picture(&self, place: Place, kept: Option<MediaId>) -> Result<(), Failure> {
        let mut state = self.here()?;
        let goes = |id: &MediaId| kept.is_none_or(|kept| *id < kept);
        state.pictures.retain(|id, at| *at != place || !goes(id));
        Ok(())
    }
}

fn attachment(id: MediaId, file: &File) -> Attachment {
    let url = format!("https://files.test/{id}/{}", file.name);
    Attachment {
        id,
        filename: file.name.clone(),
        description: None,
        content_type: "application/octet-stream".to_owned(),
        size: i64::try_from(file.content.len()).unwrap_or(i64::MAX),
        proxy_url: url.clone(),
        url,
        thumbnail_url: None,
        width: None,
        height: None,
        placeholder: None,
        placeholder_version: None,
    }
}
