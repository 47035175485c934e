//! What a page is told that it can offer.

use identity::{
    DevCode, EmailVerification, Oauth, PasskeySite, Provider, ProviderKind, Senders, Settings,
};
use serde_json::{Value, json};

use crate::harness::{House, secret, settings};
use crate::post::Post;

async fn offered(settings: Settings, senders: Senders) -> Value {
    let house = House::sending(settings, senders).await;
    let reply = house.get("/v1/auth/methods", "").await;
    reply.expect(200).unwrap().json
}

#[tokio::test]
async fn a_server_offers_what_it_has() {
    let nothing = json!({
        "registration": "open", "codes": [], "links": false, "passkeys": false, "providers": [],
    });
    let mut bare = settings();
    bare.passkeys = None;
    assert_eq!(offered(bare, Senders::default()).await, nothing);

    let mut all = settings();
    all.email_verification = EmailVerification::Required;
    all.passkeys = PasskeySite::behind("https://meydan.test");
    all.oauth = Oauth {
        providers: vec![Provider {
            name: "village".to_owned(),
            client_id: "meydan".to_owned(),
            client_secret: secret("a secret of the village"),
            kind: ProviderKind::Oidc {
                issuer: "https://village.example".to_owned(),
            },
        }],
        ..Oauth::default()
    };
    assert_eq!(
        offered(all, Post::new().senders()).await,
        json!({
            "registration": "letter", "codes": ["sms", "email"], "links": true, "passkeys": true,
            "providers": ["village"],
        })
    );
}

#[tokio::test]
async fn nobody_signs_up_where_letters_are_needed_and_none_are_carried() {
    let mut closed = settings();
    closed.email_verification = EmailVerification::Required;
    let told = offered(closed, Senders::default()).await;
    assert_eq!(told["registration"], "closed");
}

#[tokio::test]
async fn the_code_of_developers_needs_nobody_who_carries_it() {
    let mut known = settings();
    known.otp.dev_code = DevCode::Fixed;
    let told = offered(known, Senders::default()).await;
    assert_eq!(told["codes"], json!(["sms", "email"]));
    assert_eq!(told["links"], false);
}
