//! Tokens that must be refused, and the keys that prove the good ones.

use std::collections::BTreeSet;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::{Origin, Settings};
use kernel::{Clock, SeededRng};
use serde_json::{Value, json};

use crate::harness::{House, PASSWORD, SEED, refusal, secret, settings};

/// The private key of a fresh house: its random source gives the same bytes again.
async fn private_key(house: &House) -> Ed25519KeyPair {
    let rng = SeededRng::new(SEED);
    // Salt and tag of the hash that nothing fits come first.
    kernel::rng::bytes::<16>(&*rng);
    kernel::rng::bytes::<32>(&*rng);
    let pair = Ed25519KeyPair::from_seed_unchecked(&kernel::rng::bytes::<32>(&*rng)).unwrap();
    let public = contracts::Credentials::keys(&*house.identity)
        .await
        .unwrap();
    assert_eq!(pair.public_key().as_ref(), public[0].public);
    pair
}

fn sign(pair: &Ed25519KeyPair, header: &str, claims: &str) -> String {
    let body = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(body.as_bytes()).as_ref());
    format!("{body}.{signature}")
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

#[tokio::test]
async fn s11_forged_headers_are_refused() {
    let house = House::new().await;
    let pair = private_key(&house).await;
    let session = house.register("ayse").await;
    let (header, claims) = (
        part(&session.access, 0),
        part(&session.access, 1).to_string(),
    );
    assert!(
        is_valid(&house, &sign(&pair, &header.to_string(), &claims)).await,
        "the forge works"
    );
    let kid = header["kid"].as_str().unwrap();
    for forged in [
        json!({"alg": "none", "typ": "at+jwt", "kid": kid}),
        json!({"alg": "HS256", "typ": "at+jwt", "kid": kid}),
        json!({"alg": "ES256", "typ": "at+jwt", "kid": kid}),
        json!({"alg": "EdDSA", "typ": "at+jwt"}),
        json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "another"}),
        json!({"alg": "EdDSA", "typ": "at+jwt", "kid": ""}),
        json!({"alg": "EdDSA", "typ": "rt+jwt", "kid": kid}),
        json!({"alg": "EdDSA", "kid": kid}),
        json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid, "crit": ["b64"], "b64": false}),
    ] {
        let token = sign(&pair, &forged.to_string(), &claims);
        assert!(!is_valid(&house, &token).await, "{forged}");
    }
    // A key of the attacker's own, offered in the header.
    let theirs = Ed25519KeyPair::generate().unwrap();
    let x = URL_SAFE_NO_PAD.encode(theirs.public_key().as_ref());
    for (name, value) in [
        ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": x})),
        ("jku", json!("https://attacker.example/jwks.json")),
        ("x5u", json!("https://attacker.example/cert.pem")),
    ] {
        let mut forged = header.clone();
        forged[name] = value;
        assert!(
            !is_valid(&house, &sign(&theirs, &forged.to_string(), &claims)).await,
            "{name}"
        );
    }
}

#[tokio::test]
async fn s11_hs256_with_the_public_key_and_unsigned_are_refused() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let claims = part(&session.access, 1);
    let public = contracts::Credentials::keys(&*house.identity)
        .await
        .unwrap()[0]
        .clone();
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some(public.kid);
    let key = jsonwebtoken::EncodingKey::from_secret(&public.public);
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    assert!(!is_valid(&house, &token).await);
    let (body, signature) = session.access.rsplit_once('.').unwrap();
    assert!(!is_valid(&house, &format!("{body}.")).await);
    assert!(!is_valid(&house, body).await);
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[10] ^= 1;
    assert!(!is_valid(&house, &format!("{body}.{}", URL_SAFE_NO_PAD.encode(bytes))).await);
    assert!(!is_valid(&house, &"x".repeat(1024 * 512)).await);
    let huge = format!("{}.{body}.{signature}", "A".repeat(4096));
    assert!(!is_valid(&house, &huge).await);
}

#[tokio::test]
async fn s11_forged_claims_are_refused() {
    let house = House::new().await;
    let pair = private_key(&house).await;
    let session = house.register("ayse").await;
    let header = part(&session.access, 0).to_string();
    let claims = part(&session.access, 1);
    for (name, value) in [
        ("iss", json!("somebody-else")),
        ("aud", json!("my-auth-service")),
        ("aud", json!("another-app")),
        ("type", json!("refresh")),
        ("sub", json!("not a number")),
        ("sid", json!("")),
        ("exp", json!("soon")),
        ("exp", json!(-1)),
        ("iat", json!(house.clock.now().as_second() + 31)),
    ] {
        let mut forged = claims.clone();
        forged[name] = value.clone();
        let token = sign(&pair, &header, &forged.to_string());
        let reply = house
            .post("/v1/auth/validate", json!({"access_token": token}))
            .await;
        assert_eq!(reply.json["is_valid"], false, "{name} {value}");
    }
    for name in ["iss", "aud", "sub", "sid", "exp", "type"] {
        let mut forged = claims.clone();
        forged.as_object_mut().unwrap().remove(name);
        let token = sign(&pair, &header, &forged.to_string());
        assert!(!is_valid(&house, &token).await, "without {name}");
    }
    let text = claims.to_string();
    let doubled = text.replacen('{', r#"{"sub":"1","#, 1);
    assert!(
        !is_valid(&house, &sign(&pair, &header, &doubled)).await,
        "two subjects"
    );
    // Another user's device: the signature is good, the pair is not.
    let other = house.register("fatma").await;
    let mut forged = claims.clone();
    forged["sid"] = json!(other.device);
    let token = sign(&pair, &header, &forged.to_string());
    let reply = house
        .post("/v1/auth/validate", json!({"access_token": token}))
        .await;
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
