//! Logging in with one-time passwords as the gRPC service asks for it.

use contracts::Auth as _;
use contracts::identity::{From, SendOtp, VerifyOtp};
use serde_json::json;

use crate::harness::{Session, refusal};
use crate::otp::{handle, house};
use crate::post::PHONE;

fn from() -> From {
    From {
        ip: "198.51.100.7".parse().unwrap(),
        user_agent: None,
    }
}

pub(crate) fn send_otp(number: &str) -> SendOtp {
    SendOtp {
        phone_number: number.to_owned(),
        locale: None,
        from: from(),
    }
}

pub(crate) fn verify_otp(code: &str, handle: Option<&str>, second: Option<&str>) -> VerifyOtp {
    VerifyOtp {
        phone_number: PHONE.to_owned(),
        handle: handle.map(str::to_owned),
        otp_code: code.to_owned(),
        second_factor: second.map(str::to_owned),
        device_name: Some("Telefon".to_owned()),
        device_type: Some("toaster".to_owned()),
        push_notification_token: Some(String::new()),
        from: from(),
    }
}

#[tokio::test]
async fn the_seeds_calls_work_with_their_first_fields_alone() {
    let (house, post) = house().await;
    let identity = &house.identity;
    let sent = identity.send_otp(send_otp(PHONE)).await.unwrap();
    assert_eq!(sent.resend_after_seconds, 60);
    let text = post.next().await;
    assert!(text.text().contains("kodu"), "{}", text.text());
    let pair = identity
        .verify_otp(verify_otp(&text.code(), None, None))
        .await
        .unwrap();
    assert!(pair.is_new_user);
    let ip = from().ip;
    let valid = async |token: &str| {
        contracts::Auth::validate(&**identity, token, ip)
            .await
            .unwrap()
    };
    assert_eq!(valid(&pair.access_token).await, Some(pair.user));
    assert_eq!(valid(&pair.refresh_token).await, None);
    let next = contracts::Auth::refresh(&*house.identity, &pair.refresh_token, None)
        .await
        .unwrap();
    assert!(!next.is_new_user && next.user == pair.user);
    let wrong_kind = contracts::Auth::refresh(&*house.identity, &pair.access_token, None).await;
    assert_eq!(wrong_kind.unwrap_err().row.code, "REFRESH_INVALID");
    for _ in 0..2 {
        house
            .identity
            .revoke_current_device(&next.refresh_token)
            .await
            .unwrap();
    }
    let gone = contracts::Auth::refresh(&*house.identity, &next.refresh_token, None).await;
    assert_eq!(gone.unwrap_err().row.code, "REFRESH_INVALID");
}

#[tokio::test]
async fn the_newest_code_of_a_number_is_meant_without_a_handle() {
    let (house, post) = house().await;
    let identity = &house.identity;
    let older = identity.send_otp(send_otp(PHONE)).await.unwrap();
    let old_code = post.next().await.code();
    house.wait(60);
    identity.send_otp(send_otp(PHONE)).await.unwrap();
    let new_code = post.next().await.code();
    let reply = identity.verify_otp(verify_otp(&old_code, None, None)).await;
    assert_eq!(reply.unwrap_err().row.code, "OTP_INVALID");
    let mut elsewhere = verify_otp(&old_code, Some(&older.handle), None);
    elsewhere.phone_number = "+905331234567".to_owned();
    let reply = identity.verify_otp(elsewhere).await;
    assert_eq!(reply.unwrap_err().row.code, "OTP_INVALID");
    let by_handle = verify_otp(&old_code, Some(&older.handle), None);
    identity.verify_otp(by_handle).await.unwrap();
    let pair = identity
        .verify_otp(verify_otp(&new_code, Some(""), None))
        .await
        .unwrap();
    assert!(!pair.is_new_user);
    identity
        .log_out_everywhere(&pair.access_token)
        .await
        .unwrap();
    assert_eq!(house.announced().await.len(), 2);
    let dead = identity.log_out_everywhere(&pair.access_token).await;
    assert_eq!(dead.unwrap_err().row.code, "UNAUTHENTICATED");
}

#[tokio::test]
async fn both_factors_come_in_one_call_and_neither_is_used_up_alone() {
    let (house, post) = house().await;
    let me = Session::of(&house.log_in_by_phone(&post, PHONE).await);
    let app = house.turn_totp_on(&me).await;
    house.wait(60);
    let identity = &house.identity;
    identity.send_otp(send_otp(PHONE)).await.unwrap();
    let code = post.next().await.code();
    for _ in 0..2 {
        let reply = identity.verify_otp(verify_otp(&code, None, None)).await;
        let failure = reply.unwrap_err();
        assert_eq!(failure.row.code, "SECOND_FACTOR_REQUIRED");
        assert_eq!(failure.extra["mfa_token"], "");
    }
    let counted =
        "SELECT sum(attempts)::bigint FROM identity.otp_challenges WHERE consumed_at IS NULL";
    assert_eq!(house.count(counted).await, 2);
    let failures = "SELECT sum(failures)::bigint FROM identity.otp_targets";
    assert_eq!(house.count(failures).await, 0);
    let tokens = "SELECT count(*) FROM identity.one_time_tokens";
    assert_eq!(house.count(tokens).await, 0);
    // A wrong second factor leaves the code good too, but counts as a failure.
    let wrong = app.wrong_code(&house);
    let reply = identity
        .verify_otp(verify_otp(&code, None, Some(&wrong)))
        .await;
    assert_eq!(reply.unwrap_err().row.code, "SECOND_FACTOR_INVALID");
    assert_eq!(house.count(failures).await, 1);
    // Many at once make one device.
    let right = app.code(&house);
    let tries = (0..2).map(|_| identity.verify_otp(verify_otp(&code, None, Some(&right))));
    let pairs = futures::future::join_all(tries).await;
    assert_eq!(pairs.iter().filter(|pair| pair.is_ok()).count(), 1);
    // The device that set the app up proved both as well.
    let both = "SELECT count(*) FROM identity.user_devices WHERE amr = '{otp,totp}'";
    assert_eq!(house.count(both).await, 2);
    let again = identity
        .verify_otp(verify_otp(&code, None, Some(&app.next_code(&house))))
        .await;
    assert_eq!(again.unwrap_err().row.code, "OTP_INVALID");

    // Over REST the code is used up, and another request brings the second factor.
    house.wait(60);
    let sent = handle(&house.ask_by_phone(PHONE).await);
    let code = post.next().await.code();
    let waiting = house.try_code(&sent, &code).await;
    assert_eq!(refusal(&waiting), (401, "SECOND_FACTOR_REQUIRED"));
    let again = house.try_code(&sent, &code).await;
    assert_eq!(refusal(&again), (401, "OTP_INVALID"));
    let token = waiting.json["mfa_token"].as_str().unwrap();
    let reply = house
        .finish_login(token, "totp", &app.next_code(&house))
        .await;
    reply.expect(200).unwrap();
}

#[tokio::test]
async fn a_number_with_a_pin_is_locked_in_one_call_too() {
    let (house, post) = house().await;
    let me = Session::of(&house.log_in_by_phone(&post, PHONE).await);
    let path = "/v1/users/@me/registration-lock";
    let pin = json!({"pin": "271828"});
    let set = house.call("PUT", path, &me.access, pin).await;
    set.expect(204).unwrap();
    house.wait(60);
    let identity = &house.identity;
    identity.send_otp(send_otp(PHONE)).await.unwrap();
    let code = post.next().await.code();
    let reply = identity.verify_otp(verify_otp(&code, None, None)).await;
    let failure = reply.unwrap_err();
    assert_eq!(failure.row.code, "REGISTRATION_LOCKED");
    let told = house.events("identity.registration_lock_waiting.v1").await;
    assert_eq!(told.len(), 1, "the wait for a lost PIN began");
    let pair = identity
        .verify_otp(verify_otp(&code, None, Some("271828")))
        .await
        .unwrap();
    assert_eq!(pair.user.to_string(), me.user);
}
