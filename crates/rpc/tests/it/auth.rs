//! The six calls: what reaches identity, what comes back, and how its failures look.

use std::time::Duration;

use kernel::failure::{INTERNAL, INVALID_REQUEST, RATE_LIMITED, UNAVAILABLE};
use kernel::{ErrorKind, ErrorRow, FieldError};
use rpc::messages::{
    LogoutAllDevicesRequest, RefreshTokenRequest, RevokeCurrentDeviceRequest, SendOtpRequest,
    SendOtpResponse, ValidateTokenRequest, VerifyOtpRequest, VerifyOtpResponse,
};
use tonic::Code;

use crate::app::{App, Failing, Next, details, reason, row, with};

fn seed_send() -> SendOtpRequest {
    SendOtpRequest {
        phone_number: "+905551234567".to_owned(),
        ..SendOtpRequest::default()
    }
}

#[tokio::test]
async fn s25_calls_with_the_first_fields_alone_work() {
    let app = App::start().await;
    let mut client = app.client().await;
    let sent = client.send_otp(seed_send()).await.unwrap().into_inner();
    let expected = SendOtpResponse {
        success: true,
        resend_after_seconds: 60,
        handle: "handle".to_owned(),
    };
    assert_eq!(sent, expected);
    assert!(
        app.auth.last().contains("locale: None"),
        "{}",
        app.auth.last()
    );
    let proof = VerifyOtpRequest {
        phone_number: "+905551234567".to_owned(),
        otp_code: "123456".to_owned(),
        ..VerifyOtpRequest::default()
    };
    let pair = client.verify_otp(proof).await.unwrap().into_inner();
    let expected = VerifyOtpResponse {
        access_token: "access".to_owned(),
        refresh_token: "refresh".to_owned(),
        user_id: "42".to_owned(),
        is_new_user: true,
    };
    assert_eq!(pair, expected);
    let asked = app.auth.last();
    for absent in [
        "handle: None",
        "second_factor: None",
        "device_name: None",
        "device_type: None",
        "push_notification_token: None",
    ] {
        assert!(asked.contains(absent), "{absent} in {asked}");
    }
}

#[tokio::test]
async fn every_further_field_reaches_identity() {
    let app = App::start().await;
    let mut client = app.client().await;
    let message = SendOtpRequest {
        locale: "tr".to_owned(),
        ..seed_send()
    };
    client.send_otp(message).await.unwrap();
    let asked = app.auth.last();
    assert!(asked.contains("locale: Some(\"tr\")"), "{asked}");
    assert!(asked.contains("test-client/1"), "{asked}");
    let proof = VerifyOtpRequest {
        phone_number: "+905551234567".to_owned(),
        otp_code: "123456".to_owned(),
        device_name: "phone of Ayşe".to_owned(),
        device_type: "ios".to_owned(),
        push_notification_token: "push".to_owned(),
        second_factor: "654321".to_owned(),
        handle: "handle".to_owned(),
    };
    client.verify_otp(proof).await.unwrap();
    let asked = app.auth.last();
    for text in ["phone of Ayşe", "ios", "push", "654321", "handle"] {
        assert!(
            asked.contains(&format!("Some({text:?})")),
            "{text} in {asked}"
        );
    }
    let message = RefreshTokenRequest {
        refresh_token: "refresh".to_owned(),
        attempt_id: "0123456789abcdef".to_owned(),
    };
    let next = client.refresh_token(message).await.unwrap().into_inner();
    assert_eq!(next.refresh_token, "refresh");
    assert_eq!(app.auth.last(), "refresh Some(\"0123456789abcdef\")");
}

#[tokio::test]
async fn a_bad_token_is_an_answer_and_not_an_error() {
    let app = App::start().await;
    let mut client = app.client().await;
    for (token, valid, user) in [
        ("access", true, "42"),
        ("rubbish", false, ""),
        ("", false, ""),
    ] {
        let message = ValidateTokenRequest {
            access_token: token.to_owned(),
        };
        let answer = client.validate_token(message).await.unwrap().into_inner();
        assert_eq!((answer.is_valid, answer.user_id.as_str()), (valid, user));
    }
}

#[tokio::test]
async fn logging_out_passes_the_token_on() {
    let app = App::start().await;
    let mut client = app.client().await;
    let message = RevokeCurrentDeviceRequest {
        refresh_token: "mine".to_owned(),
    };
    let answer = client.revoke_current_device(message).await.unwrap();
    assert!(answer.into_inner().success);
    assert_eq!(app.auth.last(), "mine");
    let message = LogoutAllDevicesRequest {
        access_token: "all".to_owned(),
    };
    let answer = client.logout_all_devices(message).await.unwrap();
    assert!(answer.into_inner().success);
    assert_eq!(app.auth.last(), "all");
}

const SECOND_FACTOR: ErrorRow = row("SECOND_FACTOR_REQUIRED", ErrorKind::Unauthenticated);
const LOCKED: ErrorRow = row("REGISTRATION_LOCKED", ErrorKind::Forbidden);
const OTP: ErrorRow = row("OTP_INVALID", ErrorKind::Unauthenticated);
const FORBIDDEN: ErrorRow = row("FORBIDDEN", ErrorKind::Forbidden);
const ABSENT: ErrorRow = row("NOT_FOUND", ErrorKind::NotFound);
const TAKEN: ErrorRow = row("CONTACT_TAKEN", ErrorKind::Conflict);
const PHONE: ErrorRow = row("PHONE_INVALID", ErrorKind::Invalid);

#[tokio::test]
async fn failures_become_statuses_with_our_codes_as_reasons() {
    let app = App::start().await;
    let mut client = app.client().await;
    let table: [(Failing, Code, &str); 10] = [
        (|| PHONE.fail(), Code::InvalidArgument, "PHONE_INVALID"),
        (|| OTP.fail(), Code::Unauthenticated, "OTP_INVALID"),
        (|| FORBIDDEN.fail(), Code::PermissionDenied, "FORBIDDEN"),
        (|| ABSENT.fail(), Code::NotFound, "NOT_FOUND"),
        (|| TAKEN.fail(), Code::FailedPrecondition, "CONTACT_TAKEN"),
        (
            || SECOND_FACTOR.fail(),
            Code::FailedPrecondition,
            "SECOND_FACTOR_REQUIRED",
        ),
        (
            || LOCKED.fail(),
            Code::FailedPrecondition,
            "REGISTRATION_LOCKED",
        ),
        (
            || RATE_LIMITED.fail(),
            Code::ResourceExhausted,
            "RATE_LIMITED",
        ),
        (|| UNAVAILABLE.fail(), Code::Unavailable, "UNAVAILABLE"),
        (|| INTERNAL.fail(), Code::Internal, "INTERNAL"),
    ];
    for (failure, code, expected) in table {
        app.auth.will(Next::Fail(failure));
        let status = client.send_otp(seed_send()).await.unwrap_err();
        assert_eq!(status.code(), code, "{expected}");
        assert_eq!(reason(&status), expected);
        let promises = matches!(code, Code::ResourceExhausted | Code::Unavailable);
        assert_eq!(
            details(&status).retry_info().is_some(),
            promises,
            "{expected}"
        );
    }
}

#[tokio::test]
async fn details_name_fields_members_pauses_and_the_request() {
    let app = App::start().await;
    let mut client = app.client().await;
    app.auth.will(Next::Fail(|| {
        INVALID_REQUEST
            .fail()
            .field(FieldError::new(
                "/phone_number",
                "TOO_LONG",
                "at most 16 digits",
            ))
            .extra("methods", vec!["totp", "recovery"])
            .extra("unlocks_at", "2026-01-01T00:00:00Z")
            .retry_after(Duration::from_secs(30))
            .because("the internal cause")
    }));
    let request = with(seed_send(), &[("x-request-id", "from-client-1")]);
    let status = client.send_otp(request).await.unwrap_err();
    let details = details(&status);
    let fields = &details.bad_request().unwrap().field_violations;
    assert_eq!(fields[0].field, "phone_number");
    assert_eq!(fields[0].reason, "TOO_LONG");
    assert_eq!(fields[0].description, "at most 16 digits");
    let members = &details.error_info().unwrap().metadata;
    assert_eq!(members["methods"], "[\"totp\",\"recovery\"]");
    assert_eq!(members["unlocks_at"], "2026-01-01T00:00:00Z");
    let pause = details.retry_info().unwrap().retry_delay;
    assert_eq!(pause, Some(Duration::from_secs(30)));
    assert_eq!(details.request_info().unwrap().request_id, "from-client-1");
    assert!(!format!("{status:?}").contains("internal cause"));
}

#[tokio::test]
async fn the_message_for_people_speaks_their_language() {
    let app = App::start().await;
    let mut client = app.client().await;
    app.auth.will(Next::Fail(|| PHONE.fail()));
    for (header, tag, text) in [
        ("tr-TR,tr;q=0.9", "tr", "Türkçe"),
        ("de", "en", "in English"),
    ] {
        let request = with(seed_send(), &[("accept-language", header)]);
        let status = client.send_otp(request).await.unwrap_err();
        assert_eq!(status.message(), "in English", "for developers");
        let details = details(&status);
        let message = details.localized_message().unwrap();
        assert_eq!(
            (message.locale.as_str(), message.message.as_str()),
            (tag, text)
        );
    }
}
