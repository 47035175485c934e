use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use infra::mail::{Letter, Mail, MailError};
use infra::sms::{Sms, SmsError, Text};

/// How many are sent at the same time.
const MANY: usize = 20;

/// The suite of [`Mail`]. `arrived` tells what came to the people, in any order.
pub async fn mail(
    mail: &dyn Mail,
    arrived: impl AsyncFn() -> anyhow::Result<Vec<Letter>>,
) -> anyhow::Result<()> {
    letters_arrive_whole(mail, &arrived)
        .await
        .context("letters arrive whole")?;
    many_letters_arrive_once_each(mail, &arrived)
        .await
        .context("many letters arrive once each")?;
    heads_of_two_lines_are_refused(mail, &arrived)
        .await
        .context("heads of two lines are refused")
}

/// The suite of [`Sms`]. `arrived` tells what came to the people, in any order.
pub async fn sms(
    sms: &dyn Sms,
    arrived: impl AsyncFn() -> anyhow::Result<Vec<Text>>,
) -> anyhow::Result<()> {
    texts_arrive_whole(sms, &arrived)
        .await
        .context("texts arrive whole")?;
    many_texts_arrive_once_each(sms, &arrived)
        .await
        .context("many texts arrive once each")?;
    numbers_and_texts_are_checked(sms, &arrived)
        .await
        .context("numbers and texts are checked")
}

fn letter(to: &str, subject: &str, text: &str) -> Letter {
    Letter {
        to: to.to_owned(),
        subject: subject.to_owned(),
        text: text.to_owned(),
    }
}

async fn letters_arrive_whole(
    mail: &dyn Mail,
    arrived: &impl AsyncFn() -> anyhow::Result<Vec<Letter>>,
) -> anyhow::Result<()> {
    let long = "Çok uzun bir satır, ğüşıöç İĞÜŞÖÇ. ".repeat(60);
    let letters = [
        letter("ayse@example.com", "Code", "Your code is 482913."),
        letter(
            "ayse@example.com",
            "Şifreni sıfırlamak için İstanbul'daki ışıklı bağlantı: ğüşıöç İĞÜŞÖÇ ve 👍 daha",
            "Merhaba Ayşe,\n\nışığı aç → https://example.com/#token=a.b_c-d&x=1\n\nİyi günler 👋",
        ),
        letter(
            "ayse@example.com",
            "Dots, and a line like a header: x",
            ".\n..\n.hidden\nFrom here\nSubject: not a header\n\n.",
        ),
        letter("ayse@example.com", "Long", long.trim_end()),
    ];
    for letter in &letters {
        mail.send(letter).await?;
    }
    let found = arrived().await?;
    for letter in &letters {
        let times = found.iter().filter(|found| *found == letter).count();
        ensure!(
            times == 1,
            "{:?} came {times} times among {:?}",
            (&letter.subject, &letter.text),
            found
                .iter()
                .map(|found| (&found.to, &found.subject, &found.text))
                .collect::<Vec<_>>()
        );
    }
    Ok(())
}

async fn many_letters_arrive_once_each(
    mail: &dyn Mail,
    arrived: &impl AsyncFn() -> anyhow::Result<Vec<Letter>>,
) -> anyhow::Result<()> {
    let letters: Vec<Letter> = (0..MANY)
        .map(|n| letter("mehmet@example.com", &format!("Letter {n}"), "ş"))
        .collect();
    try_join_all(letters.iter().map(|letter| mail.send(letter))).await?;
    let found = arrived().await?;
    for letter in &letters {
        let times = found.iter().filter(|found| *found == letter).count();
        ensure!(times == 1, "{} came {times} times", letter.subject);
    }
    Ok(())
}

async fn heads_of_two_lines_are_refused(
    mail: &dyn Mail,
    arrived: &impl AsyncFn() -> anyhow::Result<Vec<Letter>>,
) -> anyhow::Result<()> {
    let before = arrived().await?.len();
    for (to, subject) in [
        ("a@example.com", "Code\r\nBcc: thief@example.com"),
        ("a@example.com", "Code\nBcc: thief@example.com"),
        ("a@example.com", "Code\rBcc: thief@example.com"),
        ("a@example.com\r\nBcc: thief@example.com", "Code"),
        ("a@example.com>\r\nRCPT TO:<thief@example.com", "Code"),
        ("", "Code"),
        ("a@example.com", ""),
    ] {
        let outcome = mail.send(&letter(to, subject, "x")).await;
        ensure!(
            matches!(outcome, Err(MailError::Refused(_))),
            "{to:?} {subject:?}: {outcome:?}"
        );
    }
    ensure!(arrived().await?.len() == before, "something was sent");
    Ok(())
}

fn text(to: &str, body: &str) -> Text {
    Text {
        to: to.to_owned(),
        body: body.to_owned(),
    }
}

async fn texts_arrive_whole(
    sms: &dyn Sms,
    arrived: &impl AsyncFn() -> anyhow::Result<Vec<Text>>,
) -> anyhow::Result<()> {
    let texts = [
        text("+905551112233", "482913"),
        text(
            "+905551112233",
            "Kodun: 482913 & onu kimseye söyleme. ğüşıöç İĞÜŞÖÇ +=%&?#\n👍",
        ),
    ];
    for text in &texts {
        sms.send(text).await?;
    }
    let found = arrived().await?;
    for text in &texts {
        let times = found.iter().filter(|found| *found == text).count();
        ensure!(times == 1, "{:?} came {times} times", text.body);
    }
    Ok(())
}

async fn many_texts_arrive_once_each(
    sms: &dyn Sms,
    arrived: &impl AsyncFn() -> anyhow::Result<Vec<Text>>,
) -> anyhow::Result<()> {
    let texts: Vec<Text> = (0..MANY)
        .map(|n| text("+905551112244", &format!("text {n}")))
        .collect();
    try_join_all(texts.iter().map(|text| sms.send(text))).await?;
    let found = arrived().await?;
    for text in &texts {
        let times = found.iter().filter(|found| *found == text).count();
        ensure!(times == 1, "{} came {times} times", text.body);
    }
    Ok(())
}

async fn numbers_and_texts_are_checked(
    sms: &dyn Sms,
    arrived: &impl AsyncFn() -> anyhow::Result<Vec<Text>>,
) -> anyhow::Result<()> {
    let before = arrived().await?.len();
    let long = "ş".repeat(1_601);
    for (to, body) in [
        ("", "x"),
        ("05551112233", "x"),
        ("whatsapp:+905551112233", "x"),
        ("+905551112233&From=+1", "x"),
        ("+905551112233", ""),
        ("+905551112233", &long),
    ] {
        let outcome = sms.send(&text(to, body)).await;
        ensure!(
            matches!(outcome, Err(SmsError::Refused(_))),
            "{to:?}: {outcome:?}"
        );
    }
    ensure!(arrived().await?.len() == before, "something was sent");
    Ok(())
}
