use anyhow::Result;
use applications::Settings;
use contracts::Applications as _;
use kernel::digest::sha256;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::world::{AYSE, MEHMET, World};

#[tokio::test]
async fn application_is_made_with_a_bot_and_shows_its_token_once() -> Result<()> {
    let world = World::new().await?;
    let body = json!({"name": " Pinger ", "description": "answers", "junk": 1});
    let reply = world
        .call("POST", "/applications", AYSE, body)
        .await?
        .expect(201)?;
    let id = reply.json["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(reply.json["name"], "Pinger");
    assert_eq!(reply.json["bot"]["id"], json!(id));
    assert_eq!(reply.json["owner"]["username"], "ayse");
    assert_eq!(reply.json["verify_key"].as_str().map(str::len), Some(64));
    assert_eq!(reply.json["flags"], (1 << 15) | (1 << 19));
    let token = reply.json["token"].as_str().unwrap_or_default();
    let bot = world
        .app
        .resolve_token(sha256(token.as_bytes()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (bot.application.to_string(), bot.granted_intents),
        (id.clone(), (1 << 1) | (1 << 15))
    );
    let again = world
        .call("GET", &format!("/applications/{id}"), AYSE, Value::Null)
        .await?;
    assert!(again.expect(200)?.json.get("token").is_none());
    let list = world
        .call("GET", "/applications", AYSE, Value::Null)
        .await?
        .expect(200)?;
    assert_eq!(list.json.as_array().map(Vec::len), Some(1));
    assert_eq!(
        world.events().await?,
        ["applications.application_created.v1"]
    );
    Ok(())
}

#[tokio::test]
async fn everything_is_the_owners_alone() -> Result<()> {
    let world = World::new().await?;
    let (id, _) = world.application().await?;
    let one = format!("/applications/{id}");
    let reset = format!("{one}/bot/reset-token");
    for (method, path, body) in [
        ("GET", &one, Value::Null),
        ("PATCH", &one, json!({"name": "mine"})),
        ("DELETE", &one, Value::Null),
        ("POST", &reset, Value::Null),
        ("GET", &format!("{one}/installs/4194304"), Value::Null),
    ] {
        let other = world.call(method, path, MEHMET, body.clone()).await?;
        assert_eq!(
            (other.status.as_u16(), other.json["code"].as_i64()),
            (404, Some(10002)),
            "{method} {path}"
        );
        let nobody = world.call(method, path, (), body.clone()).await?;
        assert_eq!(nobody.status, 401, "{method} {path}");
        let bot = kernel::Caller::bot(kernel::UserId::new(77));
        let bot = world.call(method, path, &bot, body).await?;
        assert_eq!(
            (bot.status.as_u16(), bot.json["code"].as_i64()),
            (403, Some(20001)),
            "{method} {path}"
        );
    }
    assert_eq!(
        world
            .call("GET", "/applications", (), Value::Null)
            .await?
            .status,
        401
    );
    assert_eq!(
        world
            .call("POST", "/applications", (), json!({"name": "x"}))
            .await?
            .status,
        401
    );
    Ok(())
}

#[tokio::test]
async fn rules_of_the_fields_are_told() -> Result<()> {
    let world = World::new().await?;
    let reply = world
        .call("POST", "/applications", AYSE, json!({"name": ""}))
        .await?;
    assert_eq!(
        (reply.status.as_u16(), reply.json["code"].as_i64()),
        (400, Some(50035))
    );
    assert!(reply.json["errors"]["name"]["_errors"][0]["code"].is_string());
    let (id, _) = world.application().await?;
    let reply = world
        .call(
            "PATCH",
            &format!("/applications/{id}"),
            AYSE,
            json!({"flags": 1}),
        )
        .await?;
    assert_eq!(reply.status, 400);
    Ok(())
}

#[tokio::test]
async fn granted_intents_follow_the_flags() -> Result<()> {
    let world = World::new().await?;
    let (id, token) = world.application().await?;
    let body = json!({"flags": 1 << 13, "description": "new"});
    let reply = world
        .call("PATCH", &format!("/applications/{id}"), AYSE, body)
        .await?
        .expect(200)?;
    assert_eq!(
        (reply.json["flags"].as_i64(), reply.json["name"].as_str()),
        (Some(1 << 13), Some("Pinger"))
    );
    let bot = world
        .app
        .resolve_token(sha256(token.as_bytes()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(bot.granted_intents, 1 << 8);
    Ok(())
}

#[tokio::test]
async fn replaced_token_is_void_and_its_sockets_are_told() -> Result<()> {
    let mut world = World::new().await?;
    let (id, old) = world.application().await?;
    let path = format!("/applications/{id}/bot/reset-token");
    let reply = world
        .call("POST", &path, AYSE, Value::Null)
        .await?
        .expect(200)?;
    let new = reply.json["token"].as_str().unwrap_or_default();
    assert_ne!(new, old);
    assert!(
        world
            .app
            .resolve_token(sha256(old.as_bytes()))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        world
            .app
            .resolve_token(sha256(new.as_bytes()))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        world
            .cut_off()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        [id]
    );
    Ok(())
}

#[tokio::test]
async fn deleted_application_is_gone_everywhere() -> Result<()> {
    let mut world = World::new().await?;
    let (id, token) = world.application().await?;
    let install = format!("/applications/{id}/installs/{}", crate::world::COMMUNITY);
    world
        .call("PUT", &install, AYSE, json!({"permissions": "2048"}))
        .await?
        .expect(200)?;
    world
        .call("DELETE", &format!("/applications/{id}"), AYSE, Value::Null)
        .await?
        .expect(204)?;
    assert!(
        world
            .app
            .resolve_token(sha256(token.as_bytes()))
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(world.cut_off().len(), 1);
    assert_eq!(
        world
            .identity
            .retired()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        [id.as_str()]
    );
    assert_eq!(
        world
            .call("DELETE", &format!("/applications/{id}"), AYSE, Value::Null)
            .await?
            .status,
        404
    );
    let bot: kernel::UserId = id.parse()?;
    let members = contracts::Communities::members(
        &*world.communities,
        crate::world::COMMUNITY,
        contracts::communities::MemberQuery::Ids(vec![bot]),
    );
    assert!(members.await.unwrap().is_empty(), "the bot has left");
    Ok(())
}

#[tokio::test]
async fn bot_asks_who_it_is() -> Result<()> {
    let world = World::new().await?;
    let (id, _) = world.application().await?;
    let bot = kernel::Caller::bot(id.parse()?);
    for path in ["/applications/@me", "/oauth2/applications/@me"] {
        let reply = world
            .call("GET", path, &bot, Value::Null)
            .await?
            .expect(200)?;
        assert_eq!(reply.json["id"], json!(id));
        let person = world.call("GET", path, AYSE, Value::Null).await?;
        assert_eq!(
            (person.status.as_u16(), person.json["code"].as_i64()),
            (403, Some(20002))
        );
    }
    Ok(())
}

#[tokio::test]
async fn limit_holds_also_for_twenty_at_once() -> Result<()> {
    let root = SecretString::from("a root secret of at least 32 bytes".to_owned());
    let settings = Settings::derive(&root)?.with_limit(3);
    let world = World::with(settings).await?;
    let caller = testkit::http::caller(AYSE);
    let new = || applications::NewApplication {
        name: "x".into(),
        description: None,
    };
    let all =
        futures::future::join_all((0..20).map(|_| world.app.create_application(&caller, new())));
    let made: Vec<_> = all.await;
    assert_eq!(made.iter().filter(|result| result.is_ok()).count(), 3);
    let refused = |result: &&std::result::Result<_, _>| {
        matches!(result, Err(applications::Error::TooMany(3)))
    };
    assert_eq!(made.iter().filter(refused).count(), 17);
    let bots_left = made.iter().flatten().count();
    assert_eq!(bots_left, 3);
    let list = world
        .call("GET", "/applications", AYSE, Value::Null)
        .await?;
    assert_eq!(list.json.as_array().map(Vec::len), Some(3));
    Ok(())
}
