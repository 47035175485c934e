//! Class of these tests: published specification. A server of ours checks each request against the
//! vendor's description and answers by it; the vendor itself is not called.

#[cfg(test)]
mod contract;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra::outbound::{Bounds, Outbound};
use infra::sent::{Message, SentBox};
use infra::sms::twilio::{Account, TwilioMessages, TwilioVerify};
use infra::sms::{Sms, SmsError, Text, Verify};
use kernel::SystemClock;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use contract::{ACCOUNT, Asked, Contract, SERVICE, Stub, TOKEN, good};

const FROM: &str = "+15005550006";
const TO: &str = "+905551112233";
const MG: &str = "MG0123456789abcdef0123456789abcdef";

fn account(token: &str) -> Account {
    Account {
        sid: ACCOUNT.to_owned(),
        token: SecretString::from(token),
    }
}

fn outbound() -> Outbound {
    Outbound::trusted(Bounds::default()).unwrap()
}

fn messages(stub: &Stub, from: &str) -> TwilioMessages {
    TwilioMessages::new(outbound(), account(TOKEN), from.to_owned(), &stub.base())
}

fn verify(stub: &Stub) -> TwilioVerify {
    TwilioVerify::new(outbound(), account(TOKEN), SERVICE, &stub.base())
}

fn text() -> Text {
    Text {
        to: TO.to_owned(),
        body: "Kodun: 482913. Kimseyle paylaşma!".to_owned(),
    }
}

#[tokio::test]
async fn sent_box_passes_the_suite_of_texts() -> anyhow::Result<()> {
    let kept = SentBox::new(Arc::new(SystemClock));
    testkit::conformance::sms(&*kept, async || {
        let texts = kept
            .all()
            .into_iter()
            .filter_map(|sent| match sent.message {
                Message::Text(text) => Some(text),
                Message::Letter(_) => None,
            });
        Ok(texts.collect())
    })
    .await
}

#[tokio::test]
async fn twilio_passes_the_suite_of_texts() -> anyhow::Result<()> {
    let stub = Stub::start().await;
    for from in [FROM, MG] {
        let stub = Stub::start().await;
        testkit::conformance::sms(&messages(&stub, from), async || {
            let texts = stub.asked().into_iter().map(|asked| Text {
                to: asked.form["To"].clone(),
                body: asked.form["Body"].clone(),
            });
            Ok(texts.collect())
        })
        .await?;
        stub.assert_all_fit();
    }
    stub.assert_all_fit();
    Ok(())
}

#[tokio::test]
async fn codes_are_sent_and_checked_as_published() -> anyhow::Result<()> {
    let stub = Stub::start().await;
    let verify = verify(&stub);
    for locale in ["tr", "en"] {
        verify.start(TO, locale).await?;
    }
    stub.set_code("482913");
    assert!(!verify.check(TO, "111111").await?);
    assert!(verify.check(TO, "482913").await?);
    stub.assert_all_fit();
    assert_eq!(stub.asked().len(), 4);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_a_code_is_not_asked() -> anyhow::Result<()> {
    let stub = Stub::start().await;
    let verify = verify(&stub);
    for code in [
        "",
        "123",
        "12345678901",
        "12 456",
        "abcdef",
        "482913&Code=1",
    ] {
        assert!(!verify.check(TO, code).await?, "{code}");
    }
    assert!(!verify.check("05551112233", "482913").await?);
    let error = verify.start("05551112233", "tr").await.unwrap_err();
    assert!(matches!(error, SmsError::Refused(_)), "{error:?}");
    assert!(stub.asked().is_empty());
    Ok(())
}

fn asked(path: &str, form: &[(&str, &str)]) -> Asked {
    let form = form.iter();
    Asked {
        method: "POST".to_owned(),
        path: path.to_owned(),
        kind: "application/x-www-form-urlencoded".to_owned(),
        form: form
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
    }
}

/// A good request of each operation.
fn good_requests() -> [Asked; 3] {
    [
        asked(
            &format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json"),
            &[("To", TO), ("From", FROM), ("Body", "x")],
        ),
        asked(
            &format!("/v2/Services/{SERVICE}/Verifications"),
            &[("To", TO), ("Channel", "sms"), ("Locale", "tr")],
        ),
        asked(
            &format!("/v2/Services/{SERVICE}/VerificationCheck"),
            &[("To", TO), ("Code", "482913")],
        ),
    ]
}

#[test]
fn the_contract_refuses_bad_requests_of_each_operation() {
    let contract = Contract::read();
    for request in good_requests() {
        contract.operation(&request).unwrap();
        let mut bad: Vec<Asked> = Vec::new();
        for change in [
            |request: &mut Asked| drop(request.form.remove("To")),
            |request: &mut Asked| drop(request.form.insert("to".to_owned(), TO.to_owned())),
            |request: &mut Asked| request.method = "GET".to_owned(),
            |request: &mut Asked| request.kind = "application/json".to_owned(),
            |request: &mut Asked| request.path = request.path.replace("0123", "012x"),
            |request: &mut Asked| request.path.push('/'),
        ] {
            let mut request = request.clone();
            change(&mut request);
            bad.push(request);
        }
        for request in bad {
            assert!(contract.operation(&request).is_err(), "{request:?}");
        }
    }
    let [message, verification, check] = good_requests();
    for (request, name, value) in [
        (&message, "MessagingServiceSid", MG),
        (&message, "Body", ""),
        (&verification, "Channel", "pigeon"),
        (&verification, "Locale", "türkçe"),
        (&check, "Code", "1"),
    ] {
        let mut request = request.clone();
        request.form.insert(name.to_owned(), value.to_owned());
        assert!(contract.operation(&request).is_err(), "{name}={value}");
    }
}

#[test]
fn the_contract_refuses_bad_answers_of_each_operation() {
    let contract = Contract::read();
    for request in good_requests() {
        let operation = contract.operation(&request).unwrap();
        let (status, body) = good(&operation, &request, None);
        contract.answer(&operation, status, &body).unwrap();
        assert!(contract.answer(&operation, 204, &body).is_err());
        for (field, value) in [
            ("sid", json!("XX")),
            ("sid", json!(1)),
            ("status", json!(7)),
            ("to", json!(["x"])),
        ] {
            let mut bad = body.clone();
            bad[field] = value;
            assert!(
                contract.answer(&operation, status, &bad).is_err(),
                "{field}"
            );
        }
    }
}

/// What becomes of a call when the vendor answers so.
async fn outcomes(status: u16, body: &str) -> [Result<bool, SmsError>; 3] {
    let stub = Stub::start().await;
    stub.answer_instead(status, body);
    let sent = messages(&stub, FROM).send(&text()).await;
    let started = verify(&stub).start(TO, "tr").await;
    let checked = verify(&stub).check(TO, "482913").await;
    stub.assert_all_fit();
    [sent.map(|()| true), started.map(|()| true), checked]
}

fn word(outcome: &Result<bool, SmsError>) -> &'static str {
    match outcome {
        Ok(true) => "yes",
        Ok(false) => "no",
        Err(SmsError::Refused(_)) => "refused",
        Err(SmsError::Unavailable(_)) => "unavailable",
    }
}

#[tokio::test]
async fn failures_are_told_apart() {
    let body = |code: u32| {
        let message = format!("The number {TO} and the code 482913 are bad");
        json!({"code": code, "message": message, "status": 0}).to_string()
    };
    for (status, code, expected) in [
        (400, 21211, ["refused"; 3]),
        (400, 60200, ["refused"; 3]),
        (403, 60410, ["refused"; 3]),
        (404, 20404, ["refused", "refused", "no"]),
        (401, 20003, ["unavailable"; 3]),
        (429, 20429, ["unavailable"; 3]),
        (429, 60202, ["unavailable", "unavailable", "no"]),
        (500, 20500, ["unavailable"; 3]),
        (503, 20503, ["unavailable"; 3]),
        (302, 0, ["unavailable"; 3]),
    ] {
        let outcomes = outcomes(status, &body(code)).await;
        assert_eq!(outcomes.each_ref().map(word), expected, "{status} {code}");
        let shown = format!("{outcomes:?}");
        let told = ["5551112233", "482913", TOKEN].map(|secret| shown.contains(secret));
        assert_eq!(told, [false; 3], "{shown}");
    }
}

#[tokio::test]
async fn answers_that_do_not_fit_are_no_success() {
    for body in [
        "",
        "ok",
        "[]",
        "{}",
        r#"{"status": 7}"#,
        r#"{"sid": "SM1", "status": "queued"}"#,
    ] {
        for status in [200, 201] {
            for outcome in outcomes(status, body).await {
                assert!(outcome.is_err() || !outcome.unwrap(), "{status} {body}");
            }
        }
    }
    let sid = "SMfedcba9876543210fedcba9876543210";
    for status in ["failed", "undelivered", "canceled"] {
        let body = json!({"sid": sid, "status": status}).to_string();
        let [sent, started, checked] = outcomes(201, &body).await;
        assert_eq!(word(&sent), "refused");
        assert_eq!(word(&started), "unavailable");
        assert_eq!(word(&checked), "no");
    }
    for (status, valid) in [
        ("approved", Value::Bool(false)),
        ("approved", Value::Null),
        ("pending", Value::Bool(true)),
        ("APPROVED", Value::Bool(true)),
    ] {
        let body = json!({"sid": "VE", "status": status, "valid": valid}).to_string();
        let [_, _, checked] = outcomes(200, &body).await;
        assert_eq!(word(&checked), "no", "{status}");
    }
}

#[tokio::test]
async fn a_wrong_token_and_a_silent_vendor_are_unavailable() {
    let stub = Stub::start().await;
    let wrong = TwilioMessages::new(outbound(), account("wrong"), FROM.to_owned(), &stub.base());
    let error = wrong.send(&text()).await.unwrap_err();
    assert!(matches!(error, SmsError::Unavailable(_)), "{error:?}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let bounds = Bounds {
        total: Duration::from_millis(100),
        ..Bounds::default()
    };
    let outbound = Outbound::trusted(bounds).unwrap();
    let slow = TwilioVerify::new(outbound, account(TOKEN), SERVICE, &base);
    let error = slow.start(TO, "tr").await.unwrap_err();
    assert!(matches!(error, SmsError::Unavailable(_)), "{error:?}");
}
