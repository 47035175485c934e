//! Tokens of processes: what makes a good one, and that they and those of users never stand for
//! each other.

use kernel::{Clock as _, ManualClock, UserId};
use serde_json::{Value, json};
use testkit::forgeries::{Forge, Signer, Verdict};
use testkit::http::{AUDIENCE, ISSUER, KID, call, public_key, sign};
use web_kit::jwt::SERVICE_AUDIENCE;
use web_kit::{HS256_KID, TokenVerifier, VerifyError};

use crate::app::{clock, router};
use crate::tokens::{claims as access_claims, feeding, header as access_header, verifier, with};

fn header() -> Value {
    json!({ "alg": "EdDSA", "typ": "st+jwt", "kid": KID })
}

fn claims(clock: &ManualClock) -> Value {
    let now = clock.now().as_second();
    json!({
        "type": "service", "sub": "messaging", "jti": "9", "iat": now, "exp": now + 300,
        "iss": ISSUER, "aud": SERVICE_AUDIENCE,
    })
}

#[tokio::test]
async fn a_good_one_tells_which_process_calls() {
    let clock = clock();
    let token = sign(&header(), &claims(&clock)).unwrap();
    let service = verifier(&clock).service(&token).await.unwrap();
    assert_eq!(service, "messaging");
}

#[tokio::test]
async fn s11_forged_service_tokens_are_refused() {
    let clock = clock();
    let verifier = verifier(&clock);
    let now = clock.now().as_second();
    let forge = Forge::new(Signer::Ed25519([7; 32]), &header(), &claims(&clock), now).unwrap();
    let access = sign(&access_header(), &access_claims(&clock)).unwrap();
    let forgeries = forge.forgeries(&access).unwrap();
    let judged = feeding(&verifier, async {
        for forgery in &forgeries {
            let verdict = verifier.service(&forgery.token).await;
            let good = forgery.verdict == Verdict::Good;
            let fits = matches!(
                (good, &verdict),
                (true, Ok(_)) | (false, Err(VerifyError::Invalid))
            );
            assert!(fits, "{}: {verdict:?}", forgery.what);
        }
        forgeries.len()
    });
    let judged = judged.await;
    assert!(judged > 400, "{judged} tokens");
}

#[tokio::test]
async fn names_of_processes_are_short_and_plain() {
    let clock = clock();
    let verifier = verifier(&clock);
    for (name, good) in [
        ("a", true),
        ("some_crate", true),
        (&*"x".repeat(32), true),
        (&*"x".repeat(33), false),
        ("", false),
        ("Messaging", false),
        ("mesajlaşma", false),
        ("messaging\nidentity", false),
    ] {
        let token = sign(&header(), &with(claims(&clock), json!({ "sub": name }))).unwrap();
        assert_eq!(verifier.service(&token).await.is_ok(), good, "{name:?}");
    }
}

#[tokio::test]
async fn s11_service_tokens_and_tokens_of_users_never_stand_for_each_other() {
    let clock = clock();
    let verifier = verifier(&clock);
    let access = access_claims(&clock);
    let both = with(
        access.clone(),
        json!({ "aud": SERVICE_AUDIENCE, "type": "service" }),
    );
    // Each mixture of the one and the other.
    for (header, claims) in [
        (header(), claims(&clock)),
        (header(), access.clone()),
        (header(), both.clone()),
        (access_header(), claims(&clock)),
        (access_header(), both),
        (
            access_header(),
            with(access.clone(), json!({ "type": "service" })),
        ),
        (
            access_header(),
            with(access.clone(), json!({ "aud": SERVICE_AUDIENCE })),
        ),
    ] {
        let token = sign(&header, &claims).unwrap();
        for credential in [format!("Bearer {token}"), format!("Bot {token}"), token] {
            let verdict = verifier.verify(&credential).await;
            assert!(
                matches!(verdict, Err(VerifyError::Invalid)),
                "{header} {claims}"
            );
        }
    }
    for claims in [access, with(claims(&clock), json!({ "aud": AUDIENCE }))] {
        for header in [header(), access_header()] {
            let verdict = verifier.service(&sign(&header, &claims).unwrap()).await;
            assert!(
                matches!(verdict, Err(VerifyError::Invalid)),
                "{header} {claims}"
            );
        }
    }
}

#[tokio::test]
async fn s11_a_service_token_opens_no_route() {
    let token = testkit::http::service_token("messaging").unwrap();
    for path in ["/v1/me", "/api/v10/users/@me"] {
        let good = call(&router(), "GET", path, UserId::new(42), None).await;
        assert_eq!(good.unwrap().status, 200, "{path}");
        for credential in [
            format!("Bearer {token}"),
            format!("Bot {token}"),
            token.clone(),
        ] {
            let reply = call(&router(), "GET", path, credential, None)
                .await
                .unwrap();
            assert_eq!(reply.status, 401, "{path}");
        }
    }
}

#[tokio::test]
async fn without_keys_a_service_token_cannot_be_judged() {
    let clock = clock();
    let token = sign(&header(), &claims(&clock)).unwrap();
    let verifier = TokenVerifier::new(ISSUER, AUDIENCE, clock);
    let verdict = verifier.service(&token).await;
    assert!(matches!(verdict, Err(VerifyError::Unavailable(_))));
}

#[tokio::test]
async fn s11_under_a_shared_secret_there_are_no_service_tokens() {
    const SECRET: &[u8] = b"a secret that older services have too";
    let clock = clock();
    let now = clock.now().as_second();
    let verifier = TokenVerifier::new(ISSUER, AUDIENCE, clock.clone()).hs256(SECRET);
    verifier.set_keys(vec![public_key().unwrap()]);
    let shared = json!({ "alg": "HS256", "typ": "st+jwt", "kid": HS256_KID });
    for (signer, header) in [
        (Signer::Hs256(SECRET.to_vec()), shared),
        (Signer::Ed25519([7; 32]), header()),
    ] {
        let forge = Forge::new(signer, &header, &claims(&clock), now).unwrap();
        let verdict = verifier.service(&forge.good().unwrap()).await;
        assert!(matches!(verdict, Err(VerifyError::Invalid)), "{header}");
    }
}
