//! The context over a database and a store of its own.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use contracts::Media as _;
use contracts::media::{Attachment, Content, NewFile, Place};
use db::Db;
use futures::{StreamExt as _, stream};
use http::Request;
use image::{ImageFormat, RgbImage};
use infra::objects::{MemoryObjects, Objects};
use kernel::{
    AnyId, ChannelId, Event, EventId, Ids, ManualClock, MediaId, MessageId, SeededRng, UserId,
    WorkerSlot,
};
use media::{Deps, Key, MIGRATIONS, Media, Settings};
use runtime::Lifecycle;
use secrecy::SecretString;
use serde_json::Value;
use testkit::TestDb;
use testkit::http::{Credential, Reply};

pub(crate) const OWNER: UserId = UserId::new(7_001);
pub(crate) const OTHER: UserId = UserId::new(7_002);
pub(crate) const CHANNEL: ChannelId = ChannelId::new(8_001);
pub(crate) const PUBLIC: &str = "https://files.meydan.test";
/// The version that every request of the upload protocol names.
pub(crate) const TUS: (&str, &str) = ("tus-resumable", "1.0.0");

pub(crate) struct World {
    pub(crate) app: Arc<Media>,
    pub(crate) router: axum::Router,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) objects: Arc<dyn Objects>,
    pub(crate) database: TestDb,
    settings: Settings,
    ids: Arc<Ids>,
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(|_| {}).await
    }

    /// With other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> World {
        World::over(MemoryObjects::new(256 * 1024 * 1024), change).await
    }

    /// Over another store.
    pub(crate) async fn over(
        objects: Arc<dyn Objects>,
        change: impl FnOnce(&mut Settings),
    ) -> World {
        let database = TestDb::new(&[MIGRATIONS]).await.unwrap();
        let clock = ManualClock::new("2026-11-20T07:00:00Z".parse().unwrap());
        let key = Key::derive(&SecretString::from("r".repeat(32))).unwrap();
        let mut settings = Settings::new(PUBLIC, key);
        change(&mut settings);
        let ids = Ids::new(clock.clone(), WorkerSlot::permanent(1));
        let (app, router) = start(&database, &clock, &ids, &objects, &settings);
        World {
            app,
            router,
            clock,
            objects,
            database,
            settings,
            ids,
        }
    }

    /// Forgets everything that is in memory alone, as a killed process does.
    pub(crate) fn restart(&mut self) {
        let World {
            database,
            clock,
            ids,
            objects,
            settings,
            ..
        } = &*self;
        let (app, router) = start(database, clock, ids, objects, settings);
        (self.app, self.router) = (app, router);
    }

    pub(crate) fn admin(&self) -> Db {
        self.database.admin().unwrap()
    }

    /// Sends a request with this body.
    pub(crate) async fn send(
        &self,
        who: impl Into<Credential>,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(credential) = who.into().header().unwrap() {
            request = request.header("authorization", credential);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        testkit::http::send(&self.router, request).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send((), ("GET", path), headers, Body::empty()).await
    }

    /// Opens an upload of OWNER's.
    pub(crate) async fn open(&self, size: usize, metadata: &str) -> Reply {
        let size = size.to_string();
        let headers = [TUS, ("upload-length", &size), ("upload-metadata", metadata)];
        self.send(OWNER, ("POST", "/v1/uploads"), &headers, Body::empty())
            .await
    }

    /// Opens one that is admitted; where it is.
    pub(crate) async fn opened(&self, size: usize, metadata: &str) -> String {
        let reply = self.open(size, metadata).await.expect(201).unwrap();
        reply.header("location").unwrap().to_owned()
    }

    pub(crate) async fn patch(&self, at: &str, offset: usize, body: impl Into<Body>) -> Reply {
        let offset = offset.to_string();
        let headers = [
            TUS,
            ("upload-offset", offset.as_str()),
            ("content-type", "application/offset+octet-stream"),
        ];
        self.send(OWNER, ("PATCH", at), &headers, body).await
    }

    /// Where an upload is, as its header tells.
    pub(crate) async fn offset(&self, at: &str) -> usize {
        let reply = self.send(OWNER, ("HEAD", at), &[TUS], Body::empty()).await;
        let reply = reply.expect(200).unwrap();
        reply.header("upload-offset").unwrap().parse().unwrap()
    }

    /// Takes a file in, in one go.
    pub(crate) async fn receive(&self, name: &str, content: &[u8]) -> MediaId {
        self.try_receive(name, None, content).await.unwrap()
    }

    pub(crate) async fn try_receive(
        &self,
        name: &str,
        content_type: Option<&str>,
        content: &[u8],
    ) -> Result<MediaId, &'static str> {
        let file = NewFile {
            name: name.to_owned(),
            content_type: content_type.map(str::to_owned),
        };
        let received = self.app.receive(OWNER, file, pieces(content)).await;
        received.map_err(|failure| failure.row.code)
    }

    /// A message for OWNER's files.
    pub(crate) fn message(&self) -> Place {
        Place::Message {
            community: None,
            channel: CHANNEL,
            message: self.ids.next().unwrap(),
        }
    }

    /// Claims a file for a message that is there.
    pub(crate) async fn show(&self, id: MediaId) -> (Place, Attachment) {
        let place = self.message();
        self.app.claim(OWNER, &[id], place).await.unwrap();
        let kept = contracts::media::Outcome::Kept;
        self.app.settle(place, kept).await.unwrap();
        let shown = self.app.describe(&[id]).await.unwrap().pop();
        (place, shown.unwrap())
    }

    /// Brings an event, as the bus does.
    pub(crate) async fn bring(&self, kind: &str, data: Value) {
        let event = Event {
            id: self.ids.next::<kernel::id::kind::Event>().unwrap(),
            kind: kind.to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
            actor: None,
            tenant: None,
            key: "1".to_owned(),
            data,
        };
        let _: EventId = event.id;
        let module = media::module(&self.app);
        let listens = |consumer: &&runtime::Consumer| consumer.kinds.contains(&kind);
        let consumer = module.consumers.iter().find(listens).unwrap();
        consumer.handler.handle(&event).await.unwrap();
    }

    /// Every object of the store.
    pub(crate) async fn stored(&self) -> Vec<String> {
        self.objects.list("media").await.unwrap()
    }

    pub(crate) fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn start(
    database: &TestDb,
    clock: &Arc<ManualClock>,
    ids: &Arc<Ids>,
    objects: &Arc<dyn Objects>,
    settings: &Settings,
) -> (Arc<Media>, axum::Router) {
    let app = media::build(Deps {
        db: database.app("media").unwrap(),
        ids: Arc::clone(ids),
        clock: clock.clone(),
        rng: SeededRng::new(
            jiff::Timestamp::as_second(kernel::Clock::now(&**clock)).unsigned_abs(),
        ),
        objects: Arc::clone(objects),
        lifecycle: Lifecycle::new(),
        settings: settings.clone(),
    });
    let router = media::table(app.clone()).router();
    let router = testkit::http::app(router, clock.clone()).unwrap();
    (app, router)
}

/// Content in pieces of a few bytes.
pub(crate) fn pieces(content: &[u8]) -> Content {
    let pieces: Vec<_> = content
        .chunks(1_000)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    stream::iter(pieces).boxed()
}

/// An image of this size.
pub(crate) fn image(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| {
        let part = |value: u32| u8::try_from(value % 256).unwrap();
        image::Rgb([part(x), part(y), part(x * y)])
    });
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A JPEG that tells where its photographer was.
pub(crate) fn photo() -> Vec<u8> {
    let plain = image(640, 480, ImageFormat::Jpeg);
    let told = b"Exif\0\0MM\0*\0\0\0\x08\0\0SECRET PLACE";
    let length = u16::try_from(told.len() + 2).unwrap().to_be_bytes();
    [&plain[..2], &[0xff, 0xe1], &length, told, &plain[2..]].concat()
}

pub(crate) fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// The path of an address of ours.
pub(crate) fn path(url: &str) -> &str {
    url.strip_prefix(PUBLIC).unwrap()
}

/// The message of a place.
pub(crate) fn message_of(place: Place) -> MessageId {
    match place {
        Place::Message { message, .. } => message,
        Place::Avatar(_) | Place::Icon(_) => MessageId::new(0),
    }
}

pub(crate) fn code(reply: &Reply) -> (u16, &str) {
    let code = reply.json["code"].as_str().unwrap_or_default();
    (reply.status.as_u16(), code)
}

/// The last part of an upload's address.
pub(crate) fn id_of(at: &str) -> MediaId {
    let id: AnyId = at.rsplit('/').next().unwrap().parse().unwrap();
    id.cast()
}
