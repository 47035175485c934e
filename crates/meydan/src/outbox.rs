//! What would have been sent, shown to the developer. Codes and links stand here in the clear, so
//! it exists in development mode alone and answers nobody but this computer.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use infra::sent::{Message, Sent, SentBox};
use serde_json::{Value, json};
use web_kit::{Doc, Fail, Meta, Policy, Public, Table};

/// The page's address, as the first screen tells it.
pub(crate) const PATH: &str = "/dev/outbox";

/// The routes. Not part of the documented API.
pub(crate) fn table(kept: Arc<SentBox>) -> Table {
    let page = |summary| {
        Doc::new(summary)
            .policy(Policy::Public)
            .returns_nothing(200)
    };
    Table::new("outbox", kept)
        .get(PATH, show, page("Messages that stayed here"))
        .get("/dev/outbox.json", list, page("The same for programs"))
        .build()
}

async fn show(
    _: Public,
    meta: Meta,
    headers: HeaderMap,
    State(kept): State<Arc<SentBox>>,
) -> Result<Response, Fail> {
    admit(&meta, &headers)?;
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind), NO_STORE], page(&kept.all())).into_response())
}

async fn list(
    _: Public,
    meta: Meta,
    headers: HeaderMap,
    State(kept): State<Arc<SentBox>>,
) -> Result<Response, Fail> {
    admit(&meta, &headers)?;
    let list: Vec<Value> = kept.all().iter().map(value).collect();
    Ok(([NO_STORE], axum::Json(list)).into_response())
}

const NO_STORE: (header::HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// Only this computer, by a name that is its own: a page elsewhere whose name was made to point
/// here is not let in. And no page of another origin, not even one of this computer.
fn admit(meta: &Meta, headers: &HeaderMap) -> Result<(), Fail> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let foreign = headers.contains_key(header::ORIGIN);
    if meta.is_from_this_machine() && !foreign && host.is_some_and(is_local) {
        return Ok(());
    }
    Err(Fail(kernel::failure::NOT_FOUND.fail()))
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn value(sent: &Sent) -> Value {
    match &sent.message {
        Message::Letter(letter) => json!({
            "at": sent.at, "kind": "letter", "to": letter.to, "subject": letter.subject,
            "text": letter.text,
        }),
        Message::Text(text) => json!({
            "at": sent.at, "kind": "text", "to": text.to, "text": text.body,
        }),
    }
}

/// The page asks again by itself; there is no script.
fn page(all: &[Sent]) -> String {
    let mut body = String::new();
    for sent in all {
        let (kind, to, subject, text) = match &sent.message {
            Message::Letter(letter) => ("Letter", &letter.to, &*letter.subject, &letter.text),
            Message::Text(text) => ("Text", &text.to, "", &text.body),
        };
        body.push_str(&format!(
            "<article>\n<h2>{kind} to {}</h2>\n<p><time>{}</time> <strong>{}</strong></p>\n\
             <pre>{}</pre>\n</article>\n",
            escaped(to),
            sent.at,
            escaped(subject),
            escaped(text),
        ));
    }
    if body.is_empty() {
        body.push_str("<p>Nothing yet.</p>\n");
    }
    include_str!("pages/outbox.html").replace("<!-- messages -->\n", &body)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use infra::mail::Letter;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn names_of_this_computer_are_known() {
        for (host, local) in [
            ("localhost", true),
            ("LOCALHOST:3000", true),
            ("127.0.0.1:3000", true),
            ("[::1]:3000", true),
            ("[::1]", true),
            ("evil.example", false),
            ("evil.example:3000", false),
            ("localhost.evil.example:3000", false),
            ("127.0.0.1.evil.example", false),
            ("192.168.1.4:3000", false),
            ("", false),
        ] {
            assert_eq!(is_local(host), local, "{host}");
        }
    }

    #[test]
    fn messages_are_text_and_never_markup() {
        let letter = Letter {
            to: "a@b.example".to_owned(),
            subject: "<img src=x onerror=alert(1)>".to_owned(),
            text: "</pre><script>alert('1')</script> ışık & \"x\"".to_owned(),
        };
        let sent = Sent {
            at: Timestamp::UNIX_EPOCH,
            message: Message::Letter(letter),
        };
        let page = page(&[sent]);
        assert!(
            !page.contains("<script") && !page.contains("<img"),
            "{page}"
        );
        assert!(page.contains("ışık &amp; &quot;x&quot;"), "{page}");
    }
}
