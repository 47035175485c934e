//! What other processes of the installation ask, and which of them are let in.

use std::sync::atomic::Ordering::SeqCst;

use kernel::{Clock as _, DeviceId, SystemClock, UserId};
use rpc::auth_client::AuthServiceClient;
use rpc::credentials_client::CredentialsClient;
use rpc::internal_messages::{
    AccessForCookieRequest, DeviceIsLiveRequest, KeysRequest, ResolveApiKeyRequest,
    RevokedSinceRequest, RolesRequest, ServiceTokenRequest, TakeTicketRequest,
};
use rpc::messages::SendOtpRequest;
use rpc::{Method, Policy, Reflection};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use web_kit::{OnStale, TokenVerifier};

use crate::app::{App, DEADLINE, reason, with};
use crate::issuer::{Issuer, KNOWN, Served};

const NAME: &str = "x-meydan-service";

/// A question of the process with this token.
fn by<T>(message: T, token: &str) -> Request<T> {
    with(message, &[(NAME, token)])
}

fn told(status: &Status) -> (Code, String) {
    (status.code(), reason(status))
}

#[tokio::test]
async fn s2_an_internal_method_needs_the_token_of_a_process() {
    let issuer = Issuer::new();
    let served = Served::start(&issuer).await;
    let mut client = served.client().await;
    let good = issuer.good_token();
    client.keys(by(KeysRequest {}, &good)).await.unwrap();
    assert_eq!(issuer.questions(), 1);
    let bearer = format!("Bearer {good}");
    let token = |header, kind, audience| issuer.token(header, kind, audience, 300);
    let wrong = [
        vec![],
        vec![(NAME, String::new())],
        vec![(NAME, "rubbish".to_owned())],
        vec![(NAME, bearer.clone())],
        vec![(NAME, good.clone()), (NAME, good.clone())],
        // In the place of a user's token.
        vec![("authorization", bearer)],
        vec![("authorization", good)],
        // A user's token in its place, and every other mixture.
        vec![(NAME, issuer.access_token())],
        vec![(NAME, token("st+jwt", "service", "my-app-client"))],
        vec![(NAME, token("st+jwt", "access", "meydan-internal"))],
        vec![(NAME, token("at+jwt", "service", "meydan-internal"))],
        vec![(
            NAME,
            issuer.token("st+jwt", "service", "meydan-internal", -30),
        )],
    ];
    for metadata in wrong {
        let metadata: Vec<_> = metadata
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let refused = client.keys(with(KeysRequest {}, &metadata)).await;
        let expected = (Code::Unauthenticated, "SERVICE_TOKEN_INVALID".to_owned());
        assert_eq!(told(&refused.unwrap_err()), expected, "{metadata:?}");
    }
    assert_eq!(issuer.questions(), 1, "nothing reached identity");
    // To the edge.
    let old = issuer.token("st+jwt", "service", "meydan-internal", -29);
    client.keys(by(KeysRequest {}, &old)).await.unwrap();
}

#[tokio::test]
async fn s2_an_end_user_beside_the_process_is_judged_as_everywhere() {
    let issuer = Issuer::new();
    let served = Served::start(&issuer).await;
    let mut client = served.client().await;
    let token = issuer.good_token();
    let mut ask = async |credential: &str| {
        let both = [(NAME, token.as_str()), ("authorization", credential)];
        let answer = client.keys(with(KeysRequest {}, &both)).await;
        answer.map(drop).map_err(|status| told(&status))
    };
    let refused = |code, reason: &str| Err((code, reason.to_owned()));
    let user = format!("Bearer {}", issuer.access_token());
    assert_eq!(ask(&user).await, Ok(()));
    let unknown = refused(Code::Unauthenticated, "UNAUTHENTICATED");
    for credential in ["", "Bearer rubbish", "Bot x", &format!("Bearer {token}")] {
        assert_eq!(ask(credential).await, unknown, "{credential}");
    }
    served
        .verifier
        .revoke(&[DeviceId::new(7)], issuer.clock.now());
    assert_eq!(ask(&user).await, unknown);
}

/// Watching is for processes here: a stream whose end shows in whose name it was opened.
const WATCH_FOR_PROCESSES: &[Method] = &[Method {
    path: "/grpc.health.v1.Health/Watch",
    policy: Policy::Internal,
}];

#[tokio::test]
async fn s10_a_call_in_the_name_of_a_user_ends_with_the_users_device() {
    let app = App::with(Reflection::Off, |options| {
        options.methods = WATCH_FOR_PROCESSES;
    })
    .await;
    let service = testkit::http::service_token("messaging").unwrap();
    let user = testkit::http::token(UserId::new(7)).unwrap();
    let user = format!("Bearer {user}");
    let mut client = app.health().await;
    let alone = by(HealthCheckRequest::default(), &service);
    let both = [(NAME, service.as_str()), ("authorization", &user)];
    let both = with(HealthCheckRequest::default(), &both);
    let mut alone = client.watch(alone).await.unwrap().into_inner();
    let mut both = client.watch(both).await.unwrap().into_inner();
    app.verifier.revoke(&[DeviceId::new(7)], SystemClock.now());
    let ended = async {
        loop {
            if let Err(status) = both.message().await {
                return status;
            }
        }
    };
    let status = timeout(DEADLINE, ended).await.unwrap();
    assert_eq!(status.code(), Code::Unauthenticated);
    app.fall_ill();
    let goes_on = async { while alone.message().await.unwrap().unwrap().status != 2 {} };
    timeout(DEADLINE, goes_on).await.unwrap();
}

#[tokio::test]
async fn s2_a_service_token_opens_no_method_of_users() {
    const CHECK_FOR_CALLERS: &[Method] = &[Method {
        path: "/grpc.health.v1.Health/Check",
        policy: Policy::Caller,
    }];
    let app = App::with(Reflection::Off, |options| {
        options.methods = CHECK_FOR_CALLERS;
    })
    .await;
    let token = testkit::http::service_token("messaging").unwrap();
    let bearer = format!("Bearer {token}");
    let mut client = app.health().await;
    for metadata in [
        vec![(NAME, token.as_str())],
        vec![("authorization", bearer.as_str())],
        vec![(NAME, token.as_str()), ("authorization", bearer.as_str())],
    ] {
        let request = with(HealthCheckRequest::default(), &metadata);
        let status = client.check(request).await.unwrap_err();
        let expected = (Code::Unauthenticated, "UNAUTHENTICATED".to_owned());
        assert_eq!(told(&status), expected, "{metadata:?}");
    }
}

#[tokio::test]
async fn s2_neither_listener_serves_the_methods_of_the_other() {
    let issuer = Issuer::new();
    let served = Served::start(&issuer).await;
    let user = format!("Bearer {}", issuer.access_token());
    let token = issuer.good_token();
    let both = [(NAME, token.as_str()), ("authorization", user.as_str())];
    let mut auth = AuthServiceClient::new(served.channel().await);
    let status = auth.send_otp(with(SendOtpRequest::default(), &both)).await;
    assert_eq!(status.unwrap_err().code(), Code::PermissionDenied);
    let mut health = HealthClient::new(served.channel().await);
    let status = health
        .check(by(HealthCheckRequest::default(), &token))
        .await;
    assert_eq!(status.unwrap_err().code(), Code::Unauthenticated);

    let app = App::with(Reflection::On, |_| {}).await;
    let user = testkit::http::token(UserId::new(7)).unwrap();
    let user = format!("Bearer {user}");
    let token = testkit::http::service_token("messaging").unwrap();
    let mut client = CredentialsClient::new(app.channel().await);
    let status = client.keys(by(KeysRequest {}, &token)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let both = [(NAME, token.as_str()), ("authorization", user.as_str())];
    let status = client.keys(with(KeysRequest {}, &both)).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let asked = client.service_token(ServiceTokenRequest::default()).await;
    assert_eq!(asked.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn without_keys_and_under_a_shared_secret_no_process_is_known() {
    let issuer = Issuer::new();
    let token = issuer.good_token();
    let without: fn(TokenVerifier) -> TokenVerifier = |verifier| {
        verifier.set_keys(Vec::new());
        verifier
    };
    let shared: fn(TokenVerifier) -> TokenVerifier = |verifier| {
        verifier
            .hs256(b"a secret that older services have too")
            .on_stale(OnStale::Allow)
    };
    for (change, code) in [
        (without, Code::Unavailable),
        (shared, Code::Unauthenticated),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let served = Served::on(listener, &issuer, change);
        let asked = served.client().await.keys(by(KeysRequest {}, &token)).await;
        assert_eq!(asked.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn fields_that_are_not_what_they_should_be_are_told() {
    let issuer = Issuer::new();
    let served = Served::start(&issuer).await;
    let mut client = served.client().await;
    let token = issuer.good_token();
    let invalid = |status: Status, field: &str| {
        assert_eq!(status.code(), Code::InvalidArgument, "{field}");
        let details = crate::app::details(&status);
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, field);
    };
    for length in [0, 31, 33] {
        let sha256 = vec![7; length];
        let key = ResolveApiKeyRequest {
            sha256: sha256.clone(),
        };
        invalid(
            client.resolve_api_key(by(key, &token)).await.unwrap_err(),
            "sha256",
        );
        let ticket = TakeTicketRequest {
            sha256: sha256.clone(),
        };
        invalid(
            client.take_ticket(by(ticket, &token)).await.unwrap_err(),
            "sha256",
        );
        let cookie = AccessForCookieRequest {
            sha256,
            ..AccessForCookieRequest::default()
        };
        invalid(
            client
                .access_for_cookie(by(cookie, &token))
                .await
                .unwrap_err(),
            "sha256",
        );
    }
    let cookie = AccessForCookieRequest {
        sha256: KNOWN.to_vec(),
        ip: "somewhere".to_owned(),
        user_agent: None,
    };
    invalid(
        client
            .access_for_cookie(by(cookie, &token))
            .await
            .unwrap_err(),
        "ip",
    );
    let since = RevokedSinceRequest { since: i64::MAX };
    invalid(
        client.revoked_since(by(since, &token)).await.unwrap_err(),
        "since",
    );
    let proof = ServiceTokenRequest {
        nonce: vec![3; 15],
        ..ServiceTokenRequest::default()
    };
    invalid(client.service_token(proof).await.unwrap_err(), "nonce");
    let proof = ServiceTokenRequest {
        nonce: vec![3; 16],
        mac: vec![4; 31],
        ..ServiceTokenRequest::default()
    };
    invalid(client.service_token(proof).await.unwrap_err(), "mac");
    assert_eq!(issuer.questions(), 0);
}

#[tokio::test]
async fn what_identity_cannot_do_is_told_and_messages_are_bounded() {
    let issuer = Issuer::new();
    let served = Served::start(&issuer).await;
    let mut client = served.client().await;
    let token = issuer.good_token();
    issuer.failing.store(1, SeqCst);
    let roles = RolesRequest { user_id: 42 };
    let status = client.roles(by(roles, &token)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    client.roles(by(roles, &token)).await.unwrap();
    // The tag and the length of the field, then the two of the digest.
    let edge = 64 * 1024 - 4 - 34;
    let agent = |length: usize| AccessForCookieRequest {
        sha256: KNOWN.to_vec(),
        ip: String::new(),
        user_agent: Some("x".repeat(length)),
    };
    let read = client.access_for_cookie(by(agent(edge), &token)).await;
    assert_eq!(
        read.unwrap_err().code(),
        Code::InvalidArgument,
        "the address"
    );
    let not_read = client.access_for_cookie(by(agent(edge + 1), &token)).await;
    assert_eq!(not_read.unwrap_err().code(), Code::OutOfRange);
    let device = DeviceIsLiveRequest { device_id: -7 };
    assert!(
        client
            .device_is_live(by(device, &token))
            .await
            .unwrap()
            .into_inner()
            .is_live
    );
}
