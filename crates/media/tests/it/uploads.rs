use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt as _;
use infra::objects::{About, MemoryObjects, Object, ObjectError, Objects, Pieces};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::mpsc;

use crate::fixture::{CHANNEL, OTHER, OWNER, TUS, World, code, id_of, path};

#[tokio::test]
async fn an_upload_goes_on_where_it_stopped() {
    let world = World::new().await;
    let reply = world
        .open(10, "filename YS50eHQ=")
        .await
        .expect(201)
        .unwrap();
    for (name, value) in [
        ("tus-resumable", "1.0.0"),
        ("tus-extension", "creation,expiration,termination"),
        ("tus-max-size", "26214400"),
        ("upload-offset", "0"),
        ("upload-expires", "Sat, 21 Nov 2026 07:00:00 GMT"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    let at = reply.header("location").unwrap();
    let part = world.patch(at, 0, "hell").await.expect(204).unwrap();
    assert_eq!(part.header("upload-offset"), Some("4"));
    assert_eq!(world.offset(at).await, 4);
    let behind = world.patch(at, 3, "lo").await;
    assert_eq!(code(&behind), (409, "UPLOAD_OFFSET_WRONG"));
    world.patch(at, 4, "o w").await.expect(204).unwrap();
    world.patch(at, 7, "rld").await.expect(204).unwrap();
    assert_eq!(world.offset(at).await, 10);
    // Who did not hear of the end asks again.
    world.patch(at, 10, "").await.expect(204).unwrap();
    let whole = world.send(OWNER, ("GET", at), &[], Body::empty()).await;
    assert_eq!(whole.json["state"], "ready");
    assert_eq!(whole.json["file_name"], "a.txt");
    assert_eq!(whole.json["content_type"], "text/plain");
    let (_, shown) = world.show(id_of(at)).await;
    let fetched = world.get(path(&shown.url), &[]).await.expect(200).unwrap();
    assert_eq!(fetched.body, "hello wrld");
    assert_eq!(world.stored().await.len(), 1, "parts are gone");
}

#[tokio::test]
async fn what_arrived_before_a_line_broke_is_kept() {
    let mut world = World::new().await;
    let at = world.opened(10, "").await;
    let pieces = [
        Ok(Bytes::from_static(b"hello ")),
        Err(std::io::Error::other("the line broke")),
    ];
    let broken = Body::from_stream(futures::stream::iter(pieces));
    let reply = world.patch(&at, 0, broken).await;
    assert_eq!(code(&reply), (400, "UPLOAD_BROKEN"));
    world.restart();
    assert_eq!(world.offset(&at).await, 6);
    world.patch(&at, 6, "wrld").await.expect(204).unwrap();
    assert_eq!(world.offset(&at).await, 10);
}

#[tokio::test]
async fn two_cannot_send_to_one_upload() {
    let world = Arc::new(World::new().await);
    let at = world.opened(10, "").await;
    let (send, receive) = mpsc::channel::<std::io::Result<Bytes>>(1);
    let body = futures::stream::unfold(receive, |mut receive| async {
        let piece = receive.recv().await?;
        Some((piece, receive))
    });
    let first = {
        let (world, at) = (world.clone(), at.clone());
        async move { world.patch(&at, 0, Body::from_stream(body.boxed())).await }
    };
    let second = async {
        send.send(Ok(Bytes::from_static(b"hello"))).await.unwrap();
        // The first one has the lease when its piece was taken.
        send.send(Ok(Bytes::from_static(b" "))).await.unwrap();
        let refused = world.patch(&at, 0, "again").await;
        assert_eq!(code(&refused), (409, "UPLOAD_BUSY"));
        drop(send);
    };
    let (first, ()) = futures::join!(first, second);
    first.expect(204).unwrap();
    assert_eq!(world.offset(&at).await, 6);
}

#[tokio::test]
async fn a_lease_of_a_killed_process_runs_out_and_it_loses() {
    let world = Arc::new(World::new().await);
    let at = world.opened(10, "").await;
    let (send, receive) = mpsc::channel::<std::io::Result<Bytes>>(1);
    let body = futures::stream::unfold(receive, |mut receive| async {
        let piece = receive.recv().await?;
        Some((piece, receive))
    });
    let stuck = {
        let (world, at) = (world.clone(), at.clone());
        async move { world.patch(&at, 0, Body::from_stream(body.boxed())).await }
    };
    let other = async {
        send.send(Ok(Bytes::from_static(b"old"))).await.unwrap();
        send.send(Ok(Bytes::from_static(b"!"))).await.unwrap();
        world.wait(60);
        let busy = world.patch(&at, 0, "new").await;
        assert_eq!(code(&busy), (409, "UPLOAD_BUSY"), "to its last second");
        world.wait(1);
        world.patch(&at, 0, "new ").await.expect(204).unwrap();
        drop(send);
    };
    let (stuck, ()) = futures::join!(stuck, other);
    assert_eq!(code(&stuck), (409, "UPLOAD_BUSY"));
    world.patch(&at, 4, "winner").await.expect(204).unwrap();
    let (_, shown) = world.show(id_of(&at)).await;
    let fetched = world.get(path(&shown.url), &[]).await;
    assert_eq!(fetched.body, "new winner");
}

#[tokio::test]
async fn bounds_hold_at_their_edges() {
    let world = World::with(|settings| {
        settings.max_file_bytes = 100;
        settings.quota_bytes = 250;
        settings.uploads_per_user = 3;
    })
    .await;
    assert_eq!(code(&world.open(101, "").await), (413, "MEDIA_TOO_LARGE"));
    let at = world.opened(100, "").await;
    let headers = [TUS, ("content-length", "101")];
    let more = world
        .send(OWNER, ("PATCH", &at), &headers, vec![b'x'; 101])
        .await;
    assert_eq!(code(&more), (413, "BODY_TOO_LARGE"));
    world
        .patch(&at, 0, vec![b'x'; 99])
        .await
        .expect(204)
        .unwrap();
    let more = world.patch(&at, 99, "xx").await;
    assert_eq!(code(&more), (413, "MEDIA_TOO_LARGE"));
    assert_eq!(world.offset(&at).await, 99);
    let second = world.opened(90, "").await;
    assert_eq!(code(&world.open(61, "").await), (413, "MEDIA_QUOTA"));
    world.opened(60, "").await;
    assert_eq!(code(&world.open(0, "").await), (400, "UPLOADS_OPEN_MAX"));
    let end = |at: String| {
        let world = &world;
        async move {
            world
                .send(OWNER, ("DELETE", &at), &[TUS], Body::empty())
                .await
        }
    };
    end(second).await.expect(204).unwrap();
    // What comes in one go has the same bounds.
    let refused = world.try_receive("a", None, &[b'x'; 91]).await;
    assert_eq!(refused, Err("MEDIA_QUOTA"), "90 are left");
    world.try_receive("a", None, &[b'x'; 90]).await.unwrap();
    assert_eq!(world.try_receive("a", None, b"x").await, Err("MEDIA_QUOTA"));
    end(at).await.expect(204).unwrap();
    let refused = world.try_receive("a", None, &[b'x'; 101]).await;
    assert_eq!(refused, Err("MEDIA_TOO_LARGE"));
    world.app.clear().await.unwrap();
    assert_eq!(world.stored().await.len(), 1, "what was refused is gone");
}

#[tokio::test]
async fn the_protocol_is_demanded() {
    let world = World::new().await;
    let at = world.opened(10, "").await;
    let offset = ("upload-offset", "0");
    let part = ("content-type", "application/offset+octet-stream");
    for (headers, expected) in [
        (vec![offset, part], (412, "UPLOAD_PROTOCOL")),
        (
            vec![("tus-resumable", "0.2.2"), offset, part],
            (412, "UPLOAD_PROTOCOL"),
        ),
        (vec![TUS, offset], (415, "UPLOAD_PART_TYPE")),
        (vec![TUS, part], (400, "INVALID_REQUEST")),
        (
            vec![TUS, part, ("upload-offset", "x")],
            (400, "INVALID_REQUEST"),
        ),
        (
            vec![TUS, part, ("upload-offset", "1")],
            (409, "UPLOAD_OFFSET_WRONG"),
        ),
    ] {
        let reply = world.send(OWNER, ("PATCH", &at), &headers, "x").await;
        assert_eq!(code(&reply), expected, "{headers:?}");
    }
    let reply = world
        .send(OWNER, ("POST", "/v1/uploads"), &[TUS], Body::empty())
        .await;
    assert_eq!(code(&reply), (400, "INVALID_REQUEST"));
}

#[tokio::test]
async fn uploads_are_their_owners_alone_and_expire() {
    let world = World::new().await;
    let at = world.opened(10, "").await;
    for method in ["GET", "DELETE"] {
        let reply = world
            .send(OTHER, (method, &at), &[TUS], Body::empty())
            .await;
        assert_eq!(code(&reply), (404, "UPLOAD_UNKNOWN"), "{method}");
    }
    world.patch(&at, 0, "hello").await.expect(204).unwrap();
    world.wait(24 * 3600 - 1);
    assert_eq!(world.offset(&at).await, 5);
    world.app.clear().await.unwrap();
    assert_eq!(world.stored().await.len(), 1);
    world.wait(1);
    let reply = world.patch(&at, 5, "x").await;
    assert_eq!(code(&reply), (404, "UPLOAD_UNKNOWN"));
    world.wait(60);
    world.app.clear().await.unwrap();
    assert!(world.stored().await.is_empty());
}

#[tokio::test]
async fn a_checksum_is_held_against_the_whole() {
    let world = World::new().await;
    // SHA-256 of "abc", in base64 of its digits.
    let good = "sha256 YmE3ODE2YmY4ZjAxY2ZlYTQxNDE0MGRlNWRhZTIyMjNiMDAzNjFhMzk2MTc3YTljYjQxMGZmNjFmMjAwMTVhZA==";
    let at = world.opened(3, good).await;
    world.patch(&at, 0, "abc").await.expect(204).unwrap();
    let at = world.opened(3, good).await;
    let reply = world.patch(&at, 0, "abd").await;
    assert_eq!(code(&reply), (400, "MEDIA_CHECKSUM_WRONG"));
    let gone = world
        .send(OWNER, ("HEAD", &at), &[TUS], Body::empty())
        .await;
    assert_eq!(gone.status, 404);
    let bad = world.open(3, "sha256 YWI=").await;
    assert_eq!(code(&bad), (400, "INVALID_REQUEST"));
}

#[tokio::test]
async fn an_empty_file_is_whole_at_once() {
    let world = World::new().await;
    let reply = world.open(0, "filename YQ==").await.expect(201).unwrap();
    assert_eq!(reply.json["state"], "ready");
}

/// A store that takes no stream while it is told to fail.
struct Flaky(Arc<MemoryObjects>, AtomicBool);

#[async_trait]
impl Objects for Flaky {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.0.put(key, bytes).await
    }
    async fn put_stream(
        &self,
        key: &str,
        about: &About,
        content: Pieces,
    ) -> Result<u64, ObjectError> {
        if self.1.load(SeqCst) {
            return Err(ObjectError::Io(std::io::Error::other("away")));
        }
        self.0.put_stream(key, about, content).await
    }
    async fn open(&self, key: &str) -> Result<Option<Object>, ObjectError> {
        self.0.open(key).await
    }
    async fn open_range(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<Option<Object>, ObjectError> {
        self.0.open_range(key, range).await
    }
    async fn presign(&self, key: &str, valid: Duration) -> Result<Option<String>, ObjectError> {
        self.0.presign(key, valid).await
    }
    async fn remove(&self, key: &str) -> Result<(), ObjectError> {
        self.0.remove(key).await
    }
    async fn list(&self, folder: &str) -> Result<Vec<String>, ObjectError> {
        self.0.list(folder).await
    }
}

#[tokio::test]
async fn an_upload_that_could_not_be_finished_is_finished_later() {
    let store = Arc::new(Flaky(MemoryObjects::new(1_000_000), AtomicBool::new(true)));
    let world = World::over(store.clone(), |_| {}).await;
    let at = world.opened(5, "").await;
    let reply = world.patch(&at, 0, "hello").await;
    assert_eq!(code(&reply), (503, "UNAVAILABLE"));
    assert_eq!(world.offset(&at).await, 5, "nothing that arrived is lost");
    world.app.catch_up().await.unwrap();
    store.1.store(false, SeqCst);
    let status = world.app.catch_up().await.unwrap();
    assert_eq!(status, "finished 1 uploads, worked at 0 images");
    let (_, shown) = world.show(id_of(&at)).await;
    assert!(shown.url.contains(&format!("/attachments/{CHANNEL}/")));
    assert_eq!(world.get(path(&shown.url), &[]).await.body, "hello");
}
