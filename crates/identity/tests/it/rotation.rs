//! S12: signing keys change while people are at work, and nobody is told that their token is bad.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use contracts::Credentials as _;
use identity::{Identity, Rotation};
use kernel::Clock as _;
use web_kit::{OnStale, PublicKey, TokenVerifier};

use crate::harness::{House, Session, settings};

const DAY: u64 = 24 * 3600;
const PEOPLE: usize = 8;

fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

async fn keys(node: &Identity) -> Vec<PublicKey> {
    let keys = node.keys().await.unwrap().into_iter();
    keys.map(|key| PublicKey {
        kid: key.kid,
        ed25519: key.public,
    })
    .collect()
}

/// A second node whose verifier looks at keys only when a token names one that it does not have.
struct Sleepy {
    node: Arc<Identity>,
    verifier: TokenVerifier,
}

impl Sleepy {
    async fn beside(house: &House) -> Self {
        let node = house.sibling(settings());
        let verifier = TokenVerifier::new("my-auth-service", "my-app-client", house.clock.clone())
            .on_stale(OnStale::Allow);
        verifier.set_keys(keys(&node).await);
        Sleepy { node, verifier }
    }

    /// Whether it lets a token in, and how often it had to look.
    async fn lets_in(&self, token: &str) -> (bool, usize) {
        let mut looks = 0;
        let bearer = format!("Bearer {token}");
        let judged = self.verifier.verify(&bearer);
        tokio::pin!(judged);
        loop {
            tokio::select! {
                verdict = &mut judged => return (verdict.is_ok(), looks),
                () = self.verifier.unknown_key() => {
                    looks += 1;
                    self.verifier.set_keys(keys(&self.node).await);
                }
            }
        }
    }
}

/// Everybody refreshes, at one node or the other, and shows what they get to both.
async fn a_round(house: &House, sleepy: &Sleepy, people: &mut [Session]) -> usize {
    let mut looks = 0;
    for (index, session) in people.iter_mut().enumerate() {
        let node = if index % 2 == 0 {
            &house.identity
        } else {
            &sleepy.node
        };
        let pair = node.refresh(&session.refresh, None).await.unwrap();
        // The token of the round before is good for its quarter of an hour.
        for token in [&pair.access_token, &session.access] {
            let me = house.feeding(house.get("/v1/users/@me", token)).await;
            assert_eq!(me.status, 200);
            let (let_in, looked) = sleepy.lets_in(token).await;
            assert!(let_in);
            looks += looked;
        }
        session.access = pair.access_token;
        session.refresh = pair.refresh_token;
    }
    looks
}

#[tokio::test]
async fn s12_a_key_is_published_a_day_before_it_signs_and_no_token_is_refused_over_it() {
    let house = House::new().await;
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        people.push(house.register(&format!("person{number}")).await);
    }
    let sleepy = Sleepy::beside(&house).await;
    let old = kid(&people[0].access);
    let begun = house.clock.now();
    let after = Rotation::After(Duration::from_secs(DAY));
    let (new, from) = house.identity.replace_signing_key(after).await.unwrap();
    assert_eq!(from, begun + Duration::from_secs(DAY));
    let published = house.get("/.well-known/jwks.json", "").await;
    assert!(published.json.to_string().contains(&new), "before it signs");
    let mut looks = Vec::new();
    for at in [0, DAY - 600, DAY - 1, DAY, DAY + 600, DAY + 2 * 600] {
        house.clock.set(begun + Duration::from_secs(at));
        if at == DAY - 600 {
            // A day without a visit: only refresh tokens live so long.
            for session in &mut people {
                let pair = sleepy.node.refresh(&session.refresh, None).await.unwrap();
                session.access = pair.access_token;
                session.refresh = pair.refresh_token;
            }
        }
        looks.push(a_round(&house, &sleepy, &mut people).await);
        let signed_by: BTreeSet<String> =
            people.iter().map(|session| kid(&session.access)).collect();
        let expected = if at < DAY { &old } else { &new };
        assert_eq!(
            signed_by,
            BTreeSet::from([expected.clone()]),
            "after {at} s"
        );
    }
    assert_eq!(
        looks,
        [0, 0, 0, 1, 0, 0],
        "the old key set was looked at again, once"
    );
}
