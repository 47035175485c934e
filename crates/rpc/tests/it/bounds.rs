//! Every bound, at its edge.

use std::time::Duration;

use rpc::Reflection;
use rpc::messages::{SendOtpRequest, ValidateTokenRequest};
use runtime::Drain;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Endpoint;

use crate::app::{App, DEADLINE, Next, details, reason};

fn validate(length: usize) -> ValidateTokenRequest {
    ValidateTokenRequest {
        access_token: "x".repeat(length),
    }
}

#[tokio::test]
async fn a_message_of_64_kib_is_read_and_a_larger_one_is_not() {
    // The tag and the length of the field.
    const AROUND: usize = 4;
    let app = App::start().await;
    let mut client = app.client().await;
    let edge = 64 * 1024 - AROUND;
    client.validate_token(validate(edge)).await.unwrap();
    let refused = client.validate_token(validate(edge + 1)).await;
    assert_eq!(refused.unwrap_err().code(), Code::OutOfRange);
    client.validate_token(validate(1)).await.unwrap();
}

#[tokio::test]
async fn a_call_that_takes_too_long_ends_at_its_deadline() {
    let app = App::with(Reflection::Off, |options| {
        options.deadline = Duration::from_millis(20);
    })
    .await;
    app.auth.will(Next::Wait);
    let mut client = app.client().await;
    let status = client
        .send_otp(SendOtpRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(reason(&status), "CALL_TIMEOUT");
}

#[tokio::test]
async fn more_calls_than_fit_are_told_to_come_back() {
    let app = App::with(Reflection::Off, |options| options.max_in_flight = 1).await;
    app.auth.will(Next::Wait);
    let mut one = app.client().await;
    let mut other = one.clone();
    let first = one.send_otp(SendOtpRequest::default());
    let second = async {
        app.auth.reached.notified().await;
        let status = other.send_otp(SendOtpRequest::default()).await.unwrap_err();
        app.auth.release.notify_one();
        status
    };
    let (first, status) = tokio::join!(first, second);
    first.unwrap();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(details(&status).retry_info().is_some());
    app.auth.will(Next::Answer);
    // The place of the first call is free again as soon as its answer is gone.
    let again = || {
        let mut client = one.clone();
        async move { client.send_otp(SendOtpRequest::default()).await.is_ok() }
    };
    testkit::servers::eventually("a free place", DEADLINE, again)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_panic_ends_one_call_only() {
    let app = App::start().await;
    let mut client = app.client().await;
    app.auth.will(Next::Panic);
    let status = client
        .send_otp(SendOtpRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(reason(&status), "INTERNAL");
    app.auth.will(Next::Answer);
    client.send_otp(SendOtpRequest::default()).await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed() {
    let app = App::with(Reflection::Off, |options| {
        options.bounds.max_connections = 1
    })
    .await;
    let mut client = app.client().await;
    client.send_otp(SendOtpRequest::default()).await.unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{}", app.address)).unwrap();
    let second = rpc::auth_client::AuthServiceClient::new(endpoint.connect_lazy());
    let refused = second.clone().send_otp(SendOtpRequest::default()).await;
    assert!(refused.is_err());
    client.send_otp(SendOtpRequest::default()).await.unwrap();
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let app = App::with(Reflection::Off, |options| {
        options.bounds.first_byte_timeout = Duration::from_millis(30);
    })
    .await;
    let mut silent = TcpStream::connect(app.address).await.unwrap();
    let mut rest = Vec::new();
    let read = timeout(DEADLINE, silent.read_to_end(&mut rest)).await;
    assert_eq!(read.unwrap().unwrap_or(0), 0);
}

#[tokio::test]
async fn what_is_no_grpc_is_told_so_in_words_of_http() {
    let app = App::start().await;
    let mut plain = TcpStream::connect(app.address).await.unwrap();
    let request = b"POST /auth.AuthService/SendOTP HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        content-type: application/grpc\r\ncontent-length: 0\r\n\r\n";
    plain.write_all(request).await.unwrap();
    let mut answer = String::new();
    let read = timeout(DEADLINE, plain.read_to_string(&mut answer)).await;
    read.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
    assert_eq!(app.auth.last(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_finishes_the_calls_in_progress() {
    let app = App::start().await;
    app.auth.will(Next::Wait);
    let mut client = app.client().await;
    let call = client.send_otp(SendOtpRequest::default());
    let stop = async {
        app.auth.reached.notified().await;
        let lifecycle = app.lifecycle.clone();
        let stopping = lifecycle.shutdown(DEADLINE);
        let release = async {
            lifecycle.soft().cancelled().await;
            app.auth.release.notify_one();
        };
        tokio::join!(stopping, release).0
    };
    let (answer, drain) = tokio::join!(call, stop);
    assert!(answer.unwrap().into_inner().success);
    assert_eq!(drain, Drain::Drained);
}
