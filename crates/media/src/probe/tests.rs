use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage};
use proptest::prelude::*;

use super::*;

const KINDS: [(ImageKind, ImageFormat); 4] = [
    (ImageKind::Jpeg, ImageFormat::Jpeg),
    (ImageKind::Png, ImageFormat::Png),
    (ImageKind::Gif, ImageFormat::Gif),
    (ImageKind::Webp, ImageFormat::WebP),
];

/// 30 × 20 pixels, with a part that tells left from right and top from bottom.
fn picture() -> DynamicImage {
    let mut image = RgbImage::from_pixel(30, 20, image::Rgb([20, 60, 200]));
    for (x, y) in (0..10).flat_map(|x| (0..6).map(move |y| (x, y))) {
        image.put_pixel(x, y, image::Rgb([250, 250, 250]));
    }
    image.into()
}

fn encoded(format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A TIFF block that tells the orientation, and where the photographer was.
fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08\0\x01".to_vec();
    tiff.extend([
        0x01,
        0x12,
        0,
        3,
        0,
        0,
        0,
        1,
        0,
        orientation,
        0,
        0,
        0,
        0,
        0,
        0,
    ]);
    tiff.extend(b"SECRET PLACE");
    tiff
}

fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    // The sums of chunks that go are not looked at.
    [&length[..], name, body, &[0; 4]].concat()
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker][..], &length, body].concat()
}

/// The same picture with everything that has to go, and a page after its end.
fn telling(kind: ImageKind, format: ImageFormat, orientation: u8) -> Vec<u8> {
    let plain = encoded(format);
    let mut file = match kind {
        ImageKind::Jpeg => {
            let app1 = segment(0xe1, &[b"Exif\0\0".to_vec(), exif(orientation)].concat());
            let xmp = segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0SECRET");
            let comment = segment(0xfe, b"SECRET");
            let icc = segment(0xe2, b"ICC_PROFILE\0\x01\x01colours");
            [&plain[..2], &app1, &xmp, &comment, &icc, &plain[2..]].concat()
        }
        ImageKind::Png => {
            let text = chunk(b"tEXt", b"Author\0SECRET");
            let exif = chunk(b"eXIf", &exif(orientation));
            // After the signature and the header.
            [&plain[..33], &text, &exif, &plain[33..]].concat()
        }
        ImageKind::Gif => {
            let (begin, end) = plain.split_at(plain.len() - 1);
            [begin, b"\x21\xfe\x06SECRET\0", end].concat()
        }
        ImageKind::Webp => {
            let mut body = b"WEBPVP8X\x0a\0\0\0\x0c\0\0\0".to_vec();
            body.extend([29, 0, 0, 19, 0, 0]);
            body.extend(&plain[12..]);
            for (name, content) in [(b"EXIF", exif(orientation)), (b"XMP ", b"SECRET".to_vec())] {
                body.extend(name);
                body.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
                body.extend(content);
            }
            let length = u32::try_from(body.len()).unwrap().to_le_bytes();
            [b"RIFF", &length[..], &body].concat()
        }
    };
    file.extend(b"<script>alert('SECRET')</script>");
    file
}

fn holds(file: &[u8], text: &[u8]) -> bool {
    file.windows(text.len()).any(|window| window == text)
}

fn pixels(file: &[u8], format: ImageFormat) -> Vec<u8> {
    let decoded = image::load_from_memory_with_format(file, format).unwrap();
    decoded.to_rgba8().into_raw()
}

#[test]
fn s17_what_tells_of_more_than_the_picture_goes_and_the_picture_stays() {
    for (kind, format) in KINDS {
        let file = telling(kind, format, 6);
        let probe = walk(kind, &file).unwrap();
        assert_eq!((probe.width, probe.height), (30, 20), "{kind:?}");
        let turned = if kind == ImageKind::Gif { 1 } else { 6 };
        assert_eq!(probe.orientation, turned, "{kind:?}");
        assert!(!holds(&probe.clean, b"SECRET"), "{kind:?}");
        assert!(!holds(&probe.clean, b"<script"), "{kind:?}");
        let plain = pixels(&encoded(format), format);
        assert_eq!(pixels(&probe.clean, format), plain, "{kind:?}");
        let again = walk(kind, &probe.clean).unwrap();
        assert_eq!(again.clean, probe.clean, "{kind:?}");
    }
    let jpeg = telling(ImageKind::Jpeg, ImageFormat::Jpeg, 1);
    let clean = walk(ImageKind::Jpeg, &jpeg).unwrap().clean;
    assert!(holds(&clean, b"ICC_PROFILE"), "colours stay right");
}

#[test]
fn a_turned_picture_is_shown_with_its_sides_changed() {
    for (orientation, shown) in [(1, (30, 20)), (4, (30, 20)), (5, (20, 30)), (8, (20, 30))] {
        let file = telling(ImageKind::Jpeg, ImageFormat::Jpeg, orientation);
        assert_eq!(walk(ImageKind::Jpeg, &file).unwrap().shown_size(), shown);
    }
    // Numbers that mean nothing turn nothing.
    for odd in [0, 9, 255] {
        let file = telling(ImageKind::Jpeg, ImageFormat::Jpeg, odd);
        assert_eq!(walk(ImageKind::Jpeg, &file).unwrap().orientation, 1);
    }
}

#[test]
fn a_file_that_is_cut_off_is_none() {
    for (kind, format) in KINDS {
        let file = encoded(format);
        for end in 0..file.len() {
            assert!(walk(kind, &file[..end]).is_err(), "{kind:?} at {end}");
        }
        assert!(walk(kind, &file).is_ok());
    }
}

#[test]
fn s17_promised_pixels_are_known_without_decoding() {
    let mut png = encoded(ImageFormat::Png);
    png[16..24].copy_from_slice(&[0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50]);
    let probe = walk(ImageKind::Png, &png).unwrap();
    assert_eq!(probe.pixels(), 50_000 * 50_000);
    // A picture that is larger than its canvas, or lies beyond its screen, is none.
    let mut webp = telling(ImageKind::Webp, ImageFormat::WebP, 1);
    webp[24] = 1;
    assert!(walk(ImageKind::Webp, &webp).is_err());
    let mut gif = encoded(ImageFormat::Gif);
    gif[6] = 29;
    assert!(walk(ImageKind::Gif, &gif).is_err());
    let mut nothing = encoded(ImageFormat::Png);
    nothing[16..20].copy_from_slice(&[0; 4]);
    assert!(walk(ImageKind::Png, &nothing).is_err());
}

proptest! {
    #[test]
    fn whatever_comes_is_walked_without_harm(
        which in 0..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let (kind, format) = KINDS[which];
        let mut file = telling(kind, format, 3);
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(probe) = walk(kind, &file) {
            prop_assert!(probe.clean.len() <= file.len() + 8);
            let again = walk(kind, &probe.clean);
            prop_assert_eq!(again.map(|again| again.clean), Ok(probe.clean));
        }
    }
}
