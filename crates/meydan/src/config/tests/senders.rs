//! Who carries letters and texts, by what else is set.

use super::{Folder, up};
use crate::config::types::{MailTransport, OtpProvider, SmsProvider};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const SERVICE: &str = "VA0123456789abcdef0123456789abcdef";

fn twilio() -> Vec<(&'static str, &'static str)> {
    vec![
        ("TWILIO_ACCOUNT_SID", ACCOUNT),
        ("TWILIO_AUTH_TOKEN", "secret"),
        ("TWILIO_FROM", "+15005550006"),
        ("TWILIO_VERIFY_SERVICE_SID", SERVICE),
    ]
}

#[test]
fn messages_stay_here_in_development_and_leave_only_when_told_how() {
    let folder = Folder::new();
    let carriers = |variables: &[(&str, &str)], set: &[&str]| {
        let config = folder.load(variables, set).unwrap().config;
        (
            config.mail_transport(),
            config.sms_provider(),
            config.keeps_messages(),
        )
    };
    assert_eq!(
        carriers(&[], &[]),
        (MailTransport::Outbox, SmsProvider::Outbox, true)
    );
    assert_eq!(
        carriers(&[], &["auth.dev_mode=false"]),
        (MailTransport::Off, SmsProvider::Off, false)
    );
    let mut all = twilio();
    all.push(("MEYDAN_MAIL__SMTP__URL", "smtps://u:p@mail.example.com"));
    assert_eq!(
        carriers(&all, &[]),
        (MailTransport::Smtp, SmsProvider::Twilio, false)
    );
    assert_eq!(
        carriers(&all, &["mail.transport=off", "sms.provider=outbox"]),
        (MailTransport::Off, SmsProvider::Outbox, true)
    );
}

#[test]
fn the_sender_follows_from_the_public_address() {
    let folder = Folder::new();
    let from = |set: &[&str]| folder.load(&[], set).unwrap().config.mail.from.unwrap();
    assert_eq!(from(&[]), "Meydan <no-reply@localhost>");
    let public = "http.public_url=https://meydan.example";
    assert_eq!(from(&[public]), "Meydan <no-reply@meydan.example>");
    assert_eq!(from(&[public, "mail.from=a@b.example"]), "a@b.example");
}

#[test]
fn codes_by_twilio_need_its_service() {
    let folder = Folder::new();
    let verify = ["auth.otp.provider=twilio_verify"];
    let loaded = folder.load(&twilio(), &verify).unwrap();
    assert_eq!(loaded.config.auth.otp.provider, OtpProvider::TwilioVerify);
    assert_eq!(loaded.notices.len(), 4, "{:?}", loaded.notices);
    let errors = folder.errors(&twilio()[..3], &verify);
    assert!(
        errors.contains("needs sms.twilio.verify_service_sid"),
        "{errors}"
    );
    let errors = folder.errors(&[], &verify);
    assert!(errors.contains("needs sms.twilio.account_sid"), "{errors}");
}

#[test]
fn what_cannot_work_is_refused_before_the_start() {
    let folder = Folder::new();
    for (set, reason) in [
        ("mail.transport=smtp", "needs mail.smtp.url"),
        ("mail.from=Meydan", "must read like"),
        ("sms.provider=twilio", "needs sms.twilio.from"),
        ("sms.twilio.account_sid=AC1", "must be AC"),
        ("sms.twilio.verify_service_sid=x", "must be VA"),
        ("sms.twilio.from=Meydan", "must be a number"),
        ("sms.twilio.api_url=http://api.example", "must be https"),
        ("sms.twilio.verify_url=http://api.example", "must be https"),
        ("outbound.allow=intranet", "a network such as"),
        ("auth.oauth.google.client_id=x", "needs client_secret too"),
        (
            "auth.oauth.oidc.issuer=https://a.example",
            "needs auth.oauth.oidc.client_id",
        ),
        ("auth.oauth.oidc.name=google", "no name of another"),
        (
            "auth.oauth.google.issuer=http://a.example",
            "must begin with https",
        ),
        (
            "auth.oauth.return_to=javascript:x",
            "must be addresses of apps",
        ),
    ] {
        let errors = folder.errors(&[], &[set]);
        assert!(errors.contains(reason), "{set}: {errors}");
    }
    for key in ["mail.transport=outbox", "sms.provider=outbox"] {
        let errors = folder.errors(&[], &["auth.dev_mode=false", key]);
        assert!(errors.contains("for development mode only"), "{errors}");
    }
    for url in [
        "http://u:hunter2@mail.example",
        "smtp://u:hunter2@mail.example?tls=maybe",
    ] {
        let errors = folder.errors(&[("MEYDAN_MAIL__SMTP__URL", url)], &[]);
        assert!(
            errors.contains("mail.smtp.url") && !errors.contains("hunter2"),
            "{errors}"
        );
    }
    assert!(folder.load_as(&up(&[]), &[]).is_ok());
}
