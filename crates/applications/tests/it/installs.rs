use anyhow::Result;
use serde_json::{Value, json};

use crate::world::{AYSE, COMMUNITY, MEHMET, World};

#[tokio::test]
async fn manager_installs_changes_and_takes_out() -> Result<()> {
    let world = World::new().await?;
    let (id, _) = world.application().await?;
    let path = format!("/applications/{id}/installs/{COMMUNITY}");
    assert_eq!(
        world.call("GET", &path, AYSE, Value::Null).await?.json["code"],
        10011
    );
    for permissions in ["2048", "3072"] {
        let reply = world
            .call("PUT", &path, AYSE, json!({"permissions": permissions}))
            .await?
            .expect(200)?;
        assert_eq!(reply.json["permissions"], permissions);
        assert_eq!(reply.json["guild_id"], json!(COMMUNITY));
    }
    let found = world
        .call("GET", &path, AYSE, Value::Null)
        .await?
        .expect(200)?;
    assert_eq!(found.json["permissions"], "3072");
    world
        .call("DELETE", &path, AYSE, Value::Null)
        .await?
        .expect(204)?;
    assert_eq!(
        world.call("GET", &path, AYSE, Value::Null).await?.status,
        404
    );
    let kinds = world.events().await?;
    assert_eq!(
        kinds[1..],
        [
            "applications.installed.v1",
            "applications.installed.v1",
            "applications.uninstalled.v1"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn members_without_the_right_cannot_install() -> Result<()> {
    let world = World::new().await?;
    let (id, _) = world.application().await?;
    let path = format!("/applications/{id}/installs/{COMMUNITY}");
    assert_eq!(
        world
            .call("PUT", &path, MEHMET, json!({"permissions": "0"}))
            .await?
            .status,
        403
    );
    assert_eq!(
        world
            .call("PUT", &path, (), json!({"permissions": "0"}))
            .await?
            .status,
        401
    );
    let unknown = format!("/applications/999/installs/{COMMUNITY}");
    assert_eq!(
        world.call("PUT", &unknown, AYSE, json!({})).await?.json["code"],
        10002
    );
    assert_eq!(
        world.call("GET", &path, AYSE, Value::Null).await?.status,
        404,
        "nothing was written"
    );
    Ok(())
}
