//! The picture of a community: media makes and serves it, the community holds its hash.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contracts::media::{Picture, PictureSource, Place};
use kernel::perm::Chat;
use kernel::{Caller, CommunityId};

use crate::Communities;
use crate::error::{Error, Result};

/// Largest body of a request with a picture: four mebibytes, in base64.
pub(crate) const MAX_BODY: usize = 6 * 1024 * 1024;

/// What becomes of a community's picture.
pub(crate) enum Icon {
    /// It stays.
    Same,
    /// It goes.
    Gone,
    /// Another one comes.
    New(Picture),
}

impl Icon {
    /// Puts it into the row.
    pub(crate) fn apply(&self, icon: &mut Option<String>) {
        match self {
            Icon::Same => {}
            Icon::Gone => *icon = None,
            Icon::New(picture) => *icon = Some(picture.hash.clone()),
        }
    }
}

impl Communities {
    /// Has media make the picture that a request brings as data URI, if the caller may set one.
    pub(crate) async fn make_icon(
        &self,
        caller: &Caller,
        id: CommunityId,
        sent: Option<Option<String>>,
    ) -> Result<Icon> {
        let uri = match sent {
            None => return Ok(Icon::Same),
            Some(None) => return Ok(Icon::Gone),
            Some(Some(uri)) => uri,
        };
        self.check_right(caller, id, Chat::MANAGE_GUILD).await?;
        let encoded = uri.strip_prefix("data:image/").and_then(|rest| {
            let (_, encoded) = rest.split_once(";base64,")?;
            Some(encoded)
        });
        let image = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
        let Some(image) = image else {
            let detail = "must be a data URI of an image in base64";
            return Err(Error::field("/icon", "INVALID", detail));
        };
        let source = PictureSource::Image(image.into());
        let picture = self.media.put_picture(caller.user, Place::Icon(id), source);
        Ok(Icon::New(picture.await?))
    }

    /// Lets go what is not shown any more, after the community was changed or not.
    pub(crate) async fn settle_icon<T>(&self, id: CommunityId, icon: Icon, done: &Result<T>) {
        let settled = match (icon, done) {
            (Icon::Same, _) | (Icon::Gone, Err(_)) => return,
            (Icon::Gone, Ok(_)) => self.media.keep_picture(Place::Icon(id), None).await,
            (Icon::New(picture), Ok(_)) => {
                let kept = Some(picture.media);
                self.media.keep_picture(Place::Icon(id), kept).await
            }
            (Icon::New(picture), Err(_)) => self.media.release(&[picture.media]).await,
        };
        if let Err(failure) = settled {
            // It goes with the next change, and with the community.
            tracing::warn!(community.id = id.get(), %failure, "an old picture stays for now");
        }
    }
}
