//! Tables of requests and their verdicts.

use super::*;
use serde_json::json;

fn send(request: Value) -> Result<NewMessage, Error> {
    serde_json::from_value::<SendMessage>(request)
        .unwrap()
        .check(None)
}

/// Pointers of the invalid fields.
fn pointers(request: Value) -> Vec<String> {
    match send(request) {
        Err(Error::Invalid(fields)) => fields.into_iter().map(|field| field.pointer).collect(),
        other => panic!("expected invalid fields, got {other:?}"),
    }
}

#[test]
fn content_is_counted_in_characters_up_to_its_limit() {
    let full = "ğ".repeat(MAX_CONTENT_CHARS);
    assert_eq!(send(json!({ "content": full })).unwrap().content, full);
    assert_eq!(pointers(json!({ "content": full + "x" })), ["/content"]);
    assert_eq!(pointers(json!({"content": "a\u{0}b"})), ["/content"]);
}

#[test]
fn nothing_to_show_is_empty() {
    for request in [
        json!({}),
        json!({"content": " \n"}),
        json!({"content": null, "embeds": []}),
    ] {
        assert!(matches!(send(request), Err(Error::EmptyMessage)));
    }
    assert!(send(json!({"embeds": [{"title": "a"}]})).is_ok());
}

#[test]
fn nonces_are_texts_or_numbers_of_at_most_64_bytes() {
    let nonce = |nonce: Value| send(json!({"content": "a", "nonce": nonce})).map(|new| new.nonce);
    let text = "n".repeat(MAX_NONCE_BYTES);
    assert_eq!(nonce(json!(text)).unwrap().unwrap().text, text);
    let number = nonce(json!(18_446_744_073_709_551_615_u64))
        .unwrap()
        .unwrap();
    assert_eq!(number.text, "18446744073709551615");
    assert_eq!(number.shown, json!(18_446_744_073_709_551_615_u64));
    assert_eq!(nonce(json!(null)).unwrap(), None);
    assert_eq!(nonce(json!("")).unwrap(), None);
    for bad in [
        json!("n".repeat(65)),
        json!(1.5),
        json!([]),
        json!("a\u{0}"),
    ] {
        assert_eq!(pointers(json!({"content": "a", "nonce": bad})), ["/nonce"]);
    }
}

#[test]
fn only_an_enforced_nonce_or_a_key_makes_it_once() {
    let request = |enforce: Option<bool>, key: Option<&str>| {
        let body = json!({"content": "a", "nonce": 7, "enforce_nonce": enforce});
        let request: SendMessage = serde_json::from_value(body).unwrap();
        request.check(key.map(str::to_owned)).unwrap().once
    };
    assert_eq!(request(None, None), None);
    assert_eq!(request(Some(false), None), None);
    assert_eq!(request(Some(true), None).as_deref(), Some("7"));
    assert_eq!(request(None, Some("k")).as_deref(), Some("k"));
    assert_eq!(request(Some(true), Some("k")).as_deref(), Some("7"));
}

#[test]
fn embeds_have_limits_at_every_part() {
    let many = vec![json!({"title": "a"}); MAX_EMBEDS];
    assert!(send(json!({ "embeds": many })).is_ok());
    let text = |count: usize| "x".repeat(count);
    let field = |name: usize, value: usize| json!({"name": text(name), "value": text(value)});
    for (embeds, expected) in [
        (vec![json!({"title": "a"}); MAX_EMBEDS + 1], "/embeds"),
        (vec![json!("a")], "/embeds/0"),
        (vec![json!({"title": text(257)})], "/embeds/0/title"),
        (vec![json!({"title": 1})], "/embeds/0/title"),
        (
            vec![json!({}), json!({"description": text(4_097)})],
            "/embeds/1/description",
        ),
        (
            vec![json!({"footer": {"text": text(2_049)}})],
            "/embeds/0/footer/text",
        ),
        (
            vec![json!({"fields": vec![field(1, 1); 26]})],
            "/embeds/0/fields",
        ),
        (
            vec![json!({"fields": [field(1, 1_025)]})],
            "/embeds/0/fields/0/value",
        ),
        (vec![json!({"description": text(3_001)}); 2], "/embeds"),
        (vec![json!({"url": text(70_000)})], "/embeds"),
        (vec![json!({"image": {"a\u{0}": 1}})], "/embeds"),
    ] {
        assert_eq!(pointers(json!({ "embeds": embeds })), [expected]);
    }
    assert!(
        send(json!({"embeds": [{"description": text(3_000)}, {"description": text(3_000)}]}))
            .is_ok()
    );
}

#[test]
fn components_flags_files_and_references() {
    assert!(send(json!({"components": [{"type": 1, "components": []}]})).is_ok());
    assert_eq!(
        pointers(json!({"components": [{}]})),
        ["/components/0/type"]
    );
    assert_eq!(
        pointers(json!({"components": vec![json!({"type": 1}); 41]})),
        ["/components"]
    );
    assert_eq!(
        pointers(json!({"content": "a", "attachments": [{"id": 0}]})),
        ["/attachments/0"]
    );
    assert!(send(json!({"content": "a", "attachments": []})).is_ok());
    assert_eq!(
        send(json!({"content": "a", "flags": -1})).unwrap().flags,
        4 | 4096
    );
    let reference = |kind: Option<i32>| json!({"content": "a", "message_reference": {"message_id": 5, "type": kind}});
    let to = send(reference(None)).unwrap().reference.unwrap();
    assert_eq!(to.message_id, MessageId::new(5));
    assert_eq!(pointers(reference(Some(2))), ["/message_reference/type"]);
    assert_eq!(
        pointers(reference(Some(1))),
        ["/content"],
        "a forward says nothing"
    );
}

#[test]
fn an_edit_tells_null_from_absent() {
    let edit = |request: Value| {
        serde_json::from_value::<EditMessage>(request)
            .unwrap()
            .check()
            .unwrap()
    };
    assert_eq!(edit(json!({})).content, None);
    assert_eq!(edit(json!({"content": null})).content.as_deref(), Some(""));
    assert_eq!(edit(json!({"content": "b"})).content.as_deref(), Some("b"));
    assert_eq!(edit(json!({"embeds": null})).embeds, Some(Vec::new()));
    assert_eq!(edit(json!({"flags": 4})).flags, Some(4));
}

#[test]
fn a_plain_body_is_not_stored_and_others_come_back() {
    assert_eq!(Body::default().stored().unwrap(), None);
    let body = Body {
        mentions: vec![UserId::new(3)],
        tts: true,
        ..Body::default()
    };
    let stored = body.stored().unwrap().unwrap();
    assert_eq!(stored, r#"{"mentions":["3"],"tts":true}"#);
    assert_eq!(
        Body::read(serde_json::from_str(&stored).unwrap()).unwrap(),
        body
    );
    assert_eq!(Body::read(None).unwrap(), Body::default());
}
