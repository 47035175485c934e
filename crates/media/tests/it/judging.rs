use image::ImageFormat;
use media::Class;

use crate::fixture::{World, holds, image, path, photo};

#[tokio::test]
async fn s17_a_file_is_what_its_content_says() {
    let world = World::new().await;
    let png = image(8, 8, ImageFormat::Png);
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>";
    let html = b"<!doctype html><script>alert(1)</script>";
    for (name, said, content, expected) in [
        ("a.jpg", Some("image/jpeg"), &png[..], Ok("image/png")),
        ("a.png", None, html, Ok("text/plain")),
        ("a.png", Some("image/png"), html, Err("MEDIA_TYPE_WRONG")),
        ("a.svg", Some("image/svg+xml"), svg, Ok("text/plain")),
        ("a.mp4", Some("video/mp4"), &png, Err("MEDIA_TYPE_WRONG")),
        ("a.bin", None, b"\0\x01\x02", Ok("application/octet-stream")),
        ("a.png", None, &png[..png.len() - 1], Err("MEDIA_BROKEN")),
        (
            "a.gif",
            None,
            b"GIF89a<script>alert(1)</script>",
            Err("MEDIA_BROKEN"),
        ),
    ] {
        let taken = world.try_receive(name, said, content).await;
        let found = match taken {
            Ok(id) => Ok(world.show(id).await.1.content_type),
            Err(code) => Err(code),
        };
        let expected = expected.map(str::to_owned);
        assert_eq!(found, expected, "{name} {said:?}");
    }
}

#[tokio::test]
async fn only_kinds_that_are_allowed_are_taken() {
    let world = World::with(|settings| settings.classes = vec![Class::Image]).await;
    let refused = world.try_receive("a.txt", None, b"hello").await;
    assert_eq!(refused, Err("MEDIA_TYPE_NOT_ALLOWED"));
    world.receive("a.png", &image(8, 8, ImageFormat::Png)).await;
}

#[tokio::test]
async fn s17_pixels_are_counted_before_any_is_decoded() {
    let world = World::with(|settings| settings.max_pixels = 20_000).await;
    world
        .receive("a.png", &image(200, 100, ImageFormat::Png))
        .await;
    let refused = world
        .try_receive("a.png", None, &image(201, 100, ImageFormat::Png))
        .await;
    assert_eq!(refused, Err("MEDIA_TOO_MANY_PIXELS"));
    let world = World::new().await;
    let mut bomb = image(8, 8, ImageFormat::Png);
    // 50,000 by 50,000, as the header says.
    bomb[16..24].copy_from_slice(&[0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50]);
    let refused = world.try_receive("a.png", None, &bomb).await;
    assert_eq!(refused, Err("MEDIA_TOO_MANY_PIXELS"));
}

#[tokio::test]
async fn images_have_a_bound_of_their_own() {
    let photo = photo();
    let bytes = u64::try_from(photo.len()).unwrap();
    let world = World::with(|settings| settings.max_image_bytes = bytes).await;
    world.receive("a.jpg", &photo).await;
    let world = World::with(|settings| settings.max_image_bytes = bytes - 1).await;
    let refused = world.try_receive("a.jpg", None, &photo).await;
    assert_eq!(refused, Err("MEDIA_TOO_LARGE"));
    world.receive("a.txt", &vec![b'x'; photo.len()]).await;
}

/// Sound as a container, but no decoder gets a picture out of it.
#[tokio::test]
async fn s17_an_image_that_cannot_be_decoded_is_only_saved() {
    let world = World::new().await;
    let mut photo = photo();
    // The tables of the decoder name components that are not there.
    let scan = photo
        .windows(2)
        .position(|pair| pair == [0xff, 0xda])
        .unwrap();
    photo[scan + 5] = 0x77;
    photo[scan + 7] = 0x78;
    let id = world.receive("a.jpg", &photo).await;
    world.app.work_off().await.unwrap();
    let (_, shown) = world.show(id).await;
    assert_eq!(shown.content_type, "application/octet-stream");
    assert_eq!((shown.width, shown.thumbnail_url), (None, None));
    let fetched = world.get(path(&shown.url), &[]).await.expect(200).unwrap();
    assert!(
        fetched
            .header("content-disposition")
            .unwrap()
            .starts_with("attachment")
    );
    assert!(!holds(&fetched.body, "SECRET"));
}
