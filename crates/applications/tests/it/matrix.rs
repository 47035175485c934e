//! Every route × {nobody, somebody else}: who may not, and how it is said.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::fixture::{COMMUNITY, NONE, OTHER, OWNER, World};

/// Method, template, body, answer to another user.
const ROWS: &str = "
POST   /applications                                     named  201
GET    /applications                                     -      200
GET    /applications/{application_id}                    -      404/10002
PATCH  /applications/{application_id}                    named  404/10002
DELETE /applications/{application_id}                    -      404/10002
POST   /applications/{application_id}/bot/reset-token    -      404/10002
GET    /applications/@me                                 -      403/20002
GET    /oauth2/applications/@me                          -      403/20002
GET    /applications/{application_id}/installs/{guild_id} -     403/50013
PUT    /applications/{application_id}/installs/{guild_id} empty 403/50013
DELETE /applications/{application_id}/installs/{guild_id} -     403/50013
POST   /applications/{application_id}/subscriptions subscribed 404/10002
GET    /applications/{application_id}/subscriptions - 404/10002
GET    /applications/{application_id}/subscriptions/{subscription_id} - 404/10002
PATCH  /applications/{application_id}/subscriptions/{subscription_id} empty 404/10002
DELETE /applications/{application_id}/subscriptions/{subscription_id} - 404/10002
POST   /applications/{application_id}/subscriptions/{subscription_id}/rotate-secret - 404/10002
POST   /applications/{application_id}/subscriptions/{subscription_id}/test - 404/10002
GET    /applications/{application_id}/subscriptions/{subscription_id}/deliveries - 404/10002
GET    /applications/{application_id}/deliveries/{delivery_id} - 404/10002
POST   /applications/{application_id}/deliveries/{delivery_id}/replay - 404/10002
POST   /guilds/{guild_id}/subscriptions subscribed 403/50013
GET    /guilds/{guild_id}/subscriptions - 403/50013
GET    /guilds/{guild_id}/subscriptions/{subscription_id} - 403/50013
PATCH  /guilds/{guild_id}/subscriptions/{subscription_id} empty 403/50013
DELETE /guilds/{guild_id}/subscriptions/{subscription_id} - 403/50013
POST   /guilds/{guild_id}/subscriptions/{subscription_id}/rotate-secret - 403/50013
POST   /guilds/{guild_id}/subscriptions/{subscription_id}/test - 403/50013
GET    /guilds/{guild_id}/subscriptions/{subscription_id}/deliveries - 403/50013
GET    /guilds/{guild_id}/deliveries/{delivery_id} - 403/50013
POST   /guilds/{guild_id}/deliveries/{delivery_id}/replay - 403/50013
POST   /channels/{channel_id}/webhooks                   named  403/50013
GET    /channels/{channel_id}/webhooks                   -      403/50013
GET    /guilds/{guild_id}/webhooks                       -      403/50013
GET    /webhooks/{webhook_id}                            -      403/50013
PATCH  /webhooks/{webhook_id}                            named  403/50013
DELETE /webhooks/{webhook_id}                            -      403/50013
GET    /webhooks/{webhook_id}/{token}                    -      404/10015
PATCH  /webhooks/{webhook_id}/{token}                    named  404/10015
DELETE /webhooks/{webhook_id}/{token}                    -      404/10015
POST   /webhooks/{webhook_id}/{token}                    said   404/10015
POST   /webhooks/{webhook_id}/{token}/slack              said   404/10015
POST   /webhooks/{webhook_id}/{token}/github             said   400/50035
GET    /webhooks/{webhook_id}/{token}/messages/{message_id} -   404/10015
PATCH  /webhooks/{webhook_id}/{token}/messages/{message_id} said 404/10015
DELETE /webhooks/{webhook_id}/{token}/messages/{message_id} -   404/10015
";

fn body(name: &str) -> Value {
    match name {
        "-" => NONE,
        "empty" => json!({}),
        "named" => json!({"name": "Name"}),
        "subscribed" => json!({"url": "https://hooks.example/", "events": ["role.created"]}),
        "said" => json!({"content": "Text"}),
        other => panic!("no body {other}"),
    }
}

#[tokio::test]
async fn s2_every_route_refuses_whom_it_must() {
    let world = World::new().await;
    let (id, _) = world.application().await;
    let channel = kernel::ChannelId::new(5_001);
    world.communities.add_channel(COMMUNITY, channel, "general");
    let webhook = world.webhook(channel).await.id;
    let open = |method: &str, path: &str| {
        let table = applications::table(world.app.clone());
        let is_it = |one: &&web_kit::Operation| one.method == method && one.path == path;
        let found = table.operations().iter().find(is_it).map(|one| one.policy);
        found == Some(web_kit::Policy::Public)
    };
    let mut seen: HashSet<(String, String)> = HashSet::new();
    for line in ROWS.lines().filter(|line| !line.is_empty()) {
        let row: Vec<&str> = line.split_whitespace().collect();
        let &[method, template, name, expected] = row.as_slice() else {
            panic!("{line}");
        };
        let path = template
            .replace("{application_id}", &id.to_string())
            .replace("{guild_id}", &COMMUNITY.to_string())
            .replace("{channel_id}", &channel.to_string())
            .replace("{webhook_id}", &webhook.to_string())
            .replace("{token}", "guessed")
            .replace("{message_id}", "1")
            .replace("{subscription_id}", "1")
            .replace("{delivery_id}", "1");
        // Where a token is all that is asked for, nobody fares as somebody else.
        if !open(method, &format!("/api/v10{template}")) {
            world.fails((), method, &path, body(name), (401, 0)).await;
        }
        let reply = world.call(OTHER, method, &path, body(name)).await;
        let told = match reply.json["code"].as_u64() {
            Some(number) => format!("{}/{number}", reply.status.as_u16()),
            None => reply.status.as_str().to_owned(),
        };
        assert_eq!(told, expected, "{line}: {:?}", reply.json);
        seen.insert((method.to_owned(), format!("/api/v10{template}")));
    }
    world
        .ok(OWNER, "GET", &format!("/applications/{id}"), NONE, 200)
        .await;
    let table = applications::table(world.app.clone());
    for operation in table.operations() {
        let row = (operation.method.to_string(), operation.path.to_owned());
        assert!(seen.remove(&row), "{row:?} has no row here");
    }
    assert!(seen.is_empty(), "no such routes: {seen:?}");
}
