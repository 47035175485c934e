//! Every route × {nobody, stranger, member without rights}: who may not, and how it is said.

use std::collections::HashSet;

use contracts::Moderation as _;
use contracts::moderation::NewReport;
use kernel::MessageId;
use serde_json::{Value, json};

use crate::fixture::{INVALID, MEMBER, NONE, OWNER, STRANGER, World};

/// Method, template, body, answer to a stranger, answer to a member without rights. `own` is the
/// caller's own business, for which no rights are asked; members are told in other tests.
const ROWS: &str = "
POST   /guilds                                              named  201        own
GET    /guilds/{guild_id}                                   -      404/10004  200
PATCH  /guilds/{guild_id}                                   named  404/10004  403
DELETE /guilds/{guild_id}                                   -      404/10004  403
PUT    /guilds/{guild_id}/owner                             owner  404/10004  403
GET    /users/@me/guilds                                    -      200        own
GET    /guilds/{guild_id}/channels                          -      404/10004  200
POST   /guilds/{guild_id}/channels                          named  404/10004  403
GET    /channels/{channel_id}                               -      404/10003  200
PATCH  /channels/{channel_id}                               named  404/10003  403
DELETE /channels/{channel_id}                               -      404/10003  403
PUT    /channels/{channel_id}/permissions/{target_id}       named  404/10003  403
DELETE /channels/{channel_id}/permissions/{target_id}       -      404/10003  403
GET    /guilds/{guild_id}/roles                             -      404/10004  200
GET    /guilds/{guild_id}/roles/member-counts               -      404/10004  200
POST   /guilds/{guild_id}/roles                             named  404/10004  403
PATCH  /guilds/{guild_id}/roles                             moves  404/10004  403
PATCH  /guilds/{guild_id}/roles/{role_id}                   named  404/10004  403
DELETE /guilds/{guild_id}/roles/{role_id}                   -      404/10004  403
GET    /guilds/{guild_id}/members                           -      404/10004  200
GET    /guilds/{guild_id}/members/search?query=o            -      404/10004  200
GET    /guilds/{guild_id}/members/@me                       -      404/10004  200
GET    /guilds/{guild_id}/members/{user_id}                 -      404/10004  200
PATCH  /guilds/{guild_id}/members/@me                       nick   404/10004  403
PATCH  /guilds/{guild_id}/members/{user_id}                 nick   404/10004  403
DELETE /guilds/{guild_id}/members/{user_id}                 -      404/10004  403
PUT    /guilds/{guild_id}/members/{user_id}/roles/{role_id} -      404/10004  403
DELETE /guilds/{guild_id}/members/{user_id}/roles/{role_id} -      404/10004  403
GET    /guilds/{guild_id}/bans                              -      404/10004  403
GET    /guilds/{guild_id}/bans/{user_id}                    -      404/10004  403
PUT    /guilds/{guild_id}/bans/{user_id}                    -      404/10004  403
DELETE /guilds/{guild_id}/bans/{user_id}                    -      404/10004  403
GET    /guilds/{guild_id}/auto-moderation/rules              -      404/10004  403
POST   /guilds/{guild_id}/auto-moderation/rules              rule   404/10004  403
GET    /guilds/{guild_id}/auto-moderation/rules/{rule_id}    -      404/10004  403
PATCH  /guilds/{guild_id}/auto-moderation/rules/{rule_id}    named  404/10004  403
DELETE /guilds/{guild_id}/auto-moderation/rules/{rule_id}    -      404/10004  403
GET    /guilds/{guild_id}/reports                           -      404/10004  403
GET    /guilds/{guild_id}/reports/{report_id}               -      404/10004  403
PATCH  /guilds/{guild_id}/reports/{report_id}               state  404/10004  403
POST   /guilds/{guild_id}/reports/{report_id}/appeal        text   404/10901  own
GET    /guilds/{guild_id}/incident-actions                  -      404/10004  403
PUT    /guilds/{guild_id}/incident-actions                  empty  404/10004  403
GET    /guilds/{guild_id}/statistics                        -      404/10004  403
POST   /guilds/{guild_id}/bulk-ban                          users  404/10004  403
GET    /guilds/{guild_id}/prune                             -      404/10004  403
POST   /guilds/{guild_id}/prune                             -      404/10004  403
POST   /channels/{channel_id}/invites                       empty  404/10003  403
GET    /channels/{channel_id}/invites                       -      404/10003  403
GET    /discoverable-guilds                                 -      200        200
GET    /guilds/{guild_id}/preview                           -      404/10004  200
PUT    /guilds/{guild_id}/members/@me                       -      404/10004  200
GET    /guilds/{guild_id}/emojis                            -      404/10004  200
POST   /guilds/{guild_id}/emojis                            emoji  404/10004  403
GET    /guilds/{guild_id}/emojis/{emoji_id}                 -      404/10004  200
PATCH  /guilds/{guild_id}/emojis/{emoji_id}                 empty  404/10004  403
DELETE /guilds/{guild_id}/emojis/{emoji_id}                 -      404/10004  403
GET    /guilds/templates/{template}                         -      200        200
POST   /guilds/templates/{template}                         named  201        own
GET    /guilds/{guild_id}/templates                         -      404/10004  403
POST   /guilds/{guild_id}/templates                         named  404/10004  403
PUT    /guilds/{guild_id}/templates/{template}              -      404/10004  403
PATCH  /guilds/{guild_id}/templates/{template}              named  404/10004  403
DELETE /guilds/{guild_id}/templates/{template}              -      404/10004  403
GET    /guilds/{guild_id}/invites                           -      404/10004  403
GET    /guilds/{guild_id}/audit-logs                        -      404/10004  403
DELETE /invites/{code}                                      -      404/10006  403
POST   /invites/{code}                                      -      200        own
DELETE /users/@me/guilds/{guild_id}                         -      204        own
";

/// Open to everybody, tested with invites and emoji.
const OPEN: [(&str, &str); 2] = [
    ("GET", "/api/v10/invites/{code}"),
    ("GET", "/emojis/{file}"),
];

/// A PNG's first bytes.
const IMAGE: &str = "data:image/png;base64,iVBORw0KGgo=";

/// A community in which everyone may see and nothing else.
struct Scene {
    world: World,
    ids: Vec<(&'static str, String)>,
}

impl Scene {
    async fn new() -> Scene {
        let world = World::new().await;
        let community = world.community().await;
        world.join(community, MEMBER).await;
        let channel = world.first_channel(community).await;
        let role = world.role(community, 0, 3, &[]).await;
        let everyone = format!("/guilds/{community}/roles/{community}");
        world
            .patch(OWNER, &everyone, json!({"permissions": "1024"}))
            .await;
        let invites = format!("/channels/{channel}/invites");
        let invite = world.post(OWNER, &invites, json!({})).await;
        let emojis = format!("/guilds/{community}/emojis");
        let emoji = world
            .make(OWNER, &emojis, json!({"name": "cay", "image": IMAGE}))
            .await;
        let templates = format!("/guilds/{community}/templates");
        let shape = world.post(OWNER, &templates, json!({"name": "x"})).await;
        let rules = format!("/guilds/{community}/auto-moderation/rules");
        let body = json!({"name": "x", "trigger_type": 3, "actions": [{"type": 1}]});
        let rule = world.post(OWNER, &rules, body).await;
        let complaint = NewReport {
            reporter: MEMBER,
            channel,
            message: MessageId::new(5),
            author: OWNER,
            reason: "spam".to_owned(),
        };
        let report = world.app.report(complaint).await.unwrap();
        let ids = vec![
            ("{guild_id}", community.to_string()),
            ("{channel_id}", channel.to_string()),
            ("{role_id}", role.to_string()),
            ("{target_id}", role.to_string()),
            ("{user_id}", OWNER.to_string()),
            ("{emoji_id}", emoji["id"].as_str().unwrap().to_owned()),
            ("{rule_id}", rule["id"].as_str().unwrap().to_owned()),
            ("{report_id}", report.to_string()),
            ("{template}", shape["code"].as_str().unwrap().to_owned()),
            ("{code}", invite["code"].as_str().unwrap().to_owned()),
        ];
        Scene { world, ids }
    }

    fn path(&self, template: &str) -> String {
        let fill = |path: String, (name, id): &(&str, String)| path.replace(name, id);
        self.ids.iter().fold(template.to_owned(), fill)
    }

    fn body(&self, name: &str) -> Value {
        match name {
            "-" => NONE,
            "empty" => json!({}),
            "rule" => json!({"name": "x", "trigger_type": 3, "actions": [{"type": 1}]}),
            "state" => json!({"state": "upheld"}),
            "text" => json!({"text": "x"}),
            "emoji" => json!({"name": "cay", "image": IMAGE}),
            "named" => json!({"name": "Name", "type": 0}),
            "nick" => json!({"nick": "n"}),
            "owner" => json!({"owner_id": MEMBER}),
            "users" => json!({"user_ids": [STRANGER]}),
            "moves" => json!([{"id": self.path("{role_id}"), "position": 2}]),
            other => panic!("no body {other}"),
        }
    }

    async fn check(&self, row: &[&str]) {
        let &[method, template, body, stranger, member] = row else {
            panic!("{row:?}");
        };
        let (path, body) = (self.path(template), self.body(body));
        let nobody = self.world.call((), method, &path, body.clone()).await;
        let told = (nobody.status.as_u16(), nobody.json["code"].as_u64());
        assert_eq!(told, (401, Some(0)), "{row:?} without a token");
        if member != "own" {
            let member_now = self.world.fresh(MEMBER);
            let reply = self
                .world
                .call(member_now, method, &path, body.clone())
                .await;
            assert_eq!(reply.status.as_str(), member, "{row:?}: {:?}", reply.json);
            let number = (member == "403").then_some(50013);
            assert_eq!(reply.json["code"].as_u64(), number, "{row:?}");
        }
        let stranger_now = self.world.fresh(STRANGER);
        let reply = self.world.call(stranger_now, method, &path, body).await;
        let told = match reply.json["code"]
            .as_u64()
            .filter(|_| !reply.status.is_success())
        {
            Some(number) => format!("{}/{number}", reply.status.as_u16()),
            None => reply.status.as_str().to_owned(),
        };
        assert_eq!(told, stranger, "{row:?}: {:?}", reply.json);
    }
}

#[tokio::test]
async fn s2_every_route_refuses_whom_it_must() {
    let scene = Scene::new().await;
    let mut seen: HashSet<(String, String)> = HashSet::new();
    for line in ROWS.lines().filter(|line| !line.is_empty()) {
        let row: Vec<&str> = line.split_whitespace().collect();
        scene.check(&row).await;
        let template = row[1].split('?').next().unwrap();
        let template = template.replace("{template}", "{code}");
        seen.insert((row[0].to_owned(), format!("/api/v10{template}")));
    }
    seen.extend(OPEN.map(|(method, path)| (method.to_owned(), path.to_owned())));
    let table = communities::table(scene.world.app.clone());
    for operation in table.operations() {
        let row = (operation.method.to_string(), operation.path.to_owned());
        assert!(seen.remove(&row), "{row:?} has no row here");
    }
    assert!(seen.is_empty(), "no such routes: {seen:?}");
}

#[tokio::test]
async fn ids_that_are_none_are_refused() {
    let world = World::new().await;
    for path in [
        "/guilds/abc",
        "/guilds/-1",
        "/channels/99999999999999999999",
        "/guilds/1/members/x",
    ] {
        world.fails(MEMBER, "GET", path, NONE, INVALID).await;
    }
}
