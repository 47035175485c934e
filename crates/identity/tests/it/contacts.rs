//! Address books, and finding people by their numbers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{House, Session, masked, names_field, refusal};

const CONTACTS: &str = "/v1/users/@me/contacts";
const MATCHES: &str = "/v1/users/@me/contacts/matches";

/// Gives somebody a number, as a login by phone would, and makes it findable.
async fn number(house: &House, session: &Session, number: &str) {
    house.wait(1);
    let (user, now) = (&session.user, kernel::Clock::now(&*house.clock));
    house
        .script(&format!(
            "UPDATE identity.users SET phone_number = '{number}', updated_at = '{now}'
              WHERE id = {user}"
        ))
        .await;
    house.identity.keep_phone_keys().await.unwrap();
}

async fn set(house: &House, session: &Session, change: Value) {
    let path = "/v1/users/@me/privacy";
    let reply = house.call("PATCH", path, &session.access, change).await;
    reply.expect(200).unwrap();
}

async fn add(house: &House, session: &Session, body: Value) -> testkit::http::Reply {
    house.call("POST", CONTACTS, &session.access, body).await
}

async fn matched(house: &House, session: &Session, numbers: &[&str]) -> Vec<String> {
    let body = json!({"phone_numbers": numbers});
    let reply = house.call("POST", MATCHES, &session.access, body).await;
    let reply = reply.expect(200).unwrap();
    let matches = reply.json["matches"].as_array().unwrap();
    matches
        .iter()
        .map(|found| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            format!(
                "{}={}",
                text(&found["phone_number"]),
                text(&found["user"]["username"])
            )
        })
        .collect()
}

#[tokio::test]
async fn a_contact_is_kept_under_an_own_name_renamed_and_removed() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let fatma = house.register("fatma").await;
    let reply = add(
        &house,
        &ayse,
        json!({"username": "Fatma", "name": "Fatma Abla"}),
    )
    .await;
    insta::assert_json_snapshot!(masked(reply.expect(201).unwrap().json), @r#"
    {
      "name": "Fatma Abla",
      "since": "[time]",
      "user": {
        "about": null,
        "display_name": "FATMA",
        "id": "[id]",
        "profile_picture_url": null,
        "username": "fatma"
      }
    }
    "#);
    let again = add(
        &house,
        &ayse,
        json!({"user_id": fatma.user, "name": "Fatma"}),
    )
    .await;
    assert_eq!(again.expect(201).unwrap().json["name"], "Fatma");
    let list = house.get(CONTACTS, &ayse.access).await.expect(200).unwrap();
    assert_eq!(list.json["items"].as_array().unwrap().len(), 1);
    assert_eq!(list.json["items"][0]["name"], "Fatma");
    let theirs = house
        .get(CONTACTS, &fatma.access)
        .await
        .expect(200)
        .unwrap();
    assert_eq!(
        theirs.json["items"],
        json!([]),
        "an address book is one's own"
    );
    let path = format!("{CONTACTS}/{}", fatma.user);
    for _ in 0..2 {
        let gone = house.call("DELETE", &path, &ayse.access, Value::Null).await;
        gone.expect(204).unwrap();
    }
    let list = house.get(CONTACTS, &ayse.access).await.expect(200).unwrap();
    assert_eq!(list.json["items"], json!([]));
    let kinds: Vec<Value> = house
        .events("identity.relationship_changed.v1")
        .await
        .iter()
        .map(|event| event["kind"].clone())
        .collect();
    assert_eq!(kinds, ["contact", "contact", "no_contact"]);
}

#[tokio::test]
async fn whom_one_cannot_keep() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let fatma = house.register("fatma").await;
    house.register("gone").await;
    house
        .script("UPDATE identity.users SET state = 'disabled' WHERE username = 'gone'")
        .await;
    for body in [
        json!({"username": "nobody"}),
        json!({"username": "gone"}),
        json!({"username": "no such name"}),
        json!({"user_id": "7"}),
        json!({"phone_number": "+905321234567"}),
        json!({"phone_number": "no number"}),
        json!({"phone_number": "+1 900 555 0100"}),
    ] {
        let reply = add(&house, &ayse, body.clone()).await;
        assert_eq!(refusal(&reply), (404, "NOT_FOUND"), "{body}");
    }
    let me = add(&house, &ayse, json!({"username": "ayse"})).await;
    assert_eq!(refusal(&me), (400, "YOURSELF"));
    for body in [
        json!({}),
        json!({"username": "fatma", "user_id": fatma.user}),
        json!({"username": "fatma", "name": " x"}),
        json!({"username": "fatma", "name": "x".repeat(65)}),
    ] {
        let reply = add(&house, &ayse, body.clone()).await;
        assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"), "{body}");
    }
    for (method, path) in [
        ("GET", CONTACTS.to_owned()),
        ("POST", CONTACTS.to_owned()),
        ("POST", MATCHES.to_owned()),
        ("DELETE", format!("{CONTACTS}/{}", fatma.user)),
    ] {
        let reply = house.call(method, &path, "", json!({})).await;
        assert_eq!(refusal(&reply), (401, "UNAUTHENTICATED"), "{method} {path}");
    }
}

#[tokio::test]
async fn the_address_book_is_paged_and_bounded() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    house
        .script(&format!(
            "INSERT INTO identity.users (id, username, display_name)
             SELECT n, 'u' || n, 'U' FROM generate_series(1000, 11000) AS n;
             INSERT INTO identity.relationships (user_id, other_id, kind, contact_since)
             SELECT {}, n, 'contact', now() FROM generate_series(1000, 10998) AS n",
            ayse.user
        ))
        .await;
    let last = add(&house, &ayse, json!({"user_id": "10999"})).await;
    last.expect(201).unwrap();
    let full = add(&house, &ayse, json!({"user_id": "11000"})).await;
    assert_eq!(refusal(&full), (400, "RELATIONS_MAX"));
    let renamed = add(&house, &ayse, json!({"user_id": "10999", "name": "x"})).await;
    renamed.expect(201).unwrap();
    let mut path = format!("{CONTACTS}?limit=100");
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let page = house.get(&path, &ayse.access).await.expect(200).unwrap();
        for item in page.json["items"].as_array().unwrap() {
            assert!(seen.insert(item["user"]["id"].as_str().unwrap().to_owned()));
        }
        let cursor = page.json["next_cursor"].as_str().unwrap();
        path = format!("{CONTACTS}?limit=100&cursor={cursor}");
    }
    assert_eq!(seen.len(), 300);
    let wide = house
        .get(&format!("{CONTACTS}?limit=101"), &ayse.access)
        .await;
    assert!(names_field(&wide, "?limit"));
}

#[tokio::test]
async fn a_number_finds_only_who_wants_to_be_found() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let [open, shy, closed, blocked] = [
        ("open", "+905321234561", "everyone"),
        ("shy", "+905321234562", "contacts"),
        ("closed", "+905321234563", "nobody"),
        ("blocked", "+905321234564", "everyone"),
    ]
    .map(|(name, phone, whom)| {
        let house = &house;
        async move {
            let session = house.register(name).await;
            number(house, &session, phone).await;
            set(house, &session, json!({"find_by_phone": whom})).await;
            session
        }
    });
    let (_, shy, _, blocked) = (open.await, shy.await, closed.await, blocked.await);
    let block = format!("/v1/users/@me/blocks/{}", ayse.user);
    house
        .call("PUT", &block, &blocked.access, Value::Null)
        .await
        .expect(204)
        .unwrap();
    let all = [
        "+90 532 123 45 61",
        "+905321234562",
        "+905321234563",
        "+905321234564",
        "+905321234569",
        "no number",
    ];
    assert_eq!(
        matched(&house, &ayse, &all).await,
        ["+90 532 123 45 61=open"]
    );
    for phone in &all[1..5] {
        let reply = add(&house, &ayse, json!({"phone_number": phone})).await;
        assert_eq!(refusal(&reply), (404, "NOT_FOUND"), "{phone}");
    }
    // Who has my number, may be found by me.
    add(&house, &shy, json!({"username": "ayse"}))
        .await
        .expect(201)
        .unwrap();
    assert_eq!(
        matched(&house, &ayse, &all).await,
        ["+90 532 123 45 61=open", "+905321234562=shy"]
    );
    let body = json!({"phone_number": "+90 532 123 45 62", "name": "Utangaç"});
    let reply = add(&house, &ayse, body).await.expect(201).unwrap();
    assert_eq!(reply.json["user"]["username"], "shy");
    assert_eq!(
        matched(&house, &shy, &["+905321234562"]).await,
        Vec::<String>::new(),
        "one does not find oneself"
    );
}

#[tokio::test]
async fn a_key_that_lags_behind_finds_nobody_and_catches_up() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let fatma = house.register("fatma").await;
    number(&house, &fatma, "+905321234561").await;
    set(&house, &fatma, json!({"find_by_phone": "everyone"})).await;
    let (old, new) = (["+905321234561"], ["+905321234562"]);
    assert_eq!(matched(&house, &ayse, &old).await.len(), 1);
    house.wait(1);
    let now = kernel::Clock::now(&*house.clock);
    house
        .script(&format!(
            "UPDATE identity.users SET phone_number = '+905321234562', updated_at = '{now}'
              WHERE username = 'fatma'"
        ))
        .await;
    assert_eq!(matched(&house, &ayse, &old).await.len(), 0);
    assert_eq!(matched(&house, &ayse, &new).await.len(), 0);
    let status = house.identity.keep_phone_keys().await.unwrap();
    assert_eq!(status, "kept 1 keys, dropped 0");
    assert_eq!(matched(&house, &ayse, &old).await.len(), 0);
    assert_eq!(matched(&house, &ayse, &new).await.len(), 1);
    house
        .script("UPDATE identity.users SET phone_number = NULL WHERE username = 'fatma'")
        .await;
    assert_eq!(matched(&house, &ayse, &new).await.len(), 0);
    let status = house.identity.keep_phone_keys().await.unwrap();
    assert_eq!(status, "kept 0 keys, dropped 1");
}

#[tokio::test]
async fn numbers_are_budgeted_for_the_day_however_they_are_asked_for() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let numbers = |count: usize| {
        let all: Vec<String> = (0..count).map(|n| format!("+9053212{n:05}")).collect();
        json!({ "phone_numbers": all })
    };
    let ask = async |count: usize| {
        house
            .call("POST", MATCHES, &ayse.access, numbers(count))
            .await
    };
    let wide = ask(101).await;
    assert_eq!(refusal(&wide), (400, "INVALID_REQUEST"));
    assert!(names_field(&wide, "/phone_numbers"));
    ask(0).await.expect(200).unwrap();
    // Ten at once: five fit, whatever the order.
    let replies = futures::future::join_all((0..10).map(|_| ask(100))).await;
    let good = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(good, 5);
    let refused = replies.iter().find(|reply| reply.status != 200).unwrap();
    assert_eq!(refusal(refused), (429, "RATE_LIMITED"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&wait));
    let one = add(&house, &ayse, json!({"phone_number": "+905321234567"})).await;
    assert_eq!(refusal(&one), (429, "RATE_LIMITED"), "singly too");
    add(&house, &ayse, json!({"username": "nobody"}))
        .await
        .expect(404)
        .unwrap();
    house.wait(wait);
    let ayse = house.log_in("ayse").await;
    let next = house
        .call("POST", MATCHES, &ayse.access, numbers(100))
        .await;
    next.expect(200).unwrap();
    let kept = house
        .count("SELECT count(*) FROM identity.phone_lookups WHERE numbers = 100")
        .await;
    assert_eq!(kept, 1, "of the look-ups only their number is kept");
}

#[tokio::test]
async fn whoever_signs_up_by_phone_can_be_found_at_once() {
    let (house, post) = crate::otp::house().await;
    let ayse = house.register("ayse").await;
    let reply = house.log_in_by_phone(&post, "+905321234561").await;
    let cem = Session::of(&reply.expect(200).unwrap());
    set(&house, &cem, json!({"find_by_phone": "everyone"})).await;
    // As it is dialled inside the country, too.
    assert_eq!(matched(&house, &ayse, &["0532 123 45 61"]).await.len(), 1);
    assert_eq!(
        house.identity.keep_phone_keys().await.unwrap(),
        "kept 0 keys, dropped 0"
    );
}
