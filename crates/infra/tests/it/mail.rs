use std::sync::Arc;
use std::time::Duration;

use infra::mail::smtp::{SmtpMail, SmtpServer, SmtpSettings};
use infra::mail::{Letter, Mail, MailError};
use infra::sent::{KEPT, Message, SentBox};
use jiff::Timestamp;
use kernel::{ManualClock, SeededRng, SystemClock};
use testkit::servers::{self, SmtpRules};
use tokio::net::TcpListener;

fn settings(url: &str) -> SmtpSettings {
    SmtpSettings {
        server: SmtpServer::parse(url).unwrap(),
        from: "Meydan Pazarı <no-reply@example.com>".to_owned(),
        timeout: Duration::from_secs(20),
        connections: 4,
        trusted: None,
    }
}

fn made(settings: SmtpSettings) -> SmtpMail {
    SmtpMail::new(settings, Arc::new(SystemClock), SeededRng::new(1)).unwrap()
}

fn letter(to: &str) -> Letter {
    Letter {
        to: to.to_owned(),
        subject: "Kodun".to_owned(),
        text: "482913".to_owned(),
    }
}

#[tokio::test]
async fn sent_box_passes_the_suite() -> anyhow::Result<()> {
    let kept = SentBox::new(Arc::new(SystemClock));
    testkit::conformance::mail(&*kept, async || {
        let letters = kept
            .all()
            .into_iter()
            .filter_map(|sent| match sent.message {
                Message::Letter(letter) => Some(letter),
                Message::Text(_) => None,
            });
        Ok(letters.collect())
    })
    .await
}

#[tokio::test]
async fn smtp_passes_the_suite() -> anyhow::Result<()> {
    let server = servers::SmtpServer::start(SmtpRules::default()).await?;
    let mail = made(settings(&format!("smtp://127.0.0.1:{}", server.port())));
    testkit::conformance::mail(&mail, async || {
        Ok(server
            .arrived()?
            .iter()
            .map(servers::Arrived::letter)
            .collect())
    })
    .await
}

#[tokio::test]
async fn letters_say_who_writes_and_that_no_person_does() -> anyhow::Result<()> {
    let server = servers::SmtpServer::start(SmtpRules::default()).await?;
    let mut settings = settings(&format!("smtp://127.0.0.1:{}", server.port()));
    settings.from = "Meydan Pazarı <no-reply@example.com>".to_owned();
    let clock = ManualClock::new("2026-03-01T12:00:00Z".parse()?);
    let mail = SmtpMail::new(settings, clock, SeededRng::new(1))?;
    mail.send(&letter("ayse@example.com")).await?;
    let arrived = server.arrived()?;
    let [arrived] = arrived.as_slice() else {
        panic!("{arrived:?}");
    };
    assert_eq!(arrived.from, "no-reply@example.com");
    assert_eq!(arrived.to, ["ayse@example.com"]);
    assert_eq!(
        arrived.header("from"),
        ["Meydan Pazarı <no-reply@example.com>"]
    );
    assert_eq!(arrived.header("to"), ["ayse@example.com"]);
    assert_eq!(arrived.header("auto-submitted"), ["auto-generated"]);
    assert_eq!(arrived.header("date"), ["Sun, 01 Mar 2026 12:00:00 +0000"]);
    assert!(arrived.header("message-id")[0].ends_with("@example.com>"));
    assert!(arrived.header("bcc").is_empty());
    Ok(())
}

#[tokio::test]
async fn what_the_server_refuses_is_told_from_what_may_go_later() -> anyhow::Result<()> {
    let server = servers::SmtpServer::start(SmtpRules::default()).await?;
    let mail = made(settings(&format!("smtp://127.0.0.1:{}", server.port())));
    let error = mail.send(&letter("nobody@example.com")).await.unwrap_err();
    assert!(matches!(error, MailError::Refused(_)), "{error:?}");
    assert!(!format!("{error:?}").contains("nobody"), "{error:?}");
    let error = mail.send(&letter("later@example.com")).await.unwrap_err();
    assert!(matches!(error, MailError::Unavailable(_)), "{error:?}");
    assert!(!format!("{error:?}").contains("later@"), "{error:?}");
    for to in ["not an address", "a@b@c", "ayşe@example.com"] {
        let error = mail.send(&letter(to)).await.unwrap_err();
        assert!(matches!(error, MailError::Refused(_)), "{to}: {error:?}");
    }
    assert!(server.arrived()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_away_or_silent_is_unavailable() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let mut silent = settings(&format!("smtp://127.0.0.1:{port}"));
    silent.timeout = Duration::from_millis(100);
    let mail = made(silent);
    let error = mail.send(&letter("ayse@example.com")).await.unwrap_err();
    assert!(matches!(error, MailError::Unavailable(_)), "{error:?}");
    drop(listener);
    let error = mail.send(&letter("ayse@example.com")).await.unwrap_err();
    assert!(matches!(error, MailError::Unavailable(_)), "{error:?}");
    assert!(mail.probe().await.is_err());
    Ok(())
}

#[tokio::test]
async fn connections_are_bounded_and_further_letters_wait() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut two = settings(&format!("smtp://{}", listener.local_addr()?));
    two.connections = 2;
    let mail = made(two);
    let letter = letter("ayse@example.com");
    let sending = futures::future::join_all((0..5).map(|_| mail.send(&letter)));
    let knocks = async {
        let _sockets = (listener.accept().await?, listener.accept().await?);
        let third = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        anyhow::Ok(third.is_ok())
    };
    tokio::select! {
        _ = sending => anyhow::bail!("a silent server took letters"),
        third = knocks => assert!(!third?, "more connections than allowed"),
    }
    Ok(())
}

#[tokio::test]
async fn no_subject_reads_as_something_else_than_it_says() -> anyhow::Result<()> {
    let server = servers::SmtpServer::start(SmtpRules::default()).await?;
    let mail = made(settings(&format!("smtp://127.0.0.1:{}", server.port())));
    let mut letter = letter("ayse@example.com");
    letter.subject = "=?utf-8?q?Your_bank?= wrote".to_owned();
    mail.send(&letter).await?;
    let arrived = server.arrived()?;
    assert!(
        !arrived[0].letter().subject.contains("Your bank"),
        "{arrived:?}"
    );
    Ok(())
}

#[tokio::test]
async fn names_and_passwords_open_the_door_and_wrong_ones_do_not() -> anyhow::Result<()> {
    let rules = SmtpRules {
        login: Some("ayşe@example.com:çok gizli"),
        tls: false,
    };
    let server = servers::SmtpServer::start(rules).await?;
    let port = server.port();
    let right = "ay%C5%9Fe%40example.com:%C3%A7ok%20gizli";
    let mail = made(settings(&format!("smtp://{right}@127.0.0.1:{port}")));
    mail.probe().await?;
    mail.send(&letter("ayse@example.com")).await?;
    assert!(server.arrived()?[0].login);
    for login in ["", "ay%C5%9Fe%40example.com:wrong@"] {
        let mail = made(settings(&format!("smtp://{login}127.0.0.1:{port}")));
        let error = mail.send(&letter("ayse@example.com")).await.unwrap_err();
        assert!(matches!(error, MailError::Unavailable(_)), "{error:?}");
    }
    assert_eq!(server.arrived()?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn letters_and_passwords_go_over_tls_or_not_at_all() -> anyhow::Result<()> {
    let rules = SmtpRules {
        login: Some("meydan:secret"),
        tls: true,
    };
    let server = servers::SmtpServer::start(rules).await?;
    let port = server.port();
    let url = format!("smtp://meydan:secret@localhost:{port}?tls=required");
    let mut trusting = settings(&url);
    trusting.trusted = Some(server.certificate()?);
    let mail = made(trusting);
    mail.send(&letter("ayse@example.com")).await?;
    let arrived = server.arrived()?;
    assert!(arrived[0].tls && arrived[0].login);
    // A certificate nobody vouches for.
    let error = made(settings(&url))
        .send(&letter("ayse@example.com"))
        .await
        .unwrap_err();
    assert!(matches!(error, MailError::Unavailable(_)), "{error:?}");
    assert_eq!(server.arrived()?.len(), 1);
    // A server without TLS, or somebody in between who hides it.
    let plain = servers::SmtpServer::start(SmtpRules::default()).await?;
    let url = format!("smtp://127.0.0.1:{}?tls=required", plain.port());
    let error = made(settings(&url))
        .send(&letter("ayse@example.com"))
        .await
        .unwrap_err();
    assert!(matches!(error, MailError::Unavailable(_)), "{error:?}");
    assert!(plain.arrived()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_box_forgets_the_oldest() -> anyhow::Result<()> {
    let kept = SentBox::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    for number in 0..=KEPT {
        let mut letter = letter("ayse@example.com");
        letter.text = number.to_string();
        Mail::send(&*kept, &letter).await?;
    }
    let all = kept.all();
    assert_eq!(all.len(), KEPT);
    let texts = [all.first(), all.last()].map(|sent| match &sent.unwrap().message {
        Message::Letter(letter) => letter.text.clone(),
        Message::Text(text) => text.body.clone(),
    });
    assert_eq!(texts, [KEPT.to_string(), "1".to_owned()]);
    Ok(())
}
