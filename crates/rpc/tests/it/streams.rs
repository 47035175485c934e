//! How streams end: with their device, never with their token alone, and with the process.

use std::time::Duration;

use kernel::{Clock as _, DeviceId, SystemClock, UserId};
use rpc::{Method, Policy, Reflection};
use runtime::Drain;
use serde_json::json;
use testkit::http::{AUDIENCE, ISSUER, KID};
use tokio::time::{Instant, timeout};
use tonic::{Code, Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::app::{App, DEADLINE, Device, as_user};

/// Watching is for callers here: a stream that says something whenever the test wants it.
const WATCH_FOR_CALLERS: &[Method] = &[Method {
    path: "/grpc.health.v1.Health/Watch",
    policy: Policy::Caller,
}];

type Watch = Streaming<HealthCheckResponse>;

async fn app() -> App {
    App::with(Reflection::Off, |options| {
        options.methods = WATCH_FOR_CALLERS
    })
    .await
}

async fn watch(app: &App, token: &str) -> Result<Watch, Status> {
    let request = as_user(HealthCheckRequest::default(), token);
    let mut stream = app.health().await.watch(request).await?.into_inner();
    assert_eq!(told(&mut stream).await?, ServingStatus::Serving);
    Ok(stream)
}

async fn told(stream: &mut Watch) -> Result<ServingStatus, Status> {
    let message = timeout(DEADLINE, stream.message()).await.unwrap()?;
    Ok(message.unwrap().status())
}

/// The next news. That the server serves may be told twice: it is assumed at first, then known.
async fn next(stream: &mut Watch) -> Result<ServingStatus, Status> {
    loop {
        match told(stream).await? {
            ServingStatus::Serving => {}
            other => return Ok(other),
        }
    }
}

/// A token of user and device 7 that ends so many seconds from now.
fn token(ends_in: i64) -> String {
    let now = SystemClock.now().as_second();
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": KID });
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "type": "access", "sub": "7", "sid": "7", "jti": "1",
        "iat": now, "exp": now + ends_in, "auth_time": now, "acr": "aal1", "amr": ["otp"],
    });
    testkit::http::sign(&header, &claims).unwrap()
}

#[tokio::test]
async fn a_stream_needs_a_token_too() {
    let app = app().await;
    let mut client = app.health().await;
    let refused = client.watch(HealthCheckRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    let refused = watch(&app, "rubbish").await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    watch(&app, &token(900)).await.unwrap();
}

#[tokio::test]
async fn s10_a_stream_ends_within_a_second_of_its_devices_revocation() {
    let app = app().await;
    let mine = testkit::http::token(UserId::new(7)).unwrap();
    let other = testkit::http::token(UserId::new(8)).unwrap();
    let mut mine = watch(&app, &mine).await.unwrap();
    let mut other = watch(&app, &other).await.unwrap();
    let begun = Instant::now();
    app.verifier.revoke(&[DeviceId::new(7)], SystemClock.now());
    let status = next(&mut mine).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(begun.elapsed() < Duration::from_secs(1));
    app.fall_ill();
    let told = next(&mut other).await.unwrap();
    assert_eq!(told, ServingStatus::NotServing, "others go on");
}

#[tokio::test]
async fn a_stream_outlives_its_token_while_the_device_lives() {
    let app = app().await;
    // Already ended, within the leeway: the device is looked at right away.
    let mut stream = watch(&app, &token(-5)).await.unwrap();
    timeout(DEADLINE, app.credentials.asked.notified())
        .await
        .unwrap();
    app.fall_ill();
    assert_eq!(next(&mut stream).await.unwrap(), ServingStatus::NotServing);
    app.verifier.revoke(&[DeviceId::new(7)], SystemClock.now());
    let status = next(&mut stream).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn at_the_end_of_its_token_a_dead_device_ends_the_stream() {
    for (device, code) in [
        (Device::Dead, Code::Unauthenticated),
        (Device::Away, Code::Unavailable),
    ] {
        let app = app().await;
        *app.credentials.device.lock().unwrap() = device;
        let mut stream = watch(&app, &token(1)).await.unwrap();
        let status = next(&mut stream).await.unwrap_err();
        assert_eq!(status.code(), code, "{device:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_ends_streams_and_the_server() {
    let app = App::start().await;
    let request = HealthCheckRequest::default();
    let watched = app.health().await.watch(request).await;
    let mut stream = watched.unwrap().into_inner();
    assert_eq!(told(&mut stream).await.unwrap(), ServingStatus::Serving);
    let lifecycle = app.lifecycle.clone();
    let stopping = lifecycle.shutdown(DEADLINE);
    let ended = async {
        loop {
            match next(&mut stream).await {
                // What was said before the end may still come.
                Ok(status) => assert_eq!(status, ServingStatus::NotServing),
                Err(status) => return status,
            }
        }
    };
    let (drain, status) = tokio::join!(stopping, ended);
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(drain, Drain::Drained);
}
