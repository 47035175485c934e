//! What other contexts ask of this one.

use std::collections::BTreeSet;

use async_trait::async_trait;
use contracts::media::{
    Attachment, Content, MAX_ASKED, NewFile, Outcome, Picture, PictureSource, Place,
};
use jiff::SignedDuration;
use kernel::{Failure, MediaId, UserId};

use crate::error::Error;
use crate::model::{IN_MESSAGE, PlaceColumns, State};
use crate::{Media, sql};

/// How long a claim stands that nobody settled: long enough for whoever asks about such claims.
const CLAIMED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// After so long a claim should have been settled.
const SETTLED: SignedDuration = SignedDuration::from_mins(10);
/// Most claims that are told at a time.
const MAX_UNSETTLED: i64 = 500;

#[async_trait]
impl contracts::Media for Media {
    async fn receive(
        &self,
        owner: UserId,
        file: NewFile,
        content: Content,
    ) -> Result<MediaId, Failure> {
        Ok(self.receive_file(owner, file, content).await?)
    }

    async fn claim(&self, owner: UserId, ids: &[MediaId], place: Place) -> Result<(), Failure> {
        let ids: Vec<MediaId> = ids
            .iter()
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        let until = (now, now + CLAIMED);
        let claimed = sql::claim(&tx, owner, &ids, place.into(), until).await?;
        if usize::try_from(claimed).ok() != Some(ids.len()) {
            return Err(Error::NotClaimable.into());
        }
        tx.commit().await?;
        Ok(())
    }

    async fn settle(&self, place: Place, outcome: Outcome) -> Result<(), Failure> {
        let columns = PlaceColumns::from(place);
        match outcome {
            Outcome::Kept => sql::keep(&self.db, columns).await?,
            Outcome::Released => {
                let place = (columns.kind, columns.id);
                sql::release_place(&self.db, place, MediaId::new(i64::MAX)).await?;
            }
        }
        Ok(())
    }

    async fn unsettled(&self) -> Result<Vec<Place>, Failure> {
        let before = self.clock.now() - SETTLED;
        let rows = sql::list_unsettled(&self.db, before, MAX_UNSETTLED).await?;
        let places = rows.into_iter().filter_map(|row| {
            Some(Place::Message {
                community: row.community_id,
                channel: row.channel_id?,
                message: row.place_id.cast(),
            })
        });
        Ok(places.collect())
    }

    async fn describe(&self, ids: &[MediaId]) -> Result<Vec<Attachment>, Failure> {
        let ids = ids.get(..MAX_ASKED.min(ids.len())).unwrap_or_default();
        let assets = sql::list_assets(&self.db, ids).await?;
        let shown = assets.into_iter().filter(|asset| {
            asset.place_kind == Some(IN_MESSAGE)
                && matches!(asset.state, State::Waiting | State::Ready)
        });
        Ok(shown.filter_map(|asset| self.attachment(asset)).collect())
    }

    async fn release(&self, ids: &[MediaId]) -> Result<(), Failure> {
        sql::remove(&self.db, ids).await?;
        Ok(())
    }

    async fn put_picture(
        &self,
        owner: UserId,
        place: Place,
        source: PictureSource,
    ) -> Result<Picture, Failure> {
        Ok(self.make_picture(owner, place, source).await?)
    }

    async fn keep_picture(&self, place: Place, kept: Option<MediaId>) -> Result<(), Failure> {
        let columns = PlaceColumns::from(place);
        let before = kept.unwrap_or(MediaId::new(i64::MAX));
        sql::release_place(&self.db, (columns.kind, columns.id), before).await?;
        Ok(())
    }
}
