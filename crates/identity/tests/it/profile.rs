//! One's own profile and the cards of others.

use serde_json::{Value, json};

use crate::harness::{House, masked, names_field, refusal};

const ME: &str = "/v1/users/@me";

#[tokio::test]
async fn one_reads_ones_own_profile_whole() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let reply = house.get(ME, &session.access).await.expect(200).unwrap();
    assert_eq!(reply.header("etag"), Some("\"1\""));
    insta::assert_json_snapshot!(masked(reply.json), @r#"
    {
      "about": null,
      "display_name": "AYSE",
      "email": "ayse@example.com",
      "email_verified": false,
      "factors": {
        "passkeys": 0,
        "password": true,
        "recovery_codes_left": 0,
        "registration_lock": false,
        "totp": false
      },
      "id": "[id]",
      "locale": "en",
      "phone_number": null,
      "phone_verified": false,
      "profile_picture_url": null,
      "roles": [],
      "username": "ayse",
      "version": 1
    }
    "#);
    let nobody = house.get(ME, "").await;
    assert_eq!(refusal(&nobody), (401, "UNAUTHENTICATED"));
}

#[tokio::test]
async fn a_change_needs_the_version_that_was_read() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let access = &session.access;
    let body = json!({"display_name": "Ayşe", "about": "iki satır\nhakkımda"});
    let blind = house.call("PATCH", ME, access, body.clone()).await;
    assert_eq!(refusal(&blind), (428, "PRECONDITION_REQUIRED"));
    for stale in ["\"2\"", "\"0\"", "1", "W/\"1\"", "*"] {
        let headers = [("if-match", stale)];
        let reply = house
            .call_with("PATCH", ME, access, &headers, body.clone())
            .await;
        assert_eq!(refusal(&reply), (412, "STALE"), "{stale}");
    }
    let headers = [("if-match", "\"1\"")];
    let reply = house
        .call_with("PATCH", ME, access, &headers, body.clone())
        .await;
    let reply = reply.expect(200).unwrap();
    assert_eq!(reply.header("etag"), Some("\"2\""));
    assert_eq!(reply.json["display_name"], "Ayşe");
    assert_eq!(reply.json["version"], 2);
    let again = house.call_with("PATCH", ME, access, &headers, body).await;
    assert_eq!(refusal(&again), (412, "STALE"));
    let updated = house.events("identity.user_updated.v1").await;
    let fields = json!(["display_name", "about"]);
    assert_eq!(
        updated,
        [json!({"user_id": session.user, "fields": fields, "version": 2})]
    );
}

#[tokio::test]
async fn null_empties_and_absent_leaves() {
    let house = House::new().await;
    let access = house.register("ayse").await.access;
    let headers = |version: &str| [("if-match".to_owned(), format!("\"{version}\""))];
    for (version, body, about) in [
        ("1", json!({"about": "hello"}), json!("hello")),
        ("2", json!({"locale": "tr"}), json!("hello")),
        ("3", json!({"about": null}), json!(null)),
        ("4", json!({}), json!(null)),
        ("4", json!({"username": "ayse2"}), json!(null)),
    ] {
        let owned = headers(version);
        let headers: Vec<(&str, &str)> = owned
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let reply = house.call_with("PATCH", ME, &access, &headers, body).await;
        assert_eq!(reply.expect(200).unwrap().json["about"], about);
    }
}

#[tokio::test]
async fn of_two_changes_at_once_one_is_stale() {
    let house = House::new().await;
    let access = house.register("ayse").await.access;
    let headers = [("if-match", "\"1\"")];
    let replies = futures::future::join_all((0..10).map(|number| {
        let body = json!({"about": format!("change {number}")});
        house.call_with("PATCH", ME, &access, &headers, body)
    }))
    .await;
    let won = replies.iter().filter(|reply| reply.status == 200).count();
    let stale = replies.iter().filter(|reply| reply.status == 412).count();
    assert_eq!((won, stale), (1, 9));
}

#[tokio::test]
async fn bad_changes_are_refused() {
    let house = House::new().await;
    house.register("fatma").await;
    let access = house.register("ayse").await.access;
    let headers = [("if-match", "\"1\"")];
    for (body, pointer) in [
        (json!({"username": "Ayşe"}), "/username"),
        (json!({"display_name": " x"}), "/display_name"),
        (json!({"display_name": "\u{200b}"}), "/display_name"),
        (json!({"display_name": "a\u{202e}b"}), "/display_name"),
        (json!({"about": "x".repeat(501)}), "/about"),
        (json!({"about": "a\u{0}b"}), "/about"),
        (json!({"locale": "xx"}), "/locale"),
        (json!({"email": "a@b.co"}), "/email"),
    ] {
        let reply = house
            .call_with("PATCH", ME, &access, &headers, body.clone())
            .await;
        assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"), "{body}");
        assert!(names_field(&reply, pointer), "{body}: {}", reply.json);
    }
    let taken = house
        .call_with("PATCH", ME, &access, &headers, json!({"username": "fatma"}))
        .await;
    assert_eq!(refusal(&taken), (409, "USERNAME_TAKEN"));
    let nobody = house.call_with("PATCH", ME, "", &headers, json!({})).await;
    assert_eq!(refusal(&nobody), (401, "UNAUTHENTICATED"));
    let at_limit = json!({"about": "x".repeat(500)});
    house
        .call_with("PATCH", ME, &access, &headers, at_limit)
        .await
        .expect(200)
        .unwrap();
}

#[tokio::test]
async fn cards_show_what_everybody_may_see() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let fatma = house.register("fatma").await;
    let reply = house
        .get(&format!("/v1/users/{}", fatma.user), &ayse.access)
        .await;
    insta::assert_json_snapshot!(masked(reply.expect(200).unwrap().json), @r#"
    {
      "about": null,
      "display_name": "FATMA",
      "id": "[id]",
      "profile_picture_url": null,
      "username": "fatma"
    }
    "#);
    let path = format!("/v1/users?ids={},{},7", fatma.user, ayse.user);
    let reply = house.get(&path, &ayse.access).await.expect(200).unwrap();
    let names: Vec<&Value> = reply.json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["username"])
        .collect();
    assert_eq!(names, ["fatma", "ayse"]);
    assert_eq!(
        refusal(&house.get("/v1/users/7", &ayse.access).await),
        (404, "NOT_FOUND")
    );
    house
        .script("UPDATE identity.users SET state = 'erased' WHERE username = 'fatma'")
        .await;
    let erased = house
        .get(&format!("/v1/users/{}", fatma.user), &ayse.access)
        .await;
    assert_eq!(refusal(&erased), (404, "NOT_FOUND"));
    for path in ["/v1/users/7", "/v1/users?ids=7"] {
        assert_eq!(
            refusal(&house.get(path, "").await),
            (401, "UNAUTHENTICATED")
        );
    }
}

#[tokio::test]
async fn a_hundred_cards_are_given_and_a_hundred_and_one_are_not() {
    let house = House::new().await;
    let access = house.register("ayse").await.access;
    let path = |count: usize| {
        let ids: Vec<String> = (1..=count).map(|id| id.to_string()).collect();
        format!("/v1/users?ids={}", ids.join(","))
    };
    house.get(&path(100), &access).await.expect(200).unwrap();
    let bad = [
        path(101),
        "/v1/users?ids=x".into(),
        "/v1/users?ids=".into(),
        "/v1/users".into(),
        "/v1/users/x".into(),
    ];
    for path in bad {
        let reply = house.get(&path, &access).await;
        assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"), "{path}");
    }
}
