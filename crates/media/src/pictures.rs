//! Decoding, turning, shrinking and encoding pictures. Work of many milliseconds: it runs in the
//! bounded pool, never on a thread that serves requests.
//!
//! Sizes were bounded by [`crate::probe`] before anything is decoded here; the decoder's own limits
//! stand behind that.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};

use crate::kinds::ImageKind;
use crate::probe::{Broken, Probe};
use crate::thumbhash::{self, Small};

/// Longest side of a thumbnail.
pub(crate) const THUMBNAIL_SIDE: u32 = 400;
/// Sides of profile pictures, ascending.
pub(crate) const PICTURE_SIDES: [u32; 2] = [128, 512];
/// Forms in which profile pictures are kept.
pub(crate) const PICTURE_FORMS: [&str; 3] = ["png", "webp", "jpg"];
/// How good a JPEG is that is written anew.
const QUALITY: u8 = 88;
/// What a decoder may hold besides the picture itself.
const DECODER_BYTES: u64 = 64 * 1024 * 1024;

/// Why a picture could not be worked at.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It breaks the rules of its format.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The decoder or the encoder failed.
    #[error("decode or encode a picture")]
    Codec(#[from] image::ImageError),
}

/// What is made of an uploaded image.
pub(crate) struct Derived {
    /// The image without anything that tells of more than the picture.
    pub(crate) clean: Vec<u8>,
    pub(crate) thumbnail: Vec<u8>,
    /// Its object, whose end tells its form: a JPEG, or a PNG of what is transparent.
    pub(crate) thumbnail_object: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Base64.
    pub(crate) placeholder: Option<String>,
}

/// Makes everything of an uploaded image that is served.
pub(crate) fn derive(kind: ImageKind, probe: Probe) -> Result<Derived, Unusable> {
    let (width, height) = probe.shown_size();
    let mut picture = decode(kind, &probe)?;
    let clean = if probe.orientation == 1 {
        probe.clean
    } else {
        turn(&mut picture, probe.orientation);
        encode(&picture, kind)?
    };
    let small = picture.thumbnail(
        THUMBNAIL_SIDE.min(picture.width()),
        THUMBNAIL_SIDE.min(picture.height()),
    );
    let placeholder = placeholder(&small);
    let (form, thumbnail_object) = if small.color().has_alpha() {
        (ImageKind::Png, "thumbnail.png")
    } else {
        (ImageKind::Jpeg, "thumbnail.jpg")
    };
    Ok(Derived {
        clean,
        thumbnail: encode(&small, form)?,
        thumbnail_object,
        width,
        height,
        placeholder,
    })
}

/// Makes the square pictures of an account or a community: each side in each form, with its name.
pub(crate) fn squares(kind: ImageKind, probe: &Probe) -> Result<Vec<(String, Vec<u8>)>, Unusable> {
    let mut picture = decode(kind, probe)?;
    turn(&mut picture, probe.orientation);
    let side = picture.width().min(picture.height());
    let (left, top) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
    let square = picture.crop_imm(left, top, side, side);
    let mut made = Vec::new();
    for side in PICTURE_SIDES {
        let small = square.thumbnail_exact(side, side).to_rgba8();
        let small = DynamicImage::ImageRgba8(small);
        for form in PICTURE_FORMS {
            let bytes = match form {
                "png" => encode(&small, ImageKind::Png)?,
                "webp" => encode(&small, ImageKind::Webp)?,
                _ => encode(&small, ImageKind::Jpeg)?,
            };
            made.push((picture_object(side, form), bytes));
        }
    }
    Ok(made)
}

/// The object of one picture of an account or a community.
pub(crate) fn picture_object(side: u32, form: &str) -> String {
    format!("{side}.{form}")
}

/// The type of an object by the end of its name.
pub(crate) fn type_of_object(object: &str) -> &'static str {
    match object.rsplit_once('.') {
        Some((_, "png")) => "image/png",
        Some((_, "webp")) => "image/webp",
        _ => "image/jpeg",
    }
}

fn decode(kind: ImageKind, probe: &Probe) -> Result<DynamicImage, Unusable> {
    let format = match kind {
        ImageKind::Jpeg => ImageFormat::Jpeg,
        ImageKind::Png => ImageFormat::Png,
        ImageKind::Gif => ImageFormat::Gif,
        ImageKind::Webp => ImageFormat::WebP,
    };
    let mut reader = ImageReader::with_format(Cursor::new(&probe.clean), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(probe.width);
    limits.max_image_height = Some(probe.height);
    // Eight bytes are a pixel of sixteen bits in each of four channels.
    limits.max_alloc = Some(probe.pixels() * 8 + DECODER_BYTES);
    reader.limits(limits);
    Ok(reader.decode()?)
}

fn turn(picture: &mut DynamicImage, orientation: u8) {
    if let Some(orientation) = Orientation::from_exif(orientation) {
        picture.apply_orientation(orientation);
    }
}

fn encode(picture: &DynamicImage, kind: ImageKind) -> Result<Vec<u8>, Unusable> {
    let mut bytes = Cursor::new(Vec::new());
    match kind {
        ImageKind::Jpeg => {
            // A JPEG knows no transparency: what shines through is white.
            let opaque = over_white(picture);
            let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
            opaque.write_with_encoder(encoder)?;
        }
        ImageKind::Png => picture.write_to(&mut bytes, ImageFormat::Png)?,
        ImageKind::Gif => picture.write_to(&mut bytes, ImageFormat::Gif)?,
        ImageKind::Webp => {
            let plain = if picture.color().has_alpha() {
                DynamicImage::ImageRgba8(picture.to_rgba8())
            } else {
                DynamicImage::ImageRgb8(picture.to_rgb8())
            };
            plain.write_to(&mut bytes, ImageFormat::WebP)?;
        }
    }
    Ok(bytes.into_inner())
}

fn over_white(picture: &DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return DynamicImage::ImageRgb8(picture.to_rgb8());
    }
    let mut opaque = image::RgbImage::new(picture.width(), picture.height());
    for (to, from) in opaque.pixels_mut().zip(picture.to_rgba8().pixels()) {
        let [r, g, b, a] = from.0;
        let over = |part: u8| {
            let mixed = u16::from(part) * u16::from(a) + 255 * (255 - u16::from(a));
            u8::try_from(mixed / 255).unwrap_or(u8::MAX)
        };
        to.0 = [over(r), over(g), over(b)];
    }
    DynamicImage::ImageRgb8(opaque)
}

fn placeholder(picture: &DynamicImage) -> Option<String> {
    let side = u32::from(thumbhash::MAX_SIDE);
    let small = picture.thumbnail(side.min(picture.width()), side.min(picture.height()));
    let small = small.to_rgba8();
    let hash = thumbhash::hash(&Small {
        width: small.width().try_into().ok()?,
        height: small.height().try_into().ok()?,
        rgba: small.as_raw(),
    })?;
    Some(STANDARD.encode(hash))
}

#[cfg(test)]
#[path = "pictures_tests.rs"]
mod tests;
