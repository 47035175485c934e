//! Who sees what of whom.

use contracts::Relations as _;
use contracts::relations::{Bond, Consent};
use kernel::UserId;
use serde_json::{Value, json};

use crate::harness::{House, Session, masked, names_field, refusal};

const PRIVACY: &str = "/v1/users/@me/privacy";

async fn set(house: &House, who: &Session, change: Value) -> Value {
    let reply = house.call("PATCH", PRIVACY, &who.access, change).await;
    reply.expect(200).unwrap().json
}

/// Whether the viewer sees the phone number and when the other was last seen.
async fn sees(house: &House, viewer: &Session, whom: &Session) -> (bool, bool) {
    let path = format!("/v1/users/{}", whom.user);
    let card = house.get(&path, &viewer.access).await.expect(200).unwrap();
    let listed = house
        .get(&format!("/v1/users?ids={}", whom.user), &viewer.access)
        .await;
    assert_eq!(listed.json["items"][0], card.json, "both show the same");
    let has = |name: &str| card.json.get(name).is_some();
    (has("phone_number"), has("last_seen_at"))
}

async fn befriend(house: &House, one: &Session, other: &Session) {
    for (from, to) in [(one, other), (other, one)] {
        let body = json!({"user_id": to.user});
        house
            .call("POST", "/v1/users/@me/friends", &from.access, body)
            .await
            .expect(204)
            .unwrap();
    }
}

#[tokio::test]
async fn switches_are_read_and_changed_one_by_one() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let first = house.get(PRIVACY, &ayse.access).await.expect(200).unwrap();
    insta::assert_json_snapshot!(masked(first.json.clone()), @r#"
    {
      "find_by_phone": "contacts",
      "last_seen": "contacts",
      "phone": "contacts",
      "presence": "everyone",
      "receipts": "everyone",
      "who_may_write": "everyone"
    }
    "#);
    let mut expected = first.json;
    assert_eq!(set(&house, &ayse, json!({})).await, expected);
    for (name, word) in [
        ("who_may_write", "contacts"),
        ("find_by_phone", "nobody"),
        ("last_seen", "everyone"),
        ("receipts", "nobody"),
        ("presence", "contacts"),
        ("phone", "nobody"),
    ] {
        expected[name] = json!(word);
        assert_eq!(set(&house, &ayse, json!({ name: word })).await, expected);
        let read = house.get(PRIVACY, &ayse.access).await;
        assert_eq!(read.json, expected);
    }
    for (body, pointer) in [
        (json!({"phone": "friends"}), "/phone"),
        (json!({"colour": "everyone"}), "/colour"),
    ] {
        let reply = house.call("PATCH", PRIVACY, &ayse.access, body).await;
        assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"));
        assert!(names_field(&reply, pointer), "{}", reply.json);
    }
    for method in ["GET", "PATCH"] {
        let reply = house.call(method, PRIVACY, "", json!({})).await;
        assert_eq!(refusal(&reply), (401, "UNAUTHENTICATED"));
    }
}

#[tokio::test]
async fn number_and_last_seen_are_shown_to_whom_their_owner_knows() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let bora = house.register("bora").await;
    house
        .script(
            "UPDATE identity.users SET phone_number = '+9053212345' || length(username) || '1'
                  WHERE username = 'ayse'",
        )
        .await;
    assert_eq!(
        sees(&house, &bora, &ayse).await,
        (false, false),
        "strangers"
    );
    assert_eq!(sees(&house, &ayse, &ayse).await, (true, true), "oneself");
    befriend(&house, &ayse, &bora).await;
    assert_eq!(sees(&house, &bora, &ayse).await, (true, true), "friends");
    let path = format!("/v1/users/{}", ayse.user);
    let card = house.get(&path, &bora.access).await.json;
    let seen: jiff::Timestamp = card["last_seen_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(seen.as_second() % 60, 0, "to the minute");
    set(&house, &ayse, json!({"phone": "nobody"})).await;
    assert_eq!(sees(&house, &bora, &ayse).await, (false, true));
    set(
        &house,
        &ayse,
        json!({"phone": "everyone", "last_seen": "nobody"}),
    )
    .await;
    assert_eq!(sees(&house, &bora, &ayse).await, (true, false));
    assert_eq!(
        sees(&house, &ayse, &bora).await,
        (false, false),
        "who hides theirs does not see others"
    );
    set(&house, &ayse, json!({"last_seen": "everyone"})).await;
    assert_eq!(sees(&house, &ayse, &bora).await, (false, true));
}

#[tokio::test]
async fn a_block_hides_everything_both_ways() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let bora = house.register("bora").await;
    house
        .script(
            "UPDATE identity.users SET phone_number = '+90532123450' || length(username)
                  WHERE username = 'ayse'",
        )
        .await;
    let open = json!({"phone": "everyone", "last_seen": "everyone", "presence": "everyone"});
    set(&house, &ayse, open.clone()).await;
    set(&house, &bora, open).await;
    assert_eq!(sees(&house, &bora, &ayse).await, (true, true));
    let path = format!("/v1/users/@me/blocks/{}", bora.user);
    house
        .call("PUT", &path, &ayse.access, Value::Null)
        .await
        .expect(204)
        .unwrap();
    for (viewer, whom) in [(&bora, &ayse), (&ayse, &bora)] {
        assert_eq!(sees(&house, viewer, whom).await, (false, false));
        let ids = [whom.user.parse().unwrap()];
        let viewer = viewer.user.parse().unwrap();
        let seen = house.identity.visible(viewer, &ids).await.unwrap();
        let flags = [
            seen[0].phone,
            seen[0].last_seen,
            seen[0].presence,
            seen[0].receipts,
        ];
        assert_eq!(flags, [false; 4]);
    }
}

#[tokio::test]
async fn whom_nobody_knows_nobody_sees() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let ids = [UserId::new(7), ayse.user.parse().unwrap()];
    let seen = house.identity.visible(ids[1], &ids).await.unwrap();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].phone && seen[0].receipts);
}

fn id(session: &Session) -> UserId {
    session.user.parse().unwrap()
}

#[tokio::test]
async fn other_contexts_ask_who_knows_whom() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let [bora, cem, dora] = [
        house.register("bora").await,
        house.register("cem").await,
        house.register("dora").await,
    ];
    befriend(&house, &ayse, &bora).await;
    let block = format!("/v1/users/@me/blocks/{}", ayse.user);
    house
        .call("PUT", &block, &cem.access, Value::Null)
        .await
        .expect(204)
        .unwrap();
    let book = json!({"user_id": dora.user});
    house
        .call("POST", "/v1/users/@me/contacts", &ayse.access, book)
        .await
        .expect(201)
        .unwrap();
    let identity = &house.identity;
    let circle = identity.circle(id(&ayse)).await.unwrap();
    assert_eq!(circle.friends, [id(&bora)]);
    assert_eq!(circle.contacts, [id(&dora)]);
    assert_eq!(circle.severed, [id(&cem)]);
    let others = [id(&bora), id(&cem), id(&dora), UserId::new(7)];
    let between = identity.between(id(&ayse), &others).await.unwrap();
    let mut seen: Vec<_> = between
        .iter()
        .map(|to| (to.other, to.bond, to.is_contact, to.is_blocked_by))
        .collect();
    seen.sort_by_key(|row| row.0);
    assert_eq!(
        seen,
        [
            (id(&bora), Some(Bond::Friend), false, false),
            (id(&cem), None, false, true),
            (id(&dora), None, true, false),
        ]
    );
    for (from, to, consent) in [
        (&ayse, &bora, Consent::Known),
        (&ayse, &cem, Consent::Refused),
        (&cem, &ayse, Consent::Refused),
        (&dora, &ayse, Consent::Known),
        (&ayse, &dora, Consent::Stranger),
    ] {
        assert_eq!(identity.may_write(id(from), id(to)).await.unwrap(), consent);
    }
    let nobody = identity.may_write(id(&ayse), UserId::new(7)).await.unwrap();
    assert_eq!(nobody, Consent::Refused);
    let many: Vec<UserId> = (1..=501).map(UserId::new).collect();
    assert!(identity.between(id(&ayse), &many).await.is_err());
    assert!(identity.visible(id(&ayse), &many).await.is_err());
    assert_eq!(identity.between(id(&ayse), &many[..500]).await.unwrap(), []);
}
