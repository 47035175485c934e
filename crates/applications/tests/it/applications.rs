use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use kernel::{Caller, UserId};
use serde_json::json;

use crate::fixture::{NONE, OTHER, OWNER, World, masked};

#[tokio::test]
async fn an_application_comes_with_a_bot_and_a_token() {
    let world = World::new().await;
    let body = json!({"name": " Helper ", "description": "helps", "flags": 7});
    let made = world.ok(OWNER, "POST", "/applications", body, 201).await;
    insta::assert_json_snapshot!(masked(&made), @r#"
    {
      "approximate_guild_count": 0,
      "bot": {
        "avatar": null,
        "bot": true,
        "discriminator": "0",
        "global_name": "Helper",
        "id": "[id]",
        "public_flags": 0,
        "username": "bot_1"
      },
      "bot_public": true,
      "bot_require_code_grant": false,
      "description": "helps",
      "flags": 557056,
      "icon": null,
      "id": "[id]",
      "intents": 32770,
      "name": "Helper",
      "owner": {
        "avatar": null,
        "bot": false,
        "discriminator": "0",
        "global_name": "owner",
        "id": "1001",
        "public_flags": 0,
        "username": "owner"
      },
      "team": null,
      "token": "[token]",
      "verify_key": "[key]"
    }
    "#);
    assert_eq!(made["id"], made["bot"]["id"]);
    assert_eq!(world.events().await, ["application_created"]);
    let path = format!("/applications/{}", made["id"].as_str().unwrap());
    let mut read = world.ok(OWNER, "GET", &path, NONE, 200).await;
    assert_eq!(read.get("token"), None, "shown once");
    read["token"] = made["token"].clone();
    assert_eq!(read, made);
    let list = world.ok(OWNER, "GET", "/applications", NONE, 200).await;
    assert_eq!(
        (list.as_array().unwrap().len(), &list[0]["id"]),
        (1, &made["id"])
    );
    assert_eq!(
        world.ok(OTHER, "GET", "/applications", NONE, 200).await,
        json!([])
    );
}

#[tokio::test]
async fn nobody_owns_more_than_allowed_also_at_once() {
    let world = World::with(3).await;
    let caller = testkit::http::caller(OWNER);
    let all = (0..8).map(|i| {
        let new = serde_json::from_value(json!({"name": format!("a{i}")})).unwrap();
        world.app.create_application(&caller, new)
    });
    let made = futures::future::join_all(all).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 3);
    // Whoever comes when the others are done is refused before an account is made.
    let accounts = world.identity.bots_made();
    assert_eq!(
        world.identity.retired().len(),
        accounts - 3,
        "accounts made in vain are disabled"
    );
    world
        .fails(
            OWNER,
            "POST",
            "/applications",
            json!({"name": "x"}),
            (400, 30018),
        )
        .await;
    assert_eq!(
        world.identity.bots_made(),
        accounts,
        "a full owner makes no account"
    );
    let list = world.ok(OWNER, "GET", "/applications", NONE, 200).await;
    let path = format!("/applications/{}", list[0]["id"].as_str().unwrap());
    world.ok(OWNER, "DELETE", &path, NONE, 204).await;
    world
        .ok(OWNER, "POST", "/applications", json!({"name": "x"}), 201)
        .await;
}

#[tokio::test]
async fn names_are_bounded_and_nothing_is_made_of_bad_ones() {
    let world = World::new().await;
    for bad in [
        json!({}),
        json!({"name": " "}),
        json!({"name": "x".repeat(33)}),
    ] {
        world
            .fails(OWNER, "POST", "/applications", bad, (400, 50035))
            .await;
    }
    let long = json!({"name": "x", "description": "d".repeat(401)});
    world
        .fails(OWNER, "POST", "/applications", long, (400, 50035))
        .await;
    world.identity.leave();
    let reply = world
        .call(OWNER, "POST", "/applications", json!({"name": "x"}))
        .await;
    assert_eq!(reply.status, 503);
    assert!(reply.header("retry-after").is_some());
    world.identity.come_back();
    assert_eq!(
        world.ok(OWNER, "GET", "/applications", NONE, 200).await,
        json!([])
    );
}

#[tokio::test]
async fn the_owner_changes_names_and_switches_intents() {
    let world = World::new().await;
    let (id, _) = world.application().await;
    let path = format!("/applications/{id}");
    let change = |body| world.ok(OWNER, "PATCH", &path, body, 200);
    let after = change(json!({"name": "Other", "bot_public": false})).await;
    assert_eq!(
        (after["name"].as_str(), after["bot_public"].as_bool()),
        (Some("Other"), Some(false))
    );
    let after = change(json!({"intents": (1_u64 << 8) | (1 << 42)})).await;
    assert_eq!(
        (after["intents"].as_u64(), after["flags"].as_u64()),
        (Some(1 << 8), Some(1 << 13))
    );
    let after = change(json!({"flags": (1 << 15) | (1 << 19)})).await;
    assert_eq!(after["intents"].as_u64(), Some((1 << 1) | (1 << 15)));
    let after = change(json!({"flags": 0})).await;
    assert_eq!(after["intents"].as_u64(), Some(0));
    assert_eq!(world.events().await.len(), 5);
    change(json!({"flags": 0})).await;
    assert_eq!(
        world.events().await.len(),
        5,
        "nothing changed, nothing is told"
    );
    world
        .fails(OWNER, "PATCH", &path, json!({"name": ""}), (400, 50035))
        .await;
}

#[tokio::test]
async fn a_bot_reads_its_application_under_both_paths() {
    let world = World::new().await;
    let (id, _) = world.application().await;
    let bot: UserId = id.cast();
    for path in ["/applications/@me", "/oauth2/applications/@me"] {
        let reply = world.call(&Caller::bot(bot), "GET", path, NONE).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json["id"]),
            (200, &json!(id))
        );
        world.fails(OWNER, "GET", path, NONE, (403, 20002)).await;
        world
            .fails(
                &Caller::bot(UserId::new(5)),
                "GET",
                path,
                NONE,
                (404, 10002),
            )
            .await;
    }
}

#[tokio::test]
async fn the_verify_key_fits_what_the_application_signs() {
    let world = World::new().await;
    let (id, _) = world.application().await;
    let read = world
        .ok(OWNER, "GET", &format!("/applications/{id}"), NONE, 200)
        .await;
    let hex = read["verify_key"].as_str().unwrap();
    let digits: Vec<u8> = hex
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap())
        .collect();
    let key: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair[0] * 16 + pair[1])
        .collect();
    let signature = world.app.sign(id, b"1732086000{}").await.unwrap();
    let key = UnparsedPublicKey::new(&ED25519, &key);
    assert!(key.verify(b"1732086000{}", &signature).is_ok());
    let unknown = world.app.sign(kernel::ApplicationId::new(5), b"x").await;
    assert!(matches!(
        unknown,
        Err(applications::Error::UnknownApplication)
    ));
}
