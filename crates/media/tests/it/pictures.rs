use contracts::Media as _;
use contracts::media::{PictureSource, Place};
use image::ImageFormat;
use kernel::{CommunityId, MediaId};

use crate::fixture::{OTHER, OWNER, World, image};

const AVATAR: Place = Place::Avatar(OWNER);

async fn put(
    world: &World,
    place: Place,
    bytes: Vec<u8>,
) -> Result<(MediaId, String), &'static str> {
    let source = PictureSource::Image(bytes.into());
    let put = world.app.put_picture(OWNER, place, source).await;
    put.map(|picture| (picture.media, picture.hash))
        .map_err(|failure| failure.row.code)
}

#[tokio::test]
async fn a_picture_is_served_to_everybody_in_sizes_and_forms() {
    let world = World::new().await;
    let (_, hash) = put(&world, AVATAR, image(300, 200, ImageFormat::Png))
        .await
        .unwrap();
    for (file, query, side, kind) in [
        ("png", "", 512, "image/png"),
        ("webp", "?size=128", 128, "image/webp"),
        ("jpg", "?size=129", 512, "image/jpeg"),
        ("jpeg", "?size=16", 128, "image/jpeg"),
    ] {
        let at = format!("/avatars/{OWNER}/{hash}.{file}{query}");
        let reply = world.get(&at, &[]).await.expect(200).unwrap();
        assert_eq!(reply.header("content-type"), Some(kind), "{at}");
        let cache = "public, max-age=31536000, immutable";
        assert_eq!(reply.header("cache-control"), Some(cache));
        assert_eq!(reply.header("content-disposition"), Some("inline"));
        let decoded = image::load_from_memory(&reply.body).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (side, side), "{at}");
    }
    for absent in [
        format!("/avatars/{OWNER}/{hash}.gif"),
        format!("/avatars/{OWNER}/{hash}"),
        format!("/avatars/{OTHER}/{hash}.png"),
        format!("/icons/{OWNER}/{hash}.png"),
        format!("/avatars/{OWNER}/{}.png", "0".repeat(32)),
    ] {
        assert_eq!(world.get(&absent, &[]).await.status, 404, "{absent}");
    }
}

#[tokio::test]
async fn a_new_picture_takes_the_place_of_the_old() {
    let world = World::new().await;
    let (first, old) = put(&world, AVATAR, image(30, 30, ImageFormat::Png))
        .await
        .unwrap();
    world.app.keep_picture(AVATAR, Some(first)).await.unwrap();
    let (second, new) = put(&world, AVATAR, image(31, 30, ImageFormat::Png))
        .await
        .unwrap();
    let status = async |hash: &str| {
        let at = format!("/avatars/{OWNER}/{hash}.png");
        world.get(&at, &[]).await.status.as_u16()
    };
    assert_eq!(
        (status(&old).await, status(&new).await),
        (200, 200),
        "until it is said"
    );
    world.app.keep_picture(AVATAR, Some(second)).await.unwrap();
    assert_eq!((status(&old).await, status(&new).await), (404, 200));
    // Pictures stay, whoever claims nothing.
    world.wait(30 * 24 * 3600);
    world.app.clear().await.unwrap();
    assert_eq!(status(&new).await, 200);
    world.app.keep_picture(AVATAR, None).await.unwrap();
    world.app.clear().await.unwrap();
    assert!(world.stored().await.is_empty());
}

#[tokio::test]
async fn an_uploaded_image_can_become_a_picture() {
    let world = World::new().await;
    let icon = Place::Icon(CommunityId::new(9_001));
    let id = world
        .receive("a.png", &image(64, 64, ImageFormat::Png))
        .await;
    let theirs = world
        .app
        .put_picture(OTHER, icon, PictureSource::Media(id))
        .await;
    assert_eq!(
        theirs.err().map(|failure| failure.row.code),
        Some("MEDIA_NOT_CLAIMABLE")
    );
    world.app.work_off().await.unwrap();
    let put = world
        .app
        .put_picture(OWNER, icon, PictureSource::Media(id))
        .await
        .unwrap();
    let at = format!("/icons/9001/{}.webp", put.hash);
    world.get(&at, &[]).await.expect(200).unwrap();
    let again = world
        .app
        .put_picture(OWNER, icon, PictureSource::Media(id))
        .await;
    assert!(again.is_err(), "it was used up");
    let text = world.receive("a.txt", b"hello").await;
    let refused = world
        .app
        .put_picture(OWNER, icon, PictureSource::Media(text))
        .await;
    assert_eq!(
        refused.err().map(|failure| failure.row.code),
        Some("MEDIA_NOT_CLAIMABLE")
    );
}

#[tokio::test]
async fn s17_what_is_no_picture_is_refused() {
    let world = World::with(|settings| settings.max_pixels = 10_000).await;
    let png = image(100, 100, ImageFormat::Png);
    let mut long = png.clone();
    long.resize(4 * 1024 * 1024 + 1, 0);
    for (bytes, code) in [
        (b"<svg/>".to_vec(), "MEDIA_TYPE_WRONG"),
        (Vec::new(), "MEDIA_TYPE_WRONG"),
        (png[..50].to_vec(), "MEDIA_BROKEN"),
        (image(101, 100, ImageFormat::Png), "MEDIA_TOO_MANY_PIXELS"),
        (long, "MEDIA_TOO_LARGE"),
    ] {
        assert_eq!(put(&world, AVATAR, bytes).await, Err(code));
    }
    put(&world, AVATAR, png).await.unwrap();
}
