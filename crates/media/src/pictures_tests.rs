use image::{Rgb, RgbImage, Rgba, RgbaImage};

use super::*;
use crate::probe;

/// White at the top left, blue elsewhere.
fn marked(width: u32, height: u32) -> DynamicImage {
    let mut image = RgbImage::from_pixel(width, height, Rgb([20, 60, 200]));
    for (x, y) in (0..width / 3).flat_map(|x| (0..height / 3).map(move |y| (x, y))) {
        image.put_pixel(x, y, Rgb([250, 250, 250]));
    }
    image.into()
}

fn probed(picture: &DynamicImage, kind: ImageKind) -> Probe {
    probe::walk(kind, &encode(picture, kind).unwrap()).unwrap()
}

fn is_white(picture: &DynamicImage, x: u32, y: u32) -> bool {
    let Rgba([r, g, b, _]) = *picture.to_rgba8().get_pixel(x, y);
    r > 200 && g > 200 && b > 200
}

#[test]
fn a_turned_image_is_stored_as_it_is_seen() {
    let probe = Probe {
        // Turned by a quarter to the right: the top left comes to the top right.
        orientation: 6,
        ..probed(&marked(90, 60), ImageKind::Jpeg)
    };
    let derived = derive(ImageKind::Jpeg, probe).unwrap();
    assert_eq!((derived.width, derived.height), (60, 90));
    let clean = probe::walk(ImageKind::Jpeg, &derived.clean).unwrap();
    assert_eq!((clean.width, clean.height, clean.orientation), (60, 90, 1));
    let picture = image::load_from_memory(&derived.clean).unwrap();
    assert!(is_white(&picture, 50, 10) && !is_white(&picture, 10, 10));
    let small = image::load_from_memory(&derived.thumbnail).unwrap();
    assert!(is_white(&small, 50, 10));
}

#[test]
fn an_upright_image_stays_as_it_is_to_the_byte() {
    let probe = probed(&marked(90, 60), ImageKind::Jpeg);
    let before = probe.clean.clone();
    assert_eq!(derive(ImageKind::Jpeg, probe).unwrap().clean, before);
}

#[test]
fn thumbnails_keep_their_form_and_are_never_larger() {
    for (size, expected) in [
        ((900, 600), (400, 267)),
        ((90, 60), (90, 60)),
        ((5_000, 2), (400, 1)),
    ] {
        let picture = marked(size.0, size.1);
        let derived = derive(ImageKind::Png, probed(&picture, ImageKind::Png)).unwrap();
        let small = image::load_from_memory(&derived.thumbnail).unwrap();
        assert_eq!((small.width(), small.height()), expected, "{size:?}");
        assert_eq!(derived.thumbnail_object, "thumbnail.jpg");
        assert!(derived.placeholder.is_some());
    }
    let glass = DynamicImage::from(RgbaImage::from_pixel(10, 10, Rgba([1, 2, 3, 100])));
    let derived = derive(ImageKind::Png, probed(&glass, ImageKind::Png)).unwrap();
    assert_eq!(derived.thumbnail_object, "thumbnail.png");
    assert_eq!(type_of_object(derived.thumbnail_object), "image/png");
}

#[test]
fn profile_pictures_are_squares_in_every_size_and_form() {
    let probe = probed(&marked(90, 60), ImageKind::Png);
    let made = squares(ImageKind::Png, &probe).unwrap();
    assert_eq!(made.len(), PICTURE_SIDES.len() * PICTURE_FORMS.len());
    for side in PICTURE_SIDES {
        for form in PICTURE_FORMS {
            let name = picture_object(side, form);
            let (_, bytes) = made.iter().find(|(object, _)| *object == name).unwrap();
            let format = image::guess_format(bytes).unwrap();
            assert_eq!(format.to_mime_type(), type_of_object(&name));
            let picture = image::load_from_memory(bytes).unwrap();
            assert_eq!((picture.width(), picture.height()), (side, side), "{name}");
        }
    }
}

#[test]
fn s17_a_picture_that_holds_other_pixels_than_promised_is_refused() {
    let mut probe = probed(&marked(90, 60), ImageKind::Png);
    probe.width = 10;
    assert!(derive(ImageKind::Png, probe).is_err());
}

#[test]
fn what_shines_through_is_white_in_a_jpeg() {
    let glass = DynamicImage::from(RgbaImage::from_pixel(8, 8, Rgba([0, 0, 0, 0])));
    let jpeg = encode(&glass, ImageKind::Jpeg).unwrap();
    assert!(is_white(&image::load_from_memory(&jpeg).unwrap(), 4, 4));
}
