//! Tokens that must be refused, and the keys that prove the good ones.

use std::collections::BTreeSet;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::{Error, LogoutBy, Origin, Settings};
use kernel::{Clock, SeededRng};
use serde_json::{Value, json};
use testkit::forgeries::{Forge, Forgery, Signer, Verdict};
use web_kit::VerifyError;

use crate::harness::{House, PASSWORD, ROOT, SEED, refusal, secret, settings};
use crate::hs256::shared;

/// The private key of a fresh house: its random source gives the same bytes again.
async fn private_seed(house: &House) -> [u8; 32] {
    let rng = SeededRng::new(SEED);
    // Salt and tag of the hash that nothing fits come first.
    kernel::rng::bytes::<16>(&*rng);
    kernel::rng::bytes::<32>(&*rng);
    let seed = kernel::rng::bytes::<32>(&*rng);
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let public = contracts::Credentials::keys(&*house.identity)
        .await
        .unwrap();
    assert_eq!(pair.public_key().as_ref(), public[0].public);
    seed
}

fn part(token: &str, index: usize) -> Value {
    let raw = URL_SAFE_NO_PAD
        .decode(token.split('.').nth(index).unwrap())
        .unwrap();
    serde_json::from_slice(&raw).unwrap()
}

async fn is_valid(house: &House, token: &str) -> bool {
    let reply = house
        .post("/v1/auth/validate", json!({"access_token": token}))
        .await;
    let reply = reply.expect(200).unwrap();
    assert_eq!(
        reply.json["is_valid"],
        json!(!reply.json["user_id"].is_null())
    );
    let valid = reply.json["is_valid"] == true;
    // The verifier of every node agrees with the context.
    let status = house.get("/v1/users/@me", token).await.status;
    assert_eq!(
        status == 200,
        valid,
        "the verifier says {status} to {token}"
    );
    valid
}

/// The names of an object's members, sorted.
fn names(object: &Value) -> Vec<&str> {
    let names: BTreeSet<&str> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.into_iter().collect()
}

#[tokio::test]
async fn claims_and_headers_are_those_of_the_page() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let access = part(&session.access, 1);
    assert_eq!(
        names(&access),
        [
            "acr",
            "amr",
            "aud",
            "auth_time",
            "exp",
            "iat",
            "iss",
            "jti",
            "sid",
            "sub",
            "type"
        ]
    );
    assert_eq!(access["type"], "access");
    assert_eq!(access["iss"], "my-auth-service");
    assert_eq!(access["aud"], "my-app-client");
    assert_eq!(access["sub"], json!(session.user));
    assert_eq!(access["sid"], json!(session.device));
    assert_eq!(access["amr"], json!(["pwd"]));
    let life = access["exp"].as_i64().unwrap() - access["iat"].as_i64().unwrap();
    assert_eq!(life, 15 * 60);
    let refresh = part(&session.refresh, 1);
    assert_eq!(
        names(&refresh),
        [
            "aud", "exp", "gen", "iat", "iss", "jti", "sid", "sub", "type"
        ]
    );
    assert_eq!(
        (&refresh["type"], &refresh["gen"]),
        (&json!("refresh"), &json!(1))
    );
    assert_eq!(refresh["aud"], "my-auth-service");
    let life = refresh["exp"].as_i64().unwrap() - refresh["iat"].as_i64().unwrap();
    assert_eq!(life, 7 * 24 * 3600);
    assert_eq!(part(&session.access, 0)["typ"], "at+jwt");
    assert_eq!(part(&session.refresh, 0)["typ"], "rt+jwt");
    assert_eq!(part(&session.refresh, 0)["alg"], "EdDSA");
}

#[tokio::test]
async fn the_published_keys_verify_a_token() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let reply = house
        .get("/.well-known/jwks.json", "")
        .await
        .expect(200)
        .unwrap();
    assert_eq!(reply.header("cache-control"), Some("public, max-age=600"));
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(reply.json.clone()).unwrap();
    let header = jsonwebtoken::decode_header(&session.access).unwrap();
    let jwk = keys.find(&header.kid.unwrap()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.set_audience(&["my-app-client"]);
    let token = jsonwebtoken::decode::<Value>(&session.access, &key, &validation).unwrap();
    assert_eq!(token.claims["sub"], json!(session.user));
    let entry = &reply.json["keys"][0];
    assert_eq!(entry["kty"], "OKP");
    assert_eq!(entry["crv"], "Ed25519");
    assert_eq!(entry["use"], "sig");
    assert!(entry.get("d").is_none(), "the private part is never shown");
}

#[tokio::test]
async fn access_and_refresh_are_never_taken_for_each_other() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    assert!(is_valid(&house, &session.access).await);
    assert!(!is_valid(&house, &session.refresh).await);
    let reply = house.refresh(&session.access, None).await;
    assert_eq!(refusal(&reply), (401, "REFRESH_INVALID"));
    house
        .refresh(&session.refresh, None)
        .await
        .expect(200)
        .unwrap();
}

/// A forge that holds the key of the house, and works after this token.
async fn forge(house: &House, token: &str) -> Forge {
    let signer = Signer::Ed25519(private_seed(house).await);
    let now = house.clock.now().as_second();
    Forge::new(signer, &part(token, 0), &part(token, 1), now).unwrap()
}

#[tokio::test]
async fn s11_forged_access_tokens_are_refused() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let forge = forge(&house, &session.access).await;
    let list = forge.forgeries(&session.refresh).unwrap();
    assert!(list.len() > 500, "{} tokens", list.len());
    let here = [127, 0, 0, 1].into();
    house
        .feeding(async {
            for Forgery {
                what,
                token,
                verdict,
            } in &list
            {
                let good = *verdict == Verdict::Good;
                let known = house.identity.validate(token, here).await.unwrap();
                assert_eq!(known.is_some(), good, "{what}: the context");
                let caller = house.verifier.verify(&format!("Bearer {token}")).await;
                let fits = matches!(
                    (good, &caller),
                    (true, Ok(_)) | (false, Err(VerifyError::Invalid))
                );
                assert!(fits, "{what}: the verifier says {caller:?}");
            }
        })
        .await;
}

#[tokio::test]
async fn s11_forged_refresh_tokens_are_refused() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let forge = forge(&house, &session.refresh).await;
    for Forgery {
        what,
        token,
        verdict,
    } in forge.forgeries(&session.access).unwrap()
    {
        // Whoever looks into a token, and a logout, take one that has ended.
        let read = house.identity.inspect_token(&token).await.unwrap();
        let taken = read.is_some_and(|read| read.kind == "refresh");
        assert_eq!(taken, verdict != Verdict::Bad, "{what}");
        if verdict == Verdict::Good {
            continue;
        }
        let refused = house.identity.refresh(&token, None).await;
        assert!(matches!(refused, Err(Error::RefreshInvalid)), "{what}");
        if verdict == Verdict::Bad {
            let by = LogoutBy::RefreshToken(&token);
            let refused = house.identity.log_out(by).await;
            assert!(matches!(refused, Err(Error::RefreshInvalid)), "{what}");
        }
    }
    // None of it cost the person their login.
    let next = house.refresh(&session.refresh, None).await;
    next.expect(200).unwrap();
}

#[tokio::test]
async fn s11_forged_tokens_are_refused_under_a_shared_secret() {
    let house = House::with(shared(ROOT)).await;
    let session = house.register("ayse").await;
    let signer = Signer::Hs256(ROOT.as_bytes().to_vec());
    let now = house.clock.now().as_second();
    let (header, claims) = (part(&session.access, 0), part(&session.access, 1));
    let forge = Forge::new(signer, &header, &claims, now).unwrap();
    let here = [127, 0, 0, 1].into();
    for Forgery {
        what,
        token,
        verdict,
    } in forge.forgeries(&session.refresh).unwrap()
    {
        let good = verdict == Verdict::Good;
        let known = house.identity.validate(&token, here).await.unwrap();
        assert_eq!(known.is_some(), good, "{what}: the context");
        let caller = house.verifier.verify(&format!("Bearer {token}")).await;
        assert_eq!(caller.is_ok(), good, "{what}: the verifier");
    }
}

#[tokio::test]
async fn s11_a_good_token_with_the_device_of_another_is_refused() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let other = house.register("fatma").await;
    let mut claims = part(&session.access, 1);
    claims["sid"] = json!(other.device);
    let header = part(&session.access, 0).to_string();
    let forge = forge(&house, &session.access).await;
    let token = forge.sign(header, claims.to_string()).unwrap();
    let body = json!({"access_token": token});
    let reply = house.post("/v1/auth/validate", body).await;
    assert_eq!(reply.json["is_valid"], false);
}

#[tokio::test]
async fn s11_a_token_is_good_until_30_seconds_after_its_end() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let exp = part(&session.access, 1)["exp"].as_i64().unwrap();
    let at = |second: i64| jiff::Timestamp::from_second(second).unwrap();
    house.clock.set(at(exp + 29));
    assert!(is_valid(&house, &session.access).await);
    house.clock.set(at(exp + 30));
    let reply = house
        .post("/v1/auth/validate", json!({"access_token": session.access}))
        .await;
    assert_eq!(reply.json["is_valid"], false);
}

#[tokio::test]
async fn s11_tokens_of_another_issuer_or_audience_are_refused() {
    let house = House::new().await;
    let first = house.register("ayse").await;
    assert!(is_valid(&house, &first.access).await);
    let origin = Origin {
        ip: [127, 0, 0, 1].into(),
        user_agent: None,
        device: identity::DeviceInfo::default(),
        session: identity::SessionKind::Token,
        from_own_page: false,
    };
    let changes: [fn(&mut Settings); 3] = [
        |settings| settings.issuer = "another".to_owned(),
        |settings| settings.access_audience = "another".to_owned(),
        |settings| settings.refresh_audience = "another".to_owned(),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut other = settings();
        change(&mut other);
        let sibling = house.sibling(other);
        let tokens = sibling
            .log_in("ayse", secret(PASSWORD), None, &origin)
            .await
            .unwrap();
        let tokens = tokens.tokens().unwrap();
        if index < 2 {
            assert!(!is_valid(&house, &tokens.access_token).await);
        }
        if index != 1 {
            let reply = house.refresh(&tokens.refresh_token, None).await;
            assert_eq!(refusal(&reply), (401, "REFRESH_INVALID"));
        }
    }
}

#[tokio::test]
async fn validate_says_no_to_what_ended_and_is_limited() {
    let mut settings = settings();
    settings.limits.validate_address_per_minute = 4;
    let house = House::with(settings).await;
    let session = house.register("ayse").await;
    let body = json!({"access_token": session.access});
    let path = "/v1/auth/validate";
    let reply = house.post(path, body.clone()).await.expect(200).unwrap();
    assert_eq!(
        reply.json,
        json!({"is_valid": true, "user_id": session.user})
    );
    house
        .post("/v1/auth/logout", json!({"refresh_token": session.refresh}))
        .await;
    let reply = house.post(path, body.clone()).await.expect(200).unwrap();
    assert_eq!(reply.json, json!({"is_valid": false, "user_id": null}));
    assert_eq!(
        refusal(&house.post(path, json!({})).await),
        (400, "INVALID_REQUEST")
    );
    for _ in 0..2 {
        house.post(path, body.clone()).await.expect(200).unwrap();
    }
    assert_eq!(
        refusal(&house.post(path, body).await),
        (429, "RATE_LIMITED")
    );
}
