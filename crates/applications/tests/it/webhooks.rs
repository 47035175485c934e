//! Webhooks that programs write to: who makes, sees, changes and deletes them.

use applications::Bearer;
use db::Sql;
use infra::fanout::{Body, Fanout as _, Topic};
use kernel::perm::{Chat, Overwrite, Target};
use kernel::{ChannelId, WebhookId};
use serde_json::{Value, json};

use crate::fixture::{COMMUNITY, ELSEWHERE, NONE, OTHER, OWNER, World, masked};

pub(crate) const GENERAL: ChannelId = ChannelId::new(5_001);
pub(crate) const STAFF: ChannelId = ChannelId::new(5_002);
pub(crate) const ABROAD: ChannelId = ChannelId::new(5_003);

/// With two channels in COMMUNITY, of which only its owner sees one, and one elsewhere.
pub(crate) async fn world() -> World {
    let world = World::new().await;
    world.communities.add_channel(COMMUNITY, GENERAL, "general");
    world.communities.add_channel(COMMUNITY, STAFF, "staff");
    world.communities.add_channel(ELSEWHERE, ABROAD, "abroad");
    let hidden = Overwrite {
        target: Target::Role(COMMUNITY.cast()),
        allow: Chat::NONE.into(),
        deny: Chat::VIEW_CHANNEL.into(),
    };
    world
        .communities
        .set_overwrites(COMMUNITY, STAFF, vec![hidden]);
    world
}

pub(crate) fn by_token(bearer: &Bearer) -> String {
    format!("/webhooks/{}/{}", bearer.id, bearer.token)
}

/// The channels of which the community was told that their webhooks changed.
fn told(deliveries: &mut infra::fanout::Deliveries) -> Vec<ChannelId> {
    let mut told = Vec::new();
    while let Some(delivery) = deliveries.try_next() {
        let Body::Dispatch(dispatch) = &delivery.record.body else {
            panic!("{delivery:?}");
        };
        assert_eq!(
            (&*dispatch.name, dispatch.intent),
            ("WEBHOOKS_UPDATE", Some(5))
        );
        let data: Value = serde_json::from_slice(&dispatch.data).unwrap();
        assert_eq!(data["guild_id"], json!(COMMUNITY));
        assert_eq!(data["channel_id"], json!(delivery.record.channel));
        told.push(delivery.record.channel.unwrap());
    }
    told
}

#[tokio::test]
async fn a_webhook_is_made_read_changed_moved_and_deleted() {
    let world = world().await;
    let (follower, mut deliveries) = world.fanout.open(64);
    follower
        .follow(&[Topic::Community(COMMUNITY)])
        .await
        .unwrap();
    let list = format!("/channels/{GENERAL}/webhooks");
    let made = world
        .ok(OWNER, "POST", &list, json!({"name": " CI "}), 200)
        .await;
    let mut shown = masked(&made);
    shown["token"] = json!(made["token"].as_str().unwrap().len());
    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    let token = made["token"].as_str().unwrap();
    assert_eq!(
        made["url"],
        json!(format!("https://meydan.test/api/v10{path}/{token}"))
    );
    shown["url"] = json!("[url]");
    insta::assert_json_snapshot!(shown, @r#"
    {
      "application_id": null,
      "avatar": null,
      "channel_id": "5001",
      "guild_id": "2001",
      "id": "[id]",
      "name": "CI",
      "token": 64,
      "type": 1,
      "url": "[url]",
      "user": {
        "avatar": null,
        "bot": false,
        "discriminator": "0",
        "global_name": "owner",
        "id": "1001",
        "public_flags": 0,
        "username": "owner"
      }
    }
    "#);
    let of_guild = format!("/guilds/{COMMUNITY}/webhooks");
    for path in [&list, &of_guild] {
        assert_eq!(world.ok(OWNER, "GET", path, NONE, 200).await, json!([made]));
    }
    assert_eq!(world.ok(OWNER, "GET", &path, NONE, 200).await, made);
    let change = json!({"name": "Builds", "channel_id": STAFF});
    let changed = world.ok(OWNER, "PATCH", &path, change.clone(), 200).await;
    assert_eq!(
        (&changed["name"], &changed["channel_id"], &changed["token"]),
        (&json!("Builds"), &json!(STAFF), &made["token"])
    );
    world.ok(OWNER, "PATCH", &path, change, 200).await;
    world.ok(OWNER, "DELETE", &path, NONE, 204).await;
    world.fails(OWNER, "GET", &path, NONE, (404, 10015)).await;
    world
        .fails(OWNER, "DELETE", &path, NONE, (404, 10015))
        .await;
    assert_eq!(
        world.events().await,
        ["webhook_created", "webhook_updated", "webhook_deleted"]
    );
    assert_eq!(told(&mut deliveries), [GENERAL, GENERAL, STAFF, STAFF]);
}

#[tokio::test]
async fn the_community_hears_what_was_changed_and_why() {
    let world = world().await;
    let list = format!("/api/v10/channels/{GENERAL}/webhooks");
    let why = [("x-audit-log-reason", "builds%20for%20all")];
    let body = json!({"name": "CI"});
    let made = testkit::http::call_with(&world.router, "POST", &list, OWNER, &why, body).await;
    let id = made.unwrap().json["id"].clone();
    let path = format!("/webhooks/{}", id.as_str().unwrap());
    world
        .ok(OWNER, "PATCH", &path, json!({"name": "Builds"}), 200)
        .await;
    const DATA: Sql = Sql::new(
        "test.data",
        "SELECT data FROM applications.outbox ORDER BY id",
    );
    let told: Vec<Value> = DATA
        .scalars(&world.database.admin().unwrap())
        .await
        .unwrap();
    assert_eq!(told[0]["reason"], "builds for all");
    assert_eq!(
        (&told[0]["webhook_id"], &told[0]["community_id"]),
        (&id, &json!(COMMUNITY))
    );
    assert_eq!(
        told[0]["changes"][0],
        json!({"key": "name", "new_value": "CI"})
    );
    assert_eq!(
        told[1]["changes"],
        json!([{"key": "name", "old_value": "CI", "new_value": "Builds"}])
    );
}

#[tokio::test]
async fn the_right_to_manage_webhooks_decides_in_each_channel() {
    let world = world().await;
    let open = world.webhook(GENERAL).await.id;
    let hidden = world.webhook(STAFF).await.id;
    let of_guild = format!("/guilds/{COMMUNITY}/webhooks");
    let abroad = format!("/channels/{ABROAD}/webhooks");
    let staff = format!("/channels/{STAFF}/webhooks");
    let new = json!({"name": "CI"});
    world
        .fails(OTHER, "GET", &of_guild, NONE, (403, 50013))
        .await;
    world
        .fails(OTHER, "POST", &staff, new.clone(), (404, 10003))
        .await;
    let path = |id: WebhookId| format!("/webhooks/{id}");
    world
        .fails(OTHER, "GET", &path(open), NONE, (403, 50013))
        .await;
    world
        .fails(OTHER, "GET", &path(hidden), NONE, (404, 10015))
        .await;
    world.fails(OWNER, "POST", &abroad, new, (404, 10003)).await;
    world.give(OTHER, Chat::MANAGE_WEBHOOKS);
    let seen = world.ok(OTHER, "GET", &of_guild, NONE, 200).await;
    assert_eq!(seen.as_array().unwrap().len(), 1);
    assert_eq!(seen[0]["id"], json!(open));
    world
        .fails(
            OTHER,
            "PATCH",
            &path(open),
            json!({"channel_id": STAFF}),
            (404, 10003),
        )
        .await;
    // Its owner may everywhere, and yet a webhook stays in its community.
    let out = json!({"channel_id": ABROAD});
    world
        .fails(OTHER, "PATCH", &path(open), out, (404, 10003))
        .await;
    world.ok(OTHER, "DELETE", &path(open), NONE, 204).await;
    world
        .fails(OTHER, "DELETE", &path(hidden), NONE, (404, 10015))
        .await;
    let nobody = format!("/guilds/{ELSEWHERE}/webhooks");
    world.fails(OWNER, "GET", &nobody, NONE, (404, 10004)).await;
}

#[tokio::test]
async fn fifteen_in_a_channel_and_a_thousand_in_a_community() {
    let world = world().await;
    let list = format!("/channels/{GENERAL}/webhooks");
    for _ in 0..15 {
        world
            .ok(OWNER, "POST", &list, json!({"name": "CI"}), 200)
            .await;
    }
    let refused = (400, 30007);
    world
        .fails(OWNER, "POST", &list, json!({"name": "CI"}), refused)
        .await;
    let staff = format!("/channels/{STAFF}/webhooks");
    let other = world
        .ok(OWNER, "POST", &staff, json!({"name": "CI"}), 200)
        .await;
    let other = format!("/webhooks/{}", other["id"].as_str().unwrap());
    let moved = json!({"channel_id": GENERAL});
    world.fails(OWNER, "PATCH", &other, moved, refused).await;
    let fill = "INSERT INTO applications.webhooks
        (id, community_id, channel_id, creator_id, name, token_sha256, token_enc, token_kek, created_at)
        SELECT n, 2001, n, 1001, 'x', sha256('x'), '\\x00', 'k', now() FROM generate_series(1, 983) n";
    world.database.script(fill).await.unwrap();
    world
        .ok(
            OWNER,
            "POST",
            &staff,
            json!({"name": "the thousandth"}),
            200,
        )
        .await;
    world
        .fails(OWNER, "POST", &staff, json!({"name": "CI"}), refused)
        .await;
}

#[tokio::test]
async fn names_and_kinds_of_channels_are_checked() {
    let world = world().await;
    let list = format!("/channels/{GENERAL}/webhooks");
    for bad in [
        json!({"name": ""}),
        json!({"name": "x".repeat(81)}),
        json!({"name": "CI", "avatar": "data:image/png;base64,AA"}),
        json!({}),
    ] {
        world.fails(OWNER, "POST", &list, bad, (400, 50035)).await;
    }
    world
        .ok(
            OWNER,
            "POST",
            &list,
            json!({"name": "x".repeat(80), "avatar": null}),
            200,
        )
        .await;
    let category = world
        .communities
        .add_channel(COMMUNITY, ChannelId::new(5_009), "rooms");
    world
        .communities
        .put_channel(contracts::communities::Channel {
            kind: contracts::communities::channel_kind::CATEGORY,
            ..category
        });
    let path = "/channels/5009/webhooks";
    world
        .fails(OWNER, "POST", path, json!({"name": "CI"}), (400, 50024))
        .await;
}

#[tokio::test]
async fn a_token_is_all_that_is_asked_for_and_no_other_serves() {
    let world = world().await;
    let bearer = world.webhook(GENERAL).await;
    let other = world.webhook(GENERAL).await;
    let path = by_token(&bearer);
    let shown = world.call((), "GET", &path, NONE).await;
    assert_eq!(shown.json["token"], json!(bearer.token));
    assert!(
        shown.json.get("user").is_none(),
        "who made it is not the bearer's to know"
    );
    let renamed = world
        .call(
            (),
            "PATCH",
            &path,
            json!({"name": "Builds", "channel_id": STAFF}),
        )
        .await;
    assert_eq!(
        (&renamed.json["name"], &renamed.json["channel_id"]),
        (&json!("Builds"), &json!(GENERAL))
    );
    let mixed = format!("/webhooks/{}/{}", bearer.id, other.token);
    let unknown = format!("/webhooks/77/{}", bearer.token);
    let mut answers = Vec::new();
    for path in [mixed, unknown, format!("/webhooks/{}/x", bearer.id)] {
        for (method, body) in [
            ("GET", NONE),
            ("DELETE", NONE),
            ("POST", json!({"content": "x"})),
        ] {
            let answer = world.call((), method, &path, body).await;
            assert_eq!(answer.status, 404, "{method} {path}");
            answers.push(answer.json);
        }
    }
    assert!(
        answers.windows(2).all(|two| two[0] == two[1]),
        "{answers:?}"
    );
    const STORED: Sql = Sql::new(
        "test.stored",
        "SELECT count(*) FROM applications.webhooks w WHERE position($1 IN w::text) > 0",
    );
    let admin = world.database.admin().unwrap();
    let plain: i64 = STORED.bind(&bearer.token).scalar(&admin).await.unwrap();
    assert_eq!(plain, 0, "the token is not stored as it is");
    let gone = world.call((), "DELETE", &path, NONE).await;
    assert_eq!(gone.status, 204);
    assert_eq!(world.call((), "GET", &path, NONE).await.status, 404);
}

#[tokio::test]
async fn a_channel_takes_its_webhooks_along() {
    let world = world().await;
    let general = world.webhook(GENERAL).await;
    let staff = world.webhook(STAFF).await;
    let abroad = r"INSERT INTO applications.webhooks
        (id, community_id, channel_id, creator_id, name, token_sha256, token_enc, token_kek, created_at)
        VALUES (1, 2002, 5003, 1002, 'x', sha256('x'), '\x00', 'k', now())";
    world.database.script(abroad).await.unwrap();
    let data = json!({"community_id": COMMUNITY, "channel_id": GENERAL});
    world.hear("communities.channel_deleted.v1", data).await;
    assert_eq!(
        world
            .call((), "GET", &by_token(&general), NONE)
            .await
            .status,
        404
    );
    assert_eq!(
        world.call((), "GET", &by_token(&staff), NONE).await.status,
        200
    );
    world
        .hear(
            "communities.community_deleted.v1",
            json!({"community_id": COMMUNITY}),
        )
        .await;
    assert_eq!(
        world.call((), "GET", &by_token(&staff), NONE).await.status,
        404
    );
    const LEFT: Sql = Sql::new("test.left", "SELECT id FROM applications.webhooks");
    let left: Vec<WebhookId> = LEFT
        .scalars(&world.database.admin().unwrap())
        .await
        .unwrap();
    assert_eq!(left, [WebhookId::new(1)]);
}
