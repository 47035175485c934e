//! The picture of an account: media makes and serves it, an account holds its hash and address.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contracts::media::{Picture, PictureSource, Place};
use kernel::{FieldError, UserId};

use crate::Identity;
use crate::error::{Error, Result};

/// Largest body of a request with a picture: four mebibytes, in base64.
pub(crate) const MAX_BODY: usize = 6 * 1024 * 1024;

/// A picture as the dialect sends it: `data:image/png;base64,…`. What it is, media finds out.
pub(crate) fn of_data_uri(pointer: &str, uri: &str) -> Result<PictureSource> {
    let encoded = uri.strip_prefix("data:image/").and_then(|rest| {
        let (_, encoded) = rest.split_once(";base64,")?;
        Some(encoded)
    });
    let image = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
    let Some(image) = image else {
        let detail = "a data URI of an image in base64";
        let error = FieldError::new(pointer, "INVALID", detail);
        return Err(Error::Invalid(vec![error]));
    };
    Ok(PictureSource::Image(image.into()))
}

impl Identity {
    /// Has media make a picture of an account; it is shown when the account holds it.
    pub(crate) async fn make_picture(
        &self,
        user: UserId,
        source: Option<PictureSource>,
    ) -> Result<Option<Picture>> {
        let Some(source) = source else {
            return Ok(None);
        };
        let place = Place::Avatar(user);
        let picture = self.media.put_picture(user, place, source).await;
        Ok(Some(picture.map_err(Error::Context)?))
    }

    /// Lets the picture before go, after a change that is stored.
    pub(crate) async fn keep_picture(&self, user: UserId, picture: Option<&Picture>) {
        let kept = picture.map(|picture| picture.media);
        let place = Place::Avatar(user);
        if let Err(failure) = self.media.keep_picture(place, kept).await {
            // It goes with the next change, and with the account.
            tracing::warn!(user.id = user.get(), %failure, "an old picture stays for now");
        }
    }

    /// Lets a picture go that no account holds.
    pub(crate) async fn drop_picture(&self, picture: Option<&Picture>) {
        let Some(picture) = picture else { return };
        if let Err(failure) = self.media.release(&[picture.media]).await {
            tracing::warn!(%failure, "a picture that nobody needs stays for now");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_data_uris_of_images() {
        let read = |uri: &str| of_data_uri("/avatar", uri).ok();
        let image = PictureSource::Image("abc".into());
        assert_eq!(read("data:image/png;base64,YWJj"), Some(image));
        for bad in [
            "",
            "YWJj",
            "data:text/html;base64,YWJj",
            "data:image/png,YWJj",
            "data:image/png;base64,?",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
