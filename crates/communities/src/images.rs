//! Small images of emoji: read out of a request, kept in the object store, given out again.
//!
//! The only place that knows how they are kept; everybody else names them by their `media_id`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use infra::objects::{Object, ObjectError};
use kernel::AnyId;
use kernel::failure::UNAVAILABLE;

use crate::Communities;
use crate::error::{Error, Result};
use crate::sql::emojis;

/// Largest image.
pub(crate) const MAX_BYTES: usize = 256 * 1024;
/// After how long a stored image that nobody took is removed.
const UNCLAIMED: std::time::Duration = std::time::Duration::from_secs(3600);
/// Images one step removes.
const STEP: i64 = 500;

/// Forms of images that are taken: those every browser shows and none runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Png,
    Jpg,
    Gif,
    Webp,
}

impl Format {
    const ALL: [Format; 4] = [Format::Png, Format::Jpg, Format::Gif, Format::Webp];

    /// As the row has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Format::Png => "png",
            Format::Jpg => "jpg",
            Format::Gif => "gif",
            Format::Webp => "webp",
        }
    }

    /// From the word of a row.
    pub(crate) fn of(word: &str) -> Option<Format> {
        Self::ALL.into_iter().find(|format| format.word() == word)
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Png => "image/png",
            Format::Jpg => "image/jpeg",
            Format::Gif => "image/gif",
            Format::Webp => "image/webp",
        }
    }

    /// By the first bytes; what the sender says of them does not count.
    fn sniff(bytes: &[u8]) -> Option<Format> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Format::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Format::Jpg),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Some(Format::Webp),
            _ => None,
        }
    }
}

/// An image that may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) format: Format,
    pub(crate) animated: bool,
    pub(crate) bytes: Bytes,
}

impl Image {
    /// From `data:image/png;base64,…`, as libraries send it.
    pub(crate) fn read(pointer: &str, uri: &str) -> Result<Image> {
        let refuse = |code, detail: &str| Err(Error::field(pointer, code, detail));
        let encoded = uri.strip_prefix("data:image/").and_then(|rest| {
            let (_, encoded) = rest.split_once(";base64,")?;
            Some(encoded)
        });
        let Some(encoded) = encoded else {
            return refuse("INVALID", "must be a data URI of an image in base64");
        };
        if encoded.len() > MAX_BYTES.div_ceil(3) * 4 {
            return refuse("TOO_LARGE", "must have at most 256 KiB");
        }
        let Ok(bytes) = STANDARD.decode(encoded) else {
            return refuse("INVALID", "must be a data URI of an image in base64");
        };
        if bytes.len() > MAX_BYTES {
            return refuse("TOO_LARGE", "must have at most 256 KiB");
        }
        let Some(format) = Format::sniff(&bytes) else {
            return refuse("INVALID", "must be a PNG, JPEG, GIF or WebP");
        };
        Ok(Image {
            format,
            animated: is_animated(format, &bytes),
            bytes: bytes.into(),
        })
    }
}

/// Whether clients show it as moving: every GIF, as in the dialect, and a WebP that says so.
fn is_animated(format: Format, bytes: &[u8]) -> bool {
    match format {
        Format::Gif => true,
        Format::Webp => {
            bytes.get(12..16) == Some(b"VP8X")
                && bytes.get(20).is_some_and(|flags| flags & 0b10 != 0)
        }
        Format::Png | Format::Jpg => false,
    }
}

fn key(media: AnyId) -> String {
    format!("emojis/{media}")
}

fn away(error: ObjectError) -> Error {
    Error::Called(UNAVAILABLE.fail().because(error))
}

impl Communities {
    /// Stores an image; it is removed again unless [`emojis::keep_image`] follows.
    pub(crate) async fn store_image(&self, media: AnyId, image: &Image) -> Result<()> {
        let due = self.clock.now() + UNCLAIMED;
        emojis::remove_image_later(&self.db, media, due).await?;
        let stored = self.objects.put(&key(media), image.bytes.clone()).await;
        stored.map_err(away)
    }

    /// A stored image.
    pub(crate) async fn open_image(&self, media: AnyId) -> Result<Option<Object>> {
        self.objects.open(&key(media)).await.map_err(away)
    }

    /// Removes images that nobody names any more.
    pub async fn remove_images(&self) -> std::result::Result<String, kernel::Failure> {
        let due = emojis::list_due_images(&self.db, self.clock.now(), STEP).await?;
        for media in &due {
            self.objects.remove(&key(*media)).await.map_err(away)?;
            emojis::forget_image(&self.db, *media).await?;
        }
        Ok(format!("removed {} images", due.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(bytes: &[u8]) -> String {
        format!("data:image/png;base64,{}", STANDARD.encode(bytes))
    }

    fn webp(flags: u8) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0".to_vec();
        bytes.push(flags);
        bytes
    }

    #[test]
    fn images_are_known_by_their_bytes() {
        for (bytes, expected) in [
            (b"\x89PNG\r\n\x1a\n".to_vec(), Some((Format::Png, false))),
            (vec![0xff, 0xd8, 0xff, 0xe0], Some((Format::Jpg, false))),
            (b"GIF89a".to_vec(), Some((Format::Gif, true))),
            (b"GIF87a".to_vec(), Some((Format::Gif, true))),
            (webp(0), Some((Format::Webp, false))),
            (webp(2), Some((Format::Webp, true))),
            (b"<svg xmlns=".to_vec(), None),
            (b"<html>".to_vec(), None),
            (b"GIF88a".to_vec(), None),
            (Vec::new(), None),
        ] {
            let read = Image::read("/image", &uri(&bytes)).ok();
            let known = read.map(|image| (image.format, image.animated));
            assert_eq!(known, expected, "{bytes:?}");
        }
        for bad in [
            "",
            "data:text/html;base64,AAAA",
            "data:image/png,x",
            "data:image/png;base64,*",
        ] {
            assert!(Image::read("/image", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn images_have_a_bound() {
        let of = |size: usize| {
            let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
            bytes.resize(size, 0);
            Image::read("/image", &uri(&bytes)).is_ok()
        };
        assert!(of(MAX_BYTES));
        assert!(!of(MAX_BYTES + 1));
        assert!(!of(MAX_BYTES + 100));
    }

    #[test]
    fn words_of_formats_come_back() {
        for format in Format::ALL {
            assert_eq!(Format::of(format.word()), Some(format));
        }
        assert_eq!(Format::of("svg"), None);
    }
}
