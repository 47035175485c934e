//! The pages this program serves itself: where everything is, the set-up of the first
//! administrator, what protects one's own account, and what links in letters lead to.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use web_kit::{Doc, Policy, Public, Table};

/// The routes.
pub(crate) fn table() -> Table {
    let page = |summary| {
        Doc::new(summary)
            .policy(Policy::Public)
            .returns_nothing(200)
    };
    Table::new("pages", ())
        .get("/", home, page("What is served here"))
        .get(
            "/setup",
            setup,
            page("Make the first administrator, with the one-time link"),
        )
        .get(
            "/setup/page.js",
            setup_script,
            page("The script of the set-up page"),
        )
        .get(
            "/account",
            account,
            page("One's own logins, passkeys and codes"),
        )
        .get(
            "/account/page.js",
            account_script,
            page("The script of the account page"),
        )
        .get(
            "/auth/confirm",
            confirm,
            page("Confirm an e-mail address, with the link of the letter"),
        )
        .get(
            "/auth/magic",
            magic,
            page("Log in, with the link of the letter"),
        )
        .get(
            "/auth/reset",
            reset,
            page("Choose a new password, with the link of the letter"),
        )
        .get(
            "/auth/page.js",
            link_script,
            page("The script of the pages that links lead to"),
        )
        .get("/page.css", style, page("The style of these pages"))
        .get("/icon.svg", icon, page("The icon of these pages"))
        .build()
}

async fn home(_: Public) -> Response {
    text("text/html; charset=utf-8", include_str!("pages/home.html"))
}

async fn setup(_: Public) -> Response {
    text("text/html; charset=utf-8", include_str!("pages/setup.html"))
}

async fn setup_script(_: Public) -> Response {
    text(
        "text/javascript; charset=utf-8",
        include_str!("pages/setup.js"),
    )
}

async fn account(_: Public) -> Response {
    text(
        "text/html; charset=utf-8",
        include_str!("pages/account.html"),
    )
}

async fn account_script(_: Public) -> Response {
    text(
        "text/javascript; charset=utf-8",
        include_str!("pages/account.js"),
    )
}

async fn confirm(_: Public) -> Response {
    let page = include_str!("pages/link_confirm.html");
    text("text/html; charset=utf-8", page)
}

async fn magic(_: Public) -> Response {
    let page = include_str!("pages/link_magic.html");
    text("text/html; charset=utf-8", page)
}

async fn reset(_: Public) -> Response {
    let page = include_str!("pages/link_reset.html");
    text("text/html; charset=utf-8", page)
}

async fn link_script(_: Public) -> Response {
    let script = include_str!("pages/link.js");
    text("text/javascript; charset=utf-8", script)
}

async fn style(_: Public) -> Response {
    text("text/css; charset=utf-8", include_str!("pages/page.css"))
}

async fn icon(_: Public) -> Response {
    text("image/svg+xml", include_str!("pages/icon.svg"))
}

fn text(kind: &'static str, body: &'static str) -> Response {
    (
        [(header::CONTENT_TYPE, HeaderValue::from_static(kind))],
        body,
    )
        .into_response()
}
