//! Who is let in, from where they come, and that a call's end is counted.

use kernel::UserId;
use rpc::messages::{SendOtpRequest, ValidateTokenRequest};
use rpc::{Method, Policy, Reflection};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use web_kit::OnStale;

use crate::app::{App, as_user, reason, with};

const CHECK_FOR_CALLERS: &[Method] = &[Method {
    path: "/grpc.health.v1.Health/Check",
    policy: Policy::Caller,
}];

fn check() -> HealthCheckRequest {
    HealthCheckRequest::default()
}

#[tokio::test]
async fn public_methods_ignore_the_header() {
    let app = App::start().await;
    let mut client = app.client().await;
    for header in ["Bearer rubbish", "", "Bot x"] {
        let request = with(SendOtpRequest::default(), &[("authorization", header)]);
        client.send_otp(request).await.unwrap();
    }
}

#[tokio::test]
async fn other_methods_need_a_valid_token() {
    let app = App::with(Reflection::Off, |options| {
        options.methods = CHECK_FOR_CALLERS
    })
    .await;
    let mut client = app.health().await;
    let good = testkit::http::token(UserId::new(7)).unwrap();
    client.check(as_user(check(), &good)).await.unwrap();
    let bot = testkit::http::bot_token(UserId::new(8));
    for header in [
        String::new(),
        "Bearer rubbish".to_owned(),
        format!("Bot {bot}"),
        good.clone(),
        format!("Basic {good}"),
    ] {
        let request = with(check(), &[("authorization", &header)]);
        let status = client.check(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{header}");
        assert_eq!(reason(&status), "UNAUTHENTICATED");
    }
    let status = client.check(check()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let twice = [("authorization", "Bearer x"), ("authorization", "Bearer y")];
    let status = client.check(with(check(), &twice)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn s2_undeclared_methods_are_nobodys() {
    let app = App::with(Reflection::Off, |options| options.methods = &[]).await;
    let mut client = app.client().await;
    let status = client
        .send_otp(SendOtpRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let token = testkit::http::token(UserId::new(7)).unwrap();
    let request = as_user(SendOtpRequest::default(), &token);
    let status = client.send_otp(request).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(reason(&status), "FORBIDDEN");
    assert_eq!(app.auth.last(), "", "nothing reached the service");
}

#[tokio::test]
async fn a_token_that_cannot_be_judged_is_told_to_come_back() {
    let app = App::with(Reflection::Off, |options| {
        options.methods = CHECK_FOR_CALLERS;
        // Nobody has fed it keys.
        let clock = options.clock.clone();
        let verifier = web_kit::TokenVerifier::new("i", "a", clock).on_stale(OnStale::Deny);
        options.verifier = verifier.into();
    })
    .await;
    let mut client = app.health().await;
    let token = testkit::http::token(UserId::new(7)).unwrap();
    let status = client.check(as_user(check(), &token)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn s10_a_revoked_device_is_refused_at_once() {
    let app = App::with(Reflection::Off, |options| {
        options.methods = CHECK_FOR_CALLERS
    })
    .await;
    let mut client = app.health().await;
    let token = testkit::http::token(UserId::new(7)).unwrap();
    client.check(as_user(check(), &token)).await.unwrap();
    let now = kernel::Clock::now(&kernel::SystemClock);
    app.verifier.revoke(&[kernel::DeviceId::new(7)], now);
    let status = client.check(as_user(check(), &token)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn forwarding_headers_count_only_from_proxies() {
    let forwarded = [("x-forwarded-for", "203.0.113.9")];
    for (proxies, ip) in [
        (&[][..], "127.0.0.1"),
        (&["127.0.0.0/8"][..], "203.0.113.9"),
    ] {
        let app = App::with(Reflection::Off, |options| {
            let networks = proxies.iter().map(|network| network.parse().unwrap());
            options.trusted_proxies = networks.collect();
        })
        .await;
        let message = ValidateTokenRequest {
            access_token: "t".to_owned(),
        };
        let request = with(message, &forwarded);
        app.client().await.validate_token(request).await.unwrap();
        assert_eq!(app.auth.last(), format!("t {ip}"));
    }
}

#[tokio::test]
async fn every_answer_carries_the_request_id() {
    let app = App::start().await;
    let mut client = app.client().await;
    let request = with(SendOtpRequest::default(), &[("x-request-id", "abcdefgh")]);
    let answer = client.send_otp(request).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "abcdefgh");
    let request = with(
        SendOtpRequest::default(),
        &[("x-request-id", "no spaces, please")],
    );
    let answer = client.send_otp(request).await.unwrap();
    let id = answer.metadata().get("x-request-id").unwrap();
    assert_eq!(id.len(), 20, "one of ours: {id:?}");
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code() {
    let metrics = runtime::telemetry::metrics();
    let app = App::start().await;
    let mut client = app.client().await;
    client.send_otp(SendOtpRequest::default()).await.unwrap();
    app.auth
        .will(crate::app::Next::Fail(|| kernel::failure::FORBIDDEN.fail()));
    client
        .send_otp(SendOtpRequest::default())
        .await
        .unwrap_err();
    // The end of a call is counted when its connection lets go of the answer.
    let counted = || async {
        let text = metrics.render();
        ["OK", "PERMISSION_DENIED"].iter().all(|code| {
            let line = format!(
                "meydan_grpc_requests_total{{method=\"/auth.AuthService/SendOTP\",code=\"{code}\"}} 1"
            );
            text.contains(&line)
        })
    };
    testkit::servers::eventually("both calls are counted", crate::app::DEADLINE, counted)
        .await
        .unwrap();
}
