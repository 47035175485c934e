//! Every route × {nobody, somebody else}: who may not, and how it is said.

use std::collections::HashSet;

use axum::body::Body;

use crate::fixture::{OTHER, TUS, World};

/// Method, template, answer to nobody, answer to another user.
const ROWS: &str = "
POST   /v1/uploads                                       401 201
GET    /v1/uploads/{media_id}                            401 404
PATCH  /v1/uploads/{media_id}                            401 404
DELETE /v1/uploads/{media_id}                            401 404
GET    /attachments/{channel_id}/{media_id}/{file_name}  404 404
GET    /avatars/{user_id}/{file}                         404 404
GET    /icons/{guild_id}/{file}                          404 404
";

#[tokio::test]
async fn s2_every_route_refuses_whom_it_must() {
    let world = World::new().await;
    let at = world.opened(10, "").await;
    let id = at.rsplit('/').next().unwrap();
    let mut seen: HashSet<(String, String)> = HashSet::new();
    let headers = [
        TUS,
        ("upload-length", "1"),
        ("upload-offset", "0"),
        ("content-type", "application/offset+octet-stream"),
    ];
    for line in ROWS.lines().filter(|line| !line.is_empty()) {
        let row: Vec<&str> = line.split_whitespace().collect();
        let &[method, template, nobody, other] = row.as_slice() else {
            panic!("{line}");
        };
        let path = template
            .replace("{media_id}", id)
            .replace("{channel_id}", "1")
            .replace("{user_id}", "1")
            .replace("{guild_id}", "1")
            .replace("{file_name}", "a?ex=ffffffff&hm=0")
            .replace("{file}", "a.png");
        let reply = world
            .send((), (method, &path), &headers, Body::empty())
            .await;
        assert_eq!(reply.status.as_str(), nobody, "{line}");
        let reply = world
            .send(OTHER, (method, &path), &headers, Body::empty())
            .await;
        assert_eq!(reply.status.as_str(), other, "{line}");
        seen.insert((method.to_owned(), template.to_owned()));
    }
    for operation in media::table(world.app.clone()).operations() {
        let row = (operation.method.to_string(), operation.path.to_owned());
        assert!(seen.remove(&row), "{row:?} has no row here");
    }
    assert!(seen.is_empty(), "no such routes: {seen:?}");
}
