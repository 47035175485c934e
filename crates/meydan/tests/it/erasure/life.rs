//! Somebody who uses everything there is, and those who know her.

use anyhow::{Context as _, Result, ensure};
use kernel::{Clock as _, SystemClock};
use serde_json::{Value, json};
use testkit::http::{Credential, Reply};

use crate::node::{Home, Node, Person, person, text};

pub(super) const USERNAME: &str = "zeynep_silinecek";
pub(super) const PASSWORD: &str = "kırmızı bisiklet yokuşu silinecek";
pub(super) const EMAIL: &str = "Zeynep@silinecek.example";
pub(super) const PHONE: &str = "+905321112233";
/// What she made goes by its own name.
pub(super) const BOT: &str = "Terzi Bot";
/// What tells who she was, in any spelling.
pub(super) const MARKS: &[&str] = &["silinecek", "Silinecek", "SILINECEK", "5321112233"];

/// What a person of development mode types for every code.
const CODE: &str = "123456";

pub(super) struct Life {
    pub(super) zeynep: Person,
    pub(super) fatma: Person,
    /// A community of Fatma's that Zeynep is in, and a channel of it.
    pub(super) guild: String,
    pub(super) channel: String,
    /// A community of Zeynep's in which somebody else is.
    pub(super) owned: String,
    /// Where the two talk alone.
    pub(super) dm: String,
    pub(super) api_key: String,
    pub(super) bot_token: String,
}

/// A call that must succeed; what it answers.
pub(super) async fn done(
    node: &Node,
    who: impl Into<Credential>,
    (method, path): (&str, &str),
    body: Value,
) -> Result<Value> {
    let reply = node.client.call(method, path, who, body).await?;
    answer(&format!("{method} {path}"), &reply)
}

fn answer(what: &str, reply: &Reply) -> Result<Value> {
    let said = String::from_utf8_lossy(&reply.body);
    ensure!(reply.status.is_success(), "{what}: {} {said}", reply.status);
    Ok(reply.json.clone())
}

impl Life {
    pub(super) async fn lead(home: &Home, node: &Node) -> Result<Self> {
        let boss = node.sign_up("boss").await?;
        let promoted = home.run(&["admin", "promote", "boss"])?;
        ensure!(promoted.status.success(), "{promoted:?}");
        let fatma = node.sign_up("fatma").await?;
        let can = node.sign_up("can").await?;
        let first = register(node, &boss).await?;
        let (zeynep, api_key) = protect(node, &first).await?;
        know(node, &zeynep, &fatma, &can).await?;
        let (guild, channel) = node.community(&fatma).await?;
        node.join(&fatma, &channel, &zeynep).await?;
        let owned = gather(node, &zeynep, (&fatma, &can), (&guild, &channel)).await?;
        let dm = talk(node, &zeynep, &fatma, &channel).await?;
        let bot_token = automate(node, &zeynep, &owned).await?;
        be_helped(node, &boss, &zeynep).await?;
        Ok(Life {
            zeynep,
            fatma,
            guild,
            channel,
            owned,
            dm,
            api_key,
            bot_token,
        })
    }
}

/// An account with a number, a profile and a consent.
async fn register(node: &Node, boss: &Person) -> Result<Person> {
    let terms = json!({"purpose": "terms", "version": "1", "tr": "Şartlar", "en": "Terms"});
    let path = ("POST", "/v1/consent-texts");
    done(node, boss.credential(), path, terms).await?;
    let body = json!({
        "email": EMAIL, "password": PASSWORD, "username": USERNAME,
        "display_name": "Zeynep Silinecek",
        "consents": [{"purpose": "terms", "text_version": "1"}],
        "device": {"device_name": "Zeynep Silinecek'in telefonu", "device_type": "android"},
    });
    let path = "/v1/auth/registrations";
    let reply = node.client.call("POST", path, (), body).await?;
    let zeynep = person(&reply.expect(201)?)?;
    let v1 = |call, body| done(node, zeynep.credential(), call, body);
    let me = node
        .client
        .call("GET", "/v1/users/@me", zeynep.credential(), Value::Null)
        .await?;
    let tag = me.header("etag").context("a version")?.to_owned();
    let about = json!({"about": "Ben Zeynep Silinecek", "locale": "tr"});
    let headers = [("if-match", &*tag)];
    let changed = node
        .client
        .call_with(
            "PATCH",
            "/v1/users/@me",
            zeynep.credential(),
            &headers,
            about,
        )
        .await?;
    answer("the profile", &changed)?;
    let wish = json!({"channel": "sms", "purpose": "verify_contact", "phone_number": PHONE});
    let sent = v1(("POST", "/v1/auth/otp"), wish).await?;
    let proof = json!({"handle": sent["handle"], "otp_code": CODE});
    v1(("PUT", "/v1/users/@me/phone"), proof).await?;
    let refresh = json!({"refresh_token": zeynep.refresh});
    let refreshed = v1(("POST", "/v1/auth/refresh"), refresh).await?;
    Ok(Person {
        token: text(&refreshed["access_token"]),
        refresh: text(&refreshed["refresh_token"]),
        ..zeynep
    })
}

/// Everything that proves a login, and another login that needed it; an API key.
async fn protect(node: &Node, first: &Person) -> Result<(Person, String)> {
    let v1 = |call, body| done(node, first.credential(), call, body);
    let pin = json!({"pin": "918273"});
    v1(("PUT", "/v1/users/@me/registration-lock"), pin).await?;
    let begun = v1(("POST", "/v1/users/@me/totp"), Value::Null).await?;
    let code = json!({"code": totp(&text(&begun["secret"]))?});
    let codes = v1(("PUT", "/v1/users/@me/totp"), code).await?;
    let login = node.log_in(EMAIL, PASSWORD).await?;
    let body = json!({
        "mfa_token": login.json["mfa_token"], "method": "recovery",
        "code": codes["recovery_codes"][0],
        "device": {
            "device_name": "Silinecek masaüstü", "device_type": "desktop",
            "push_notification_token": "silinecek-push-token",
        },
    });
    let path = "/v1/auth/login/second-factor";
    let reply = node.client.call("POST", path, (), body).await?;
    let zeynep = person(&reply.expect(200)?)?;
    let magic = json!({"email": EMAIL});
    done(node, (), ("POST", "/v1/auth/magic-links"), magic).await?;
    let key = json!({"name": "Silinecek's backup", "scopes": ["users:read"]});
    let path = ("POST", "/v1/users/@me/api-keys");
    let key = done(node, zeynep.credential(), path, key).await?;
    Ok((zeynep, text(&key["key"])))
}

/// The code that an authenticator app shows now.
fn totp(secret: &str) -> Result<String> {
    let secret = totp_rs::Secret::try_from_base32(secret)
        .map_err(|error| anyhow::anyhow!("reading the secret: {error:?}"))?;
    let app = totp_rs::Builder::new()
        .with_secret(secret)
        .build()
        .map_err(|error| anyhow::anyhow!("making an app: {error:?}"))?;
    let now = u64::try_from(SystemClock.now().as_second())?;
    Ok(app.generate(now).to_string())
}

/// A friend, contacts both ways, somebody blocked, and what others may see.
async fn know(node: &Node, zeynep: &Person, fatma: &Person, can: &Person) -> Result<()> {
    let v1 = |call, body| done(node, zeynep.credential(), call, body);
    let by_fatma = |call, body| done(node, fatma.credential(), call, body);
    v1(
        ("POST", "/v1/users/@me/friends"),
        json!({"username": "fatma"}),
    )
    .await?;
    let accept = format!("/v1/users/@me/friends/{}", zeynep.id);
    by_fatma(("PUT", &accept), Value::Null).await?;
    let contact = json!({"username": "fatma", "name": "Fatma abla"});
    v1(("POST", "/v1/users/@me/contacts"), contact).await?;
    let contact = json!({"username": USERNAME, "name": "Silinecek Zeynep, iş"});
    by_fatma(("POST", "/v1/users/@me/contacts"), contact).await?;
    let numbers = json!({"phone_numbers": ["+905329998877"]});
    v1(("POST", "/v1/users/@me/contacts/matches"), numbers).await?;
    let numbers = json!({"phone_numbers": [PHONE]});
    by_fatma(("POST", "/v1/users/@me/contacts/matches"), numbers).await?;
    let block = format!("/v1/users/@me/blocks/{}", can.id);
    v1(("PUT", &block), Value::Null).await?;
    let privacy = json!({"last_seen": "nobody"});
    v1(("PATCH", "/v1/users/@me/privacy"), privacy).await?;
    Ok(())
}

/// Communities: roles, a nick, an invite, bans. Gives the one she owns with somebody else in it.
async fn gather(
    node: &Node,
    zeynep: &Person,
    (fatma, can): (&Person, &Person),
    (guild, channel): (&str, &str),
) -> Result<String> {
    let role = json!({"name": "şair", "permissions": "0"});
    let path = format!("/guilds/{guild}/roles");
    let role = node.done(fatma, "POST", &path, role).await?;
    let member = format!("/guilds/{guild}/members/{}", zeynep.id);
    let give = format!("{member}/roles/{}", text(&role["id"]));
    node.done(fatma, "PUT", &give, Value::Null).await?;
    let nick = json!({"nick": "Zeyno Silinecek"});
    node.done(fatma, "PATCH", &member, nick).await?;
    let overwrite = json!({"type": 1, "allow": "2048", "deny": "0"});
    let path = format!("/channels/{channel}/permissions/{}", zeynep.id);
    node.done(fatma, "PUT", &path, overwrite).await?;
    let path = format!("/channels/{channel}/invites");
    node.done(zeynep, "POST", &path, json!({})).await?;

    let (alone, _) = node.community(zeynep).await?;
    let (owned, in_owned) = node.community(zeynep).await?;
    node.join(zeynep, &in_owned, fatma).await?;
    let ban = format!("/guilds/{alone}/bans/{}", can.id);
    node.done(zeynep, "PUT", &ban, json!({})).await?;
    let (of_can, _) = node.community(can).await?;
    let ban = format!("/api/v10/guilds/{of_can}/bans/{}", zeynep.id);
    let why = [("x-audit-log-reason", "Zeynep%20Silinecek%20was%20loud")];
    let banned = node
        .client
        .call_with("PUT", &ban, can.credential(), &why, json!({}))
        .await?;
    answer("the ban", &banned)?;
    Ok(owned)
}

/// Messages with mentions, edits and answers in a community, and a conversation of two.
async fn talk(node: &Node, zeynep: &Person, fatma: &Person, channel: &str) -> Result<String> {
    let path = format!("/channels/{channel}/messages");
    let say = |who, content: String, nonce: &str| {
        let body = json!({"content": content, "nonce": nonce, "enforce_nonce": true});
        node.done(who, "POST", &path, body)
    };
    say(fatma, format!("hoş geldin <@{}>", zeynep.id), "1").await?;
    let said = say(zeynep, format!("merhaba <@{}>", fatma.id), "2").await?;
    let one = format!("{path}/{}", text(&said["id"]));
    let edit = json!({"content": format!("merhabalar <@{}>", fatma.id)});
    node.done(zeynep, "PATCH", &one, edit).await?;
    let gone = say(zeynep, "bu gidecek".to_owned(), "3").await?;
    let gone = format!("{path}/{}", text(&gone["id"]));
    node.done(zeynep, "DELETE", &gone, Value::Null).await?;
    let answer = json!({"content": "selam", "message_reference": {"message_id": said["id"]}});
    node.done(fatma, "POST", &path, answer).await?;
    let typing = format!("/channels/{channel}/typing");
    node.done(zeynep, "POST", &typing, Value::Null).await?;
    let to = json!({"recipient_id": fatma.id});
    let dm = node.done(zeynep, "POST", "/users/@me/channels", to).await?;
    let dm = text(&dm["id"]);
    let path = format!("/channels/{dm}/messages");
    for (who, content) in [(zeynep, "aramızda"), (fatma, "tabii"), (zeynep, "peki")] {
        let body = json!({"content": content});
        node.done(who, "POST", &path, body).await?;
    }
    Ok(dm)
}

/// A bot in her community; its token.
async fn automate(node: &Node, zeynep: &Person, owned: &str) -> Result<String> {
    let new = json!({"name": BOT, "description": "Zeynep Silinecek yaptı"});
    let made = node.done(zeynep, "POST", "/applications", new).await?;
    let application = text(&made["id"]);
    let install = format!("/applications/{application}/installs/{owned}");
    node.done(zeynep, "PUT", &install, json!({"permissions": "2048"}))
        .await?;
    Ok(text(&made["token"]))
}

/// What staff did for her, with reasons that name her.
async fn be_helped(node: &Node, boss: &Person, zeynep: &Person) -> Result<()> {
    let reason = json!({"reason": "Zeynep Silinecek called"});
    let path = format!("/v1/users/{}/password-reset", zeynep.id);
    done(node, boss.credential(), ("POST", &path), reason).await?;
    let wish = json!({"user_id": zeynep.id, "reason": format!("{EMAIL} wrote")});
    let path = ("POST", "/v1/auth/impersonations");
    done(node, boss.credential(), path, wish).await?;
    Ok(())
}
