//! Messages with files: by forms as stock libraries send them, and by uploads.

use std::time::Duration;

use axum::body::Body;
use contracts::Media as _;
use contracts::media::Place;
use db::Sql;
use kernel::perm::Chat;
use kernel::{MediaId, MessageId, UserId};
use messaging::Settings;
use serde_json::{Value, json};
use testkit::http::{Credential, Reply};

use crate::world::{ANA, BORA, COMMUNITY, ROOM, World, id_of, message, messages};

const BOUNDARY: &str = "----------------------------meydan";
const REMOVED: Sql = Sql::new(
    "test.removed",
    "SELECT data FROM messaging.outbox WHERE type = 'messaging.attachments_removed.v1'",
);

/// One part of a form: its name, its file's name, its content.
type Part<'a> = (&'a str, Option<&'a str>, &'a str);

fn form(parts: &[Part<'_>]) -> String {
    let mut form = String::new();
    for (name, file, content) in parts {
        let file = file
            .map(|file| format!("; filename=\"{file}\""))
            .unwrap_or_default();
        form.push_str(&format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"
        ));
    }
    form + &format!("--{BOUNDARY}--\r\n")
}

impl World {
    async fn send_form(&self, who: UserId, parts: &[Part<'_>]) -> Reply {
        self.clock.advance(Duration::from_secs(1));
        let request = http::Request::builder()
            .method("POST")
            .uri(messages(ROOM))
            .header(
                "content-type",
                format!("multipart/form-data; boundary={BOUNDARY}"),
            )
            .header(
                "authorization",
                Credential::from(who).header().unwrap().unwrap(),
            )
            .body(Body::from(form(parts)))
            .unwrap();
        testkit::http::send(&self.router, request).await.unwrap()
    }

    async fn shown(&self, id: MessageId) -> Value {
        let found = self.call("GET", &message(id), BORA, Value::Null).await;
        found.expect(200).unwrap().json
    }

    /// A message with these files of ANA's.
    async fn with_files(&self, names: &[&str]) -> (MessageId, Vec<MediaId>) {
        let ids: Vec<MediaId> = names
            .iter()
            .map(|name| self.media.add(ANA, name, b"x"))
            .collect();
        let list: Vec<Value> = ids.iter().map(|id| json!({"media_id": id})).collect();
        let sent = self
            .send(ANA, json!({"content": "look", "attachments": list}))
            .await;
        (id_of(&sent.expect(200).unwrap().json), ids)
    }
}

fn names(message: &Value) -> Vec<&str> {
    let list = message["attachments"].as_array().unwrap();
    list.iter()
        .map(|file| file["filename"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn an_upload_is_shown_in_its_message_and_stays_with_it() {
    let w = World::new().await;
    let id = w.media.add(ANA, "cat.png", b"meow");
    let sent = w
        .send(
            ANA,
            json!({"attachments": [{"media_id": id, "description": "a cat"}]}),
        )
        .await
        .expect(200)
        .unwrap()
        .json;
    let expected = json!([{
        "id": id, "filename": "cat.png", "description": "a cat", "size": 4,
        "content_type": "application/octet-stream",
        "url": "https://files.test/1/cat.png", "proxy_url": "https://files.test/1/cat.png",
    }]);
    assert_eq!(sent["attachments"], expected, "a file alone is enough");
    let message = id_of(&sent);
    assert_eq!(w.shown(message).await["attachments"], expected);
    let list = w.call("GET", &messages(ROOM), BORA, Value::Null).await;
    assert_eq!(list.json[0]["attachments"], expected);
    let file = w.media.files().remove(&id).unwrap();
    let place = Place::Message {
        community: Some(COMMUNITY),
        channel: ROOM,
        message,
    };
    assert_eq!((file.place, file.settled), (Some(place), true));
    let reply = json!({"content": "nice", "message_reference": {"message_id": message}});
    let reply = w.send(BORA, reply).await.expect(200).unwrap().json;
    assert_eq!(reply["referenced_message"]["attachments"], expected);
}

#[tokio::test]
async fn a_form_brings_files_before_or_after_its_message() {
    let w = World::new().await;
    let payload = json!({
        "content": "two", "attachments": [{"id": 1, "description": "b"}, {"id": "0"}],
    })
    .to_string();
    let payload: Part<'_> = ("payload_json", None, &payload);
    let files = [
        ("files[0]", Some("a.txt"), "first"),
        ("files[1]", Some("b.txt"), "second"),
    ];
    for parts in [
        vec![files[0], files[1], payload],
        vec![payload, files[1], files[0]],
    ] {
        let sent = w.send_form(ANA, &parts).await.expect(200).unwrap().json;
        assert_eq!(names(&sent), ["b.txt", "a.txt"]);
        assert_eq!(sent["content"], "two");
        assert_eq!(sent["attachments"][0]["description"], "b");
        assert_eq!(sent["attachments"][0]["size"], 6);
    }
    let alone = w.send_form(ANA, &[("file", Some("c.txt"), "x")]).await;
    assert_eq!(names(&alone.expect(200).unwrap().json), ["c.txt"]);
    assert!(w.media.files().values().all(|file| file.settled));
}

#[tokio::test]
async fn what_is_refused_leaves_no_file_behind() {
    let w = World::new().await;
    let many: Vec<String> = (0..11).map(|n| format!("files[{n}]")).collect();
    let many: Vec<Part<'_>> = many.iter().map(|name| (&**name, Some("a"), "x")).collect();
    assert_eq!(w.send_form(ANA, &many[..10]).await.status, 200);
    let kept = w.media.files().len();
    let long = json!({"content": "x".repeat(4_001)}).to_string();
    let file: Part<'_> = ("files[0]", Some("a"), "x");
    for parts in [
        many.clone(),
        vec![file, ("payload_json", None, "{")],
        vec![file, ("payload_json", None, &long)],
        vec![
            file,
            ("payload_json", None, r#"{"attachments":[{"id":7}]}"#),
        ],
    ] {
        let reply = w.send_form(ANA, &parts).await;
        assert_eq!(reply.status, 400, "{:?}", reply.json);
        assert_eq!(w.media.files().len(), kept, "{parts:?}");
    }
    let request = form(&[file]);
    let cut = http::Request::builder()
        .method("POST")
        .uri(messages(ROOM))
        .header(
            "content-type",
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .header(
            "authorization",
            Credential::from(ANA).header().unwrap().unwrap(),
        )
        .body(Body::from(
            request.trim_end_matches("meydan--\r\n").to_owned(),
        ))
        .unwrap();
    let reply = testkit::http::send(&w.router, cut).await.unwrap();
    assert_eq!(reply.status, 400, "{:?}", reply.json);
    assert_eq!(w.media.files().len(), kept);
}

#[tokio::test]
async fn files_of_others_and_of_other_messages_are_refused() {
    let w = World::new().await;
    let theirs = w.media.add(BORA, "b", b"x");
    let (_, used) = w.with_files(&["a"]).await;
    let mine = w.media.add(ANA, "c", b"x");
    for list in [
        vec![theirs],
        vec![mine, theirs],
        vec![used[0]],
        vec![MediaId::new(99)],
    ] {
        let list: Vec<Value> = list.iter().map(|id| json!({"media_id": id})).collect();
        let reply = w
            .send(ANA, json!({"content": "x", "attachments": list}))
            .await;
        assert_eq!(reply.status, 400, "{list:?}");
    }
    assert_eq!(w.media.files()[&mine].place, None, "none of them");
    let list = w.call("GET", &messages(ROOM), ANA, Value::Null).await;
    assert_eq!(
        list.json.as_array().unwrap().len(),
        1,
        "no message came of it"
    );
}

#[tokio::test]
async fn files_need_their_right() {
    let w = World::new().await;
    w.allow(ANA, |access| {
        access.chat = access.chat.without(Chat::ATTACH_FILES)
    });
    let id = w.media.add(ANA, "a", b"x");
    let reply = w
        .send(ANA, json!({"attachments": [{"media_id": id}]}))
        .await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["code"]),
        (403, &json!(50013))
    );
    let reply = w.send_form(ANA, &[("files[0]", Some("a"), "x")]).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["code"]),
        (403, &json!(50013))
    );
    assert_eq!(w.media.files().len(), 1, "nothing was taken in");
    assert_eq!(w.send(ANA, json!({"content": "x"})).await.status, 200);
}

#[tokio::test]
async fn an_edit_takes_files_out_and_adds_none() {
    let w = World::new().await;
    let (id, files) = w.with_files(&["a", "b", "c"]).await;
    let edit = async |list: Value| {
        w.clock.advance(Duration::from_secs(2));
        w.call("PATCH", &message(id), ANA, json!({"attachments": list}))
            .await
    };
    let other = w.media.add(ANA, "d", b"x");
    for list in [json!([{"id": other}]), json!([{"media_id": other}])] {
        assert_eq!(edit(list).await.status, 400);
    }
    let left = json!([{"id": files[2], "description": "c"}, {"id": files[0]}]);
    let edited = edit(left).await.expect(200).unwrap().json;
    assert_eq!(names(&edited), ["c", "a"]);
    assert_eq!(names(&w.shown(id).await), ["c", "a"]);
    w.clock.advance(Duration::from_secs(2));
    let text = w
        .call("PATCH", &message(id), ANA, json!({"content": "new"}))
        .await;
    assert_eq!(
        names(&text.expect(200).unwrap().json),
        ["c", "a"],
        "absent stays"
    );
    let none = edit(Value::Null).await.expect(200).unwrap().json;
    assert!(names(&none).is_empty());
    let told: Vec<Value> = REMOVED.scalars(&w.admin).await.unwrap();
    let gone: Vec<&Value> = told.iter().map(|data| &data["media_ids"]).collect();
    assert_eq!(gone, [&json!([files[1]]), &json!([files[2], files[0]])]);
    let (only, _) = w.with_files(&["e"]).await;
    w.clock.advance(Duration::from_secs(2));
    let empty = json!({"content": "", "attachments": []});
    let reply = w.call("PATCH", &message(only), ANA, empty).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["code"]),
        (400, &json!(50006))
    );
}

#[tokio::test]
async fn a_repetition_is_the_first_message_with_the_first_files() {
    let w = World::new().await;
    let payload = json!({"content": "x", "nonce": "n1", "enforce_nonce": true}).to_string();
    let parts = [
        ("files[0]", Some("a"), "x"),
        ("payload_json", None, &*payload),
    ];
    let first = w.send_form(ANA, &parts).await.expect(200).unwrap();
    let again = w.send_form(ANA, &parts).await.expect(200).unwrap();
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.json["attachments"], first.json["attachments"]);
    assert_eq!(w.media.files().len(), 1, "what came twice is let go");
    let upload = w.media.add(ANA, "b", b"x");
    let body = json!({
        "nonce": "n2", "enforce_nonce": true, "attachments": [{"media_id": upload}],
    });
    let first = w.send(ANA, body.clone()).await.expect(200).unwrap();
    let again = w.send(ANA, body).await.expect(200).unwrap();
    assert_eq!(again.json["id"], first.json["id"]);
    assert_eq!(w.media.files().len(), 2);
}

#[tokio::test]
async fn claims_that_a_killed_process_left_are_settled_by_what_is_stored() {
    let w = World::new().await;
    let (id, files) = w.with_files(&["a"]).await;
    let place = |message| Place::Message {
        community: Some(COMMUNITY),
        channel: ROOM,
        message,
    };
    let (late, lost) = (w.media.add(ANA, "b", b"x"), w.media.add(ANA, "c", b"x"));
    w.media.claim(ANA, &[late], place(id)).await.unwrap();
    w.media
        .claim(ANA, &[lost], place(MessageId::new(12_345)))
        .await
        .unwrap();
    let status = w.messaging.settle_old_claims().await.unwrap();
    assert_eq!(status, "kept files of 1 messages, released 1");
    let left = w.media.files();
    assert!(left[&late].settled && left[&files[0]].settled);
    assert!(!left.contains_key(&lost));
}

#[tokio::test]
async fn json_keeps_its_bound_where_forms_may_be_larger() {
    let settings = Settings {
        max_json: 200,
        max_form: 2_000,
        ..Settings::default()
    };
    let w = World::with(settings, None).await;
    assert_eq!(
        w.send(ANA, json!({"content": "x".repeat(100)}))
            .await
            .status,
        200
    );
    let reply = w.send(ANA, json!({"content": "x".repeat(200)})).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["code"]),
        (413, &json!(40005))
    );
    let large = "x".repeat(1_000);
    assert_eq!(
        w.send_form(ANA, &[("files[0]", Some("a"), &large)])
            .await
            .status,
        200
    );
    let payload = json!({"content": "x".repeat(200)}).to_string();
    let reply = w.send_form(ANA, &[("payload_json", None, &payload)]).await;
    assert_eq!(reply.status, 413);
    let larger = "x".repeat(2_000);
    assert_eq!(
        w.send_form(ANA, &[("files[0]", Some("a"), &larger)])
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn messages_with_files_wait_for_media_and_others_do_not() {
    let w = World::new().await;
    let (with, _) = w.with_files(&["a"]).await;
    let without = w.say(ANA, "hello").await;
    w.media.leave();
    assert_eq!(
        w.call("GET", &message(with), BORA, Value::Null)
            .await
            .status,
        503
    );
    assert_eq!(
        w.call("GET", &message(without), BORA, Value::Null)
            .await
            .status,
        200
    );
    w.media.come_back();
    assert_eq!(names(&w.shown(with).await), ["a"]);
}
