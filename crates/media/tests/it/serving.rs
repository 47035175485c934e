use axum::body::Body;
use serde_json::json;

use crate::fixture::{CHANNEL, World, holds, message_of, path, photo};

#[tokio::test]
async fn an_image_is_shown_in_place_without_what_it_told() {
    let world = World::new().await;
    let id = world.receive("gün batımı.jpg", &photo()).await;
    world.app.work_off().await.unwrap();
    let (_, shown) = world.show(id).await;
    assert_eq!((shown.width, shown.height), (Some(640), Some(480)));
    assert_eq!(shown.filename, "gün_batımı.jpg");
    assert_eq!(shown.content_type, "image/jpeg");
    assert_eq!(shown.placeholder_version, Some(1));
    assert!(shown.placeholder.is_some());
    let reply = world.get(path(&shown.url), &[]).await.expect(200).unwrap();
    assert!(!holds(&reply.body, "SECRET"));
    assert_eq!(i64::try_from(reply.body.len()).unwrap(), shown.size);
    for (name, value) in [
        ("content-type", "image/jpeg"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        (
            "content-disposition",
            "inline; filename*=UTF-8''g%C3%BCn_bat%C4%B1m%C4%B1.jpg",
        ),
        ("cross-origin-resource-policy", "cross-origin"),
        ("cache-control", "private, max-age=3600, immutable"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    let small = shown.thumbnail_url.unwrap();
    let small = world.get(path(&small), &[]).await.expect(200).unwrap();
    let decoded = image::load_from_memory(&small.body).unwrap();
    assert_eq!((decoded.width(), decoded.height()), (400, 300));
    let stored = world.stored().await;
    assert!(
        stored.iter().all(|key| !key.ends_with("original")),
        "{stored:?}"
    );
}

#[tokio::test]
async fn s17_what_could_run_is_only_saved() {
    let world = World::new().await;
    for (name, content) in [
        ("a.html", &b"<!doctype html><script>alert(1)</script>"[..]),
        ("a.svg", b"<svg onload='alert(1)'/>"),
        ("a.pdf", b"%PDF-1.7 javascript"),
        ("a.js", b"alert(1)"),
    ] {
        let (_, shown) = world.show(world.receive(name, content).await).await;
        let reply = world.get(path(&shown.url), &[]).await.expect(200).unwrap();
        assert_eq!(reply.body, content);
        assert_eq!(
            reply.header("content-type"),
            Some("application/octet-stream")
        );
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        let disposition = format!("attachment; filename*=UTF-8''{name}");
        assert_eq!(reply.header("content-disposition"), Some(&*disposition));
        assert_eq!(
            reply.header("content-security-policy"),
            Some("default-src 'none'; sandbox")
        );
    }
}

#[tokio::test]
async fn parts_and_known_files_are_answered_as_asked() {
    let world = World::new().await;
    let (_, shown) = world
        .show(world.receive("a.txt", b"0123456789").await)
        .await;
    let at = path(&shown.url);
    let whole = world.get(at, &[]).await;
    let etag = whole.header("etag").unwrap().to_owned();
    for (headers, status, body, range) in [
        (
            vec![("range", "bytes=2-4")],
            206,
            "234",
            Some("bytes 2-4/10"),
        ),
        (
            vec![("range", "bytes=-3")],
            206,
            "789",
            Some("bytes 7-9/10"),
        ),
        (
            vec![("range", "bytes=9-99")],
            206,
            "9",
            Some("bytes 9-9/10"),
        ),
        (vec![("range", "bytes=10-")], 416, "", Some("bytes */10")),
        (vec![("range", "bytes=0-1,4-5")], 200, "0123456789", None),
        (
            vec![("range", "bytes=2-4"), ("if-range", &etag)],
            206,
            "234",
            Some("bytes 2-4/10"),
        ),
        (
            vec![("range", "bytes=2-4"), ("if-range", "\"x\"")],
            200,
            "0123456789",
            None,
        ),
        (vec![("if-none-match", &etag)], 304, "", None),
        (vec![("if-none-match", "\"x\"")], 200, "0123456789", None),
    ] {
        let reply = world.get(at, &headers).await;
        assert_eq!(reply.status, status, "{headers:?}");
        assert_eq!(reply.body, body, "{headers:?}");
        assert_eq!(reply.header("content-range"), range, "{headers:?}");
    }
    let head = world.send((), ("HEAD", at), &[], Body::empty()).await;
    assert_eq!(
        (head.status.as_u16(), head.header("content-length")),
        (200, Some("10"))
    );
}

#[tokio::test]
async fn an_address_opens_one_file_for_a_while() {
    let world = World::new().await;
    let (place, shown) = world.show(world.receive("a.txt", b"hello").await).await;
    let (_, other) = world.show(world.receive("b.txt", b"other").await).await;
    let at = path(&shown.url).to_owned();
    let id = shown.id.to_string();
    let past_end = at.replace("ex=", "ex=f");
    for forged in [
        at.replace(&format!("/{CHANNEL}/"), "/8002/"),
        at.replace(&id, &other.id.to_string()),
        past_end,
        at.replace("hm=", "hm=0"),
        format!("{at}&preset=thumbnail"),
        format!("{at}&preset=huge"),
    ] {
        let reply = world.get(&forged, &[]).await;
        assert_eq!(reply.status, 404, "{forged}");
    }
    // The name is decoration.
    let renamed = at.replace("a.txt", "x.html");
    let reply = world.get(&renamed, &[]).await.expect(200).unwrap();
    assert!(
        reply
            .header("content-disposition")
            .unwrap()
            .ends_with("a.txt")
    );
    // Made at seven in the morning, it is good to the end of the next day.
    world.wait(24 * 3600 + 17 * 3600 - 1);
    world.get(&at, &[]).await.expect(200).unwrap();
    world.wait(1);
    assert_eq!(world.get(&at, &[]).await.status, 404);
    let (_, shown) = (
        place,
        contracts::Media::describe(&*world.app, &[shown.id])
            .await
            .unwrap(),
    );
    let fresh = path(&shown[0].url).to_owned();
    world.get(&fresh, &[]).await.expect(200).unwrap();
    // Without its message it is gone.
    world
        .bring(
            "messaging.message_deleted.v1",
            json!({"id": message_of(place)}),
        )
        .await;
    assert_eq!(world.get(&fresh, &[]).await.status, 404);
}

#[tokio::test]
async fn who_asks_for_an_image_that_is_being_worked_at_waits_for_it() {
    let world = World::new().await;
    // The worker in the background is woken by the upload.
    let (_, shown) = world.show(world.receive("a.jpg", &photo()).await).await;
    let reply = world.get(path(&shown.url), &[]).await.expect(200).unwrap();
    assert!(!holds(&reply.body, "SECRET"));
}
