//! A copy of everything stored about one, and its end.

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _};
use std::sync::Arc;

use async_trait::async_trait;
use contracts::PersonalData;
use contracts::privacy::Bundle;
use kernel::PlatformRole::{Superadmin, Support};
use kernel::event::Handler;
use kernel::{Event, EventId, Failure, UserId};
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::harness::{House, PASSWORD, Session, masked, names_field, refusal};

const EXPORTS: &str = "/v1/users/@me/exports";
const ERASURE: &str = "/v1/users/@me/erasure";
const DAY: u64 = 24 * 3600;

/// Another context, which has one row about everybody.
struct Shop(std::sync::Mutex<Vec<&'static str>>);

#[async_trait]
impl PersonalData for Shop {
    fn context(&self) -> &'static str {
        "messaging"
    }
    async fn export(&self, user: UserId, to: &mut Bundle) -> Result<(), Failure> {
        to.add("messaging", "messages", &[json!({"author_id": user})])
    }
    async fn erasure_blockers(&self, _: UserId) -> Result<Vec<&'static str>, Failure> {
        Ok(self.0.lock().unwrap().clone())
    }
}

fn shop(house: &House) -> Arc<Shop> {
    let shop = Arc::new(Shop(std::sync::Mutex::default()));
    let part: Arc<dyn PersonalData> = shop.clone();
    house.identity.take_part(vec![Arc::downgrade(&part)]);
    shop
}

async fn ask(house: &House, who: &Session) -> Reply {
    house.call("POST", EXPORTS, &who.access, Value::Null).await
}

/// The files of an export by name.
async fn files(house: &House, who: &Session, id: &str) -> Vec<(String, Value)> {
    let path = format!("{EXPORTS}/{id}/download");
    let reply = house.get(&path, &who.access).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers["content-type"], "application/zip");
    let mut zip = zip::ZipArchive::new(Cursor::new(reply.body.to_vec())).unwrap();
    let mut files = Vec::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let name = file.name().unwrap().into_owned();
        files.push((name, serde_json::from_str(&text).unwrap()));
    }
    files
}

/// Rows in every table that says something about people, most of them through routes.
async fn fill(house: &House, ayse: &Session) {
    let id = &ayse.user;
    let fatma = house.register("fatma").await;
    house
        .call(
            "PUT",
            &format!("/v1/users/@me/friends/{}", fatma.user),
            &ayse.access,
            json!({}),
        )
        .await;
    let key = json!({"name": "nightly", "scopes": ["users:read"]});
    house
        .call("POST", "/v1/users/@me/api-keys", &ayse.access, key)
        .await
        .expect(201)
        .unwrap();
    house
        .refresh(&ayse.refresh, None)
        .await
        .expect(200)
        .unwrap();
    house
        .script(&format!(
            "UPDATE identity.users SET phone_number = '+905321112233', about = 'Şair' WHERE id = {id};
             INSERT INTO identity.recovery_codes (user_id, idx, phc) VALUES ({id}, 0, 'x');
             INSERT INTO identity.totp (user_id, seed_enc, key_id) VALUES ({id}, '\\x00', 'kek1');
             INSERT INTO identity.passkeys (id, user_id, cred_id, public_key, name) VALUES (1, {id}, '\\x01', '\\x02', 'Ayşe''s phone');
             INSERT INTO identity.registration_locks (user_id, began_at) VALUES ({id}, now());
             INSERT INTO identity.otp_challenges (id, handle_hash, channel, purpose, user_id, target_hmac, code_mac, expires_at)
             VALUES (1, sha256('a'), 'sms', 'login', {id}, '\\x03', '\\x04', now());
             INSERT INTO identity.one_time_tokens (token_hash, purpose, user_id, expires_at, data)
             VALUES (sha256('b'), 'reset', {id}, now(), '{{\"email\": \"ayse@example.com\"}}');
             INSERT INTO identity.oidc_identities (provider, subject, user_id, email_at_link) VALUES ('google', '7', {id}, 'ayse@example.com');
             INSERT INTO identity.platform_roles (user_id, role) VALUES ({id}, 'moderator');
             INSERT INTO identity.relationships (user_id, other_id, kind, name) VALUES ({id}, {other}, 'friend', 'Fatoş') ON CONFLICT DO NOTHING;
             INSERT INTO identity.relationships (user_id, other_id, kind, name) VALUES ({other}, {id}, 'friend', 'Ayşe from work')
                 ON CONFLICT (user_id, other_id) DO UPDATE SET name = excluded.name;
             INSERT INTO identity.phone_keys (user_id, phone_hmac, kept_at) VALUES ({id}, sha256('c'), now()) ON CONFLICT DO NOTHING;
             INSERT INTO identity.phone_lookups (user_id, day, numbers) VALUES ({id}, now(), 1);
             INSERT INTO identity.privacy (user_id) VALUES ({id}) ON CONFLICT DO NOTHING;
             INSERT INTO identity.consents (user_id, purpose, text_version, granted_at) VALUES ({id}, 'terms', '1', now());
             INSERT INTO identity.consent_texts VALUES ('terms', '1', sha256('d'), 'a', 'b', 7, now());
             INSERT INTO identity.exports (id, user_id, state, due_at) VALUES (1, {id}, 'failed', now());
             INSERT INTO identity.demo_people (user_id) VALUES ({id});
             INSERT INTO identity.staff_actions VALUES (1, {id}, 7, 'reset', 'Ayşe called', now());
             INSERT INTO identity.impersonations (id, staff_id, user_id, reason, needs_approval, asked_at)
             VALUES (1, {other}, {id}, 'ayse@example.com wrote to us', false, now())",
            other = fatma.user,
        ))
        .await;
}

#[tokio::test]
async fn s20_an_export_holds_every_tagged_column() {
    let house = House::new().await;
    let _shop = shop(&house);
    let ayse = house.register("ayse").await;
    fill(&house, &ayse).await;
    house
        .script(&format!(
            "INSERT INTO identity.erasures (id, user_id, state, due_at) VALUES (1, {}, 'cancelled', now())",
            ayse.user
        ))
        .await;
    let asked = ask(&house, &ayse).await.expect(202).unwrap();
    let id = asked.json["id"].as_str().unwrap();
    let status = house.identity.run_exports().await.unwrap();
    assert_eq!(status, "made 1 exports, 0 failed, removed 0");
    let files = files(&house, &ayse, id).await;
    let mut held = BTreeSet::new();
    for (name, rows) in &files {
        let Some(table) = name.strip_prefix("identity/") else {
            assert_eq!(
                (name.as_str(), rows),
                (
                    "messaging/messages.json",
                    &json!([{"author_id": ayse.user}])
                )
            );
            continue;
        };
        let table = table.strip_suffix(".json").unwrap();
        let first = rows[0]
            .as_object()
            .unwrap_or_else(|| panic!("{table} is empty"));
        held.extend(first.keys().map(|column| format!("{table}.{column}")));
    }
    let tagged: BTreeSet<String> = identity::PRIVACY.get().unwrap().exported().collect();
    assert_eq!(held, tagged);
    let text = format!("{files:?}");
    assert!(text.contains("ayse@example.com") && text.contains("+905321112233"));
    for secret in ["argon2", "refresh_token_hash", "seed_enc", "phc"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let theirs = "from work";
    assert!(
        !text.contains(theirs),
        "what others note about one is theirs"
    );
}

/// A context that does not answer.
struct Away;

#[async_trait]
impl PersonalData for Away {
    fn context(&self) -> &'static str {
        "messaging"
    }
    async fn export(&self, _: UserId, _: &mut Bundle) -> Result<(), Failure> {
        Err(kernel::failure::UNAVAILABLE.fail())
    }
    async fn erasure_blockers(&self, _: UserId) -> Result<Vec<&'static str>, Failure> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn an_export_that_lacks_a_context_fails_whole_and_can_be_asked_for_again() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let away: Arc<dyn PersonalData> = Arc::new(Away);
    house.identity.take_part(vec![Arc::downgrade(&away)]);
    let asked = ask(&house, &ayse).await.expect(202).unwrap();
    let status = house.identity.run_exports().await.unwrap();
    assert_eq!(status, "made 0 exports, 1 failed, removed 0");
    let path = format!("{EXPORTS}/{}", asked.json["id"].as_str().unwrap());
    let failed = house.get(&path, &ayse.access).await.expect(200).unwrap();
    assert_eq!(failed.json["state"], "failed");
    assert!(failed.json.get("url").is_none());
    ask(&house, &ayse).await.expect(202).unwrap();
}

#[tokio::test]
async fn an_export_is_its_owners_for_seven_days() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let fatma = house.register("fatma").await;
    let asked = ask(&house, &ayse).await.expect(202).unwrap();
    insta::assert_json_snapshot!(masked(asked.json.clone()), @r#"
    {
      "id": "[id]",
      "requested_at": "[time]",
      "state": "waiting"
    }
    "#);
    let listed = house.get(EXPORTS, &ayse.access).await;
    assert_eq!(listed.json["items"], json!([asked.json]));
    let again = ask(&house, &ayse).await;
    assert_eq!(refusal(&again), (409, "EXPORT_RUNNING"));
    let id = asked.json["id"].as_str().unwrap();
    let (path, download) = (
        format!("{EXPORTS}/{id}"),
        format!("{EXPORTS}/{id}/download"),
    );
    assert_eq!(
        refusal(&house.get(&download, &ayse.access).await),
        (404, "NOT_FOUND"),
        "not ready"
    );
    house.identity.run_exports().await.unwrap();
    let ready = house.get(&path, &ayse.access).await.expect(200).unwrap();
    assert_eq!(ready.json["state"], "ready");
    let listed = house.get(EXPORTS, &ayse.access).await;
    assert_eq!(listed.json["items"], json!([ready.json]));
    let theirs = house.get(EXPORTS, &fatma.access).await;
    assert_eq!(theirs.json["items"], json!([]));
    let url = ready.json["url"].as_str().unwrap();
    assert!(url.ends_with(&download), "{url}");
    for path in [&path, &download] {
        assert_eq!(
            refusal(&house.get(path, &fatma.access).await),
            (404, "NOT_FOUND")
        );
        assert_eq!(
            refusal(&house.get(path, "").await),
            (401, "UNAUTHENTICATED")
        );
    }
    house.wait(7 * DAY);
    let ayse = house.log_in("ayse").await;
    let over = house.get(&path, &ayse.access).await.expect(200).unwrap();
    assert_eq!(over.json["state"], "expired");
    let listed = house.get(EXPORTS, &ayse.access).await;
    assert_eq!(listed.json["items"], json!([over.json]));
    assert!(over.json.get("url").is_none());
    assert_eq!(
        refusal(&house.get(&download, &ayse.access).await),
        (404, "NOT_FOUND")
    );
    let status = house.identity.run_exports().await.unwrap();
    assert_eq!(status, "made 0 exports, 0 failed, removed 1");
    house.wait(24 * DAY);
    house.identity.run_exports().await.unwrap();
    assert_eq!(
        house.count("SELECT count(*) FROM identity.exports").await,
        0
    );
}

#[tokio::test]
async fn exports_and_erasures_are_for_the_person_with_a_fresh_login() {
    let house = House::new().await;
    let support = house.staff("destek", Support).await;
    let ayse = house.register("ayse").await;
    let body = json!({"user_id": ayse.user, "reason": "x"});
    let begun = house
        .call("POST", "/v1/auth/impersonations", &support.access, body)
        .await;
    let acting = begun.json["access_token"].as_str().unwrap();
    let calls = [
        ("POST", EXPORTS, Value::Null),
        ("GET", EXPORTS, Value::Null),
        ("GET", "/v1/users/@me/exports/1", Value::Null),
        ("GET", "/v1/users/@me/exports/1/download", Value::Null),
        ("POST", ERASURE, json!({"confirm": "ayse"})),
        ("DELETE", ERASURE, Value::Null),
    ];
    for (method, path, body) in calls {
        let reply = house.call(method, path, acting, body.clone()).await;
        assert_eq!(refusal(&reply), (403, "FORBIDDEN"), "{method} {path}");
        let nobody = house.call(method, path, "", body).await;
        assert_eq!(
            refusal(&nobody),
            (401, "UNAUTHENTICATED"),
            "{method} {path}"
        );
    }
    house.wait(301);
    assert_eq!(
        refusal(&ask(&house, &ayse).await),
        (403, "STEP_UP_REQUIRED")
    );
    let body = json!({"confirm": "ayse"});
    let stale = house.call("POST", ERASURE, &ayse.access, body).await;
    assert_eq!(refusal(&stale), (403, "STEP_UP_REQUIRED"));
}

#[tokio::test]
async fn the_user_thinks_again_within_fourteen_days() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let wrong = house
        .call("POST", ERASURE, &ayse.access, json!({"confirm": "ayşe"}))
        .await;
    assert_eq!(refusal(&wrong), (400, "INVALID_REQUEST"));
    assert!(names_field(&wrong, "/confirm"));
    let nothing = house
        .call("DELETE", ERASURE, &ayse.access, Value::Null)
        .await;
    assert_eq!(refusal(&nothing), (404, "NOT_FOUND"));
    let confirm = json!({"confirm": "ayse"});
    let first = house
        .call("POST", ERASURE, &ayse.access, confirm.clone())
        .await
        .expect(202)
        .unwrap();
    house.wait(60);
    let second = house
        .call("POST", ERASURE, &ayse.access, confirm)
        .await
        .expect(202)
        .unwrap();
    assert_eq!(first.json, second.json, "the first wish counts");
    let me = house.get("/v1/users/@me", &ayse.access).await;
    assert_eq!(me.json["erase_at"], first.json["erase_at"]);
    house.wait(14 * DAY - 120);
    house.identity.run_erasures().await.unwrap();
    let ayse = house.log_in("ayse").await;
    house
        .call("DELETE", ERASURE, &ayse.access, Value::Null)
        .await
        .expect(204)
        .unwrap();
    let me = house.get("/v1/users/@me", &ayse.access).await;
    assert!(me.json.get("erase_at").is_none());
    house.wait(120);
    let status = house.identity.run_erasures().await.unwrap();
    assert_eq!(status, "began 0 erasures, erased 0, 0 wait too long");
    house.log_in("ayse").await;
    let states = house.events("identity.user_state_changed.v1").await;
    let states: Vec<&Value> = states.iter().map(|event| &event["state"]).collect();
    assert_eq!(states, [&json!("deleting"), &json!("active")]);
}

#[tokio::test]
async fn what_has_to_be_settled_first_blocks_an_erasure() {
    let house = House::new().await;
    let shop = shop(&house);
    let admin = house.staff("yonetici", Superadmin).await;
    shop.0.lock().unwrap().push("owns_community");
    let confirm = json!({"confirm": "yonetici"});
    let blocked = house
        .call("POST", ERASURE, &admin.access, confirm.clone())
        .await;
    assert_eq!(refusal(&blocked), (409, "ERASURE_BLOCKED"));
    assert_eq!(
        blocked.json["reasons"],
        json!(["last_superadmin", "owns_community"])
    );
    house.staff("iki", Superadmin).await;
    shop.0.lock().unwrap().clear();
    house
        .call("POST", ERASURE, &admin.access, confirm)
        .await
        .expect(202)
        .unwrap();
    // What comes in between makes it wait.
    shop.0.lock().unwrap().push("owns_community");
    house.wait(14 * DAY);
    let status = house.identity.run_erasures().await.unwrap();
    assert_eq!(status, "began 0 erasures, erased 0, 0 wait too long");
    shop.0.lock().unwrap().clear();
    let status = house.identity.run_erasures().await.unwrap();
    assert_eq!(status, "began 1 erasures, erased 0, 0 wait too long");
}

async fn answer(house: &House, context: &str, user: &str) {
    let module = identity::module(house.identity.clone());
    let consumer = module
        .consumers
        .iter()
        .find(|consumer| consumer.name == "identity.erasures");
    let event = Event {
        id: EventId::new(1),
        kind: format!("{context}.user_erased.v1"),
        at: jiff::Timestamp::UNIX_EPOCH,
        actor: None,
        tenant: None,
        key: user.to_owned(),
        data: json!({}),
    };
    let handler: &dyn Handler = &*consumer.unwrap().handler;
    handler.handle(&event).await.unwrap();
}

#[tokio::test]
async fn s20_an_erased_user_leaves_nothing_but_an_id() {
    let house = House::new().await;
    let shop = shop(&house);
    let ayse = house.register("ayse").await;
    fill(&house, &ayse).await;
    let export = ask(&house, &ayse).await.expect(202).unwrap();
    house.identity.run_exports().await.unwrap();
    let confirm = json!({"confirm": "ayse"});
    house
        .call("POST", ERASURE, &ayse.access, confirm)
        .await
        .expect(202)
        .unwrap();
    house.wait(14 * DAY);
    house.identity.run_erasures().await.unwrap();
    assert!(!house.announced().await.is_empty());
    let login = json!({"identifier": "ayse", "password": PASSWORD});
    assert_eq!(
        refusal(&house.post("/v1/auth/login", login).await),
        (401, "INVALID_CREDENTIALS")
    );
    let late = "INSERT INTO identity.erasure_acks SELECT id, 'shop' FROM identity.erasures";
    house.script(late).await;
    testkit::privacy::every_table_is_filled(&house.admin, &identity::PRIVACY)
        .await
        .unwrap();
    house.wait(20 * 60);
    let status = house.identity.run_erasures().await.unwrap();
    assert_eq!(status, "began 0 erasures, erased 1, 0 wait too long");
    let names = [
        "ayse@example.com",
        "AYSE",
        "ayse",
        "+905321112233",
        "Ayşe",
        "Şair",
    ];
    testkit::privacy::nothing_is_left(&house.admin, &identity::PRIVACY, &ayse.user, &names)
        .await
        .unwrap();
    let due = house.events("identity.erasure_due.v1").await;
    assert_eq!(due, [json!({"user_id": ayse.user})]);
    let username = "SELECT count(*) FROM identity.users WHERE state = 'erased' AND username = 'erased_' || to_hex(id)";
    assert_eq!(house.count(username).await, 1);
    let fatma = house.log_in("fatma").await;
    let card = house
        .get(&format!("/v1/users/{}", ayse.user), &fatma.access)
        .await;
    assert_eq!(refusal(&card), (404, "NOT_FOUND"));
    // Its export went with it.
    let id = export.json["id"].as_str().unwrap().parse().unwrap();
    let gone = kernel::Caller::user(
        ayse.user.parse().unwrap(),
        kernel::DeviceId::new(1),
        Vec::new(),
        jiff::Timestamp::UNIX_EPOCH,
    );
    assert!(house.identity.open_export(&gone, id).await.is_err());
    // The other context has a day to answer.
    let running = "SELECT count(*) FROM identity.erasures WHERE state = 'running'";
    assert_eq!(house.count(running).await, 1);
    house.wait(DAY + 1);
    let status = house.identity.run_erasures().await.unwrap();
    assert_eq!(status, "began 0 erasures, erased 0, 1 wait too long");
    for _ in 0..2 {
        answer(&house, "messaging", &ayse.user).await;
    }
    assert_eq!(house.count(running).await, 0);
    drop(shop);
}

#[tokio::test]
async fn nobody_takes_the_name_of_an_erased_account() {
    let house = House::new().await;
    let wish = crate::harness::registration("erased_1573320178609950727");
    let refused = house.post("/v1/auth/registrations", wish).await;
    assert_eq!(refusal(&refused), (409, "USERNAME_TAKEN"));
}
