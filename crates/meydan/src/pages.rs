//! The pages this program serves itself: for logging in, for one's own account, for the first
//! administrator, and what links in letters lead to.
//!
//! A page is a frame around a body, and a script that makes it work with the API; there is no build
//! step. Each of its texts is written in English and looked up in `words.js` for Turkish.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use kernel::failure::NOT_FOUND;
use web_kit::{Doc, Path, Policy, Public, Result, Table};

/// A page: its last path segment, its title, its body, and the script that makes it work.
struct Page {
    name: &'static str,
    title: &'static str,
    body: &'static str,
    script: &'static str,
}

const HOME: Page = Page {
    name: "",
    title: "Welcome",
    body: include_str!("pages/home.html"),
    script: "language",
};
const SETUP: Page = Page {
    name: "setup",
    title: "The first administrator",
    body: include_str!("pages/setup.html"),
    script: "setup",
};
const ACCOUNT: Page = Page {
    name: "account",
    title: "Your account",
    body: include_str!("pages/account.html"),
    script: "account",
};

/// What stands below `/auth/`.
const LOGINS: &[Page] = &[
    Page {
        name: "login",
        title: "Log in",
        body: include_str!("pages/login.html"),
        script: "login",
    },
    Page {
        name: "code",
        title: "Log in with a code",
        body: include_str!("pages/code.html"),
        script: "code",
    },
    Page {
        name: "link",
        title: "Log in with a link",
        body: include_str!("pages/link.html"),
        script: "link",
    },
    Page {
        name: "forgot",
        title: "Forgot your password?",
        body: include_str!("pages/forgot.html"),
        script: "forgot",
    },
    Page {
        name: "register",
        title: "Make an account",
        body: include_str!("pages/register.html"),
        script: "register",
    },
    Page {
        name: "confirm",
        title: "Welcome",
        body: include_str!("pages/confirm.html"),
        script: "follow",
    },
    Page {
        name: "magic",
        title: "Log in",
        body: include_str!("pages/magic.html"),
        script: "follow",
    },
    Page {
        name: "reset",
        title: "Choose a new password",
        body: include_str!("pages/reset.html"),
        script: "follow",
    },
];

/// What pages load, by name.
const ASSETS: &[(&str, &str)] = &[
    ("account.js", include_str!("pages/account.js")),
    ("calls.js", include_str!("pages/calls.js")),
    ("code.js", include_str!("pages/code.js")),
    ("codes.js", include_str!("pages/codes.js")),
    ("enter.js", include_str!("pages/enter.js")),
    ("factors.js", include_str!("pages/factors.js")),
    ("follow.js", include_str!("pages/follow.js")),
    ("forgot.js", include_str!("pages/forgot.js")),
    ("forms.js", include_str!("pages/forms.js")),
    ("icon.svg", include_str!("pages/icon.svg")),
    ("language.js", include_str!("pages/language.js")),
    ("link.js", include_str!("pages/link.js")),
    ("login.js", include_str!("pages/login.js")),
    ("logins.js", include_str!("pages/logins.js")),
    ("page.css", include_str!("pages/page.css")),
    ("passkeys.js", include_str!("pages/passkeys.js")),
    ("privacy.js", include_str!("pages/privacy.js")),
    ("profile.js", include_str!("pages/profile.js")),
    ("proof.js", include_str!("pages/proof.js")),
    ("register.js", include_str!("pages/register.js")),
    ("rows.js", include_str!("pages/rows.js")),
    ("session.js", include_str!("pages/session.js")),
    ("setup.js", include_str!("pages/setup.js")),
    ("words.js", include_str!("pages/words.js")),
];

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
        .get("/account", account, page("One's own account"))
        .get(
            "/auth/{page}",
            login,
            page("Log in, sign up, or use the link of a letter")
                .describe("`login`, `code`, `link`, `forgot`, `register`; `confirm`, `magic` and `reset` for what stands behind the `#` of a letter's link.")
                .errors(&[&NOT_FOUND]),
        )
        .get(
            "/assets/{name}",
            asset,
            page("What these pages load").errors(&[&NOT_FOUND]),
        )
        .build()
}

async fn home(_: Public) -> Response {
    framed(&HOME)
}

async fn setup(_: Public) -> Response {
    framed(&SETUP)
}

async fn account(_: Public) -> Response {
    framed(&ACCOUNT)
}

async fn login(_: Public, Path(name): Path<String>) -> Result<Response> {
    let page = LOGINS.iter().find(|page| page.name == name);
    Ok(framed(page.ok_or(NOT_FOUND.fail())?))
}

async fn asset(_: Public, Path(name): Path<String>) -> Result<Response> {
    let found = ASSETS.iter().find(|(known, _)| *known == name);
    let (name, text) = found.ok_or(NOT_FOUND.fail())?;
    let kind = match name.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        _ => "image/svg+xml",
    };
    Ok(answer(kind, *text))
}

fn framed(page: &Page) -> Response {
    let text = format!(
        include_str!("pages/frame.html"),
        title = page.title,
        body = page.body,
        script = page.script
    );
    answer("text/html; charset=utf-8", text)
}

fn answer(kind: &'static str, body: impl IntoResponse) -> Response {
    let kind = HeaderValue::from_static(kind);
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn pages() -> impl Iterator<Item = &'static Page> {
        [&HOME, &SETUP, &ACCOUNT].into_iter().chain(LOGINS)
    }

    fn asset_text(name: &str) -> &'static str {
        let found = ASSETS.iter().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// What stands between `before` and `after`, wherever it does.
    fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
        let parts = text.split(before).skip(1);
        parts
            .filter_map(|part| Some(part.split_once(after)?.0))
            .collect()
    }

    /// The texts that a function is called with.
    fn called<'a>(function: &str, text: &'a str) -> Vec<&'a str> {
        let call = format!("{function}(\"");
        let parts: Vec<&str> = text.split(&call).collect();
        // The end of another function's name is no call of this one.
        let own = parts.windows(2).filter_map(|pair| match pair {
            [before, after] if !before.ends_with(char::is_alphanumeric) => Some(*after),
            _ => None,
        });
        own.filter_map(|after| Some(after.split_once('"')?.0))
            .collect()
    }

    fn scripts() -> impl Iterator<Item = (&'static str, &'static str)> {
        let all = ASSETS.iter().copied();
        all.filter(|(name, _)| name.ends_with(".js"))
    }

    #[test]
    fn pages_and_scripts_load_what_there_is() {
        for page in pages() {
            asset_text(&format!("{}.js", page.script));
        }
        let mut loaded: BTreeSet<&str> = pages().map(|page| page.script).collect();
        loaded.extend(between(include_str!("pages/frame.html"), "/assets/", "\""));
        for (_, text) in scripts() {
            for name in between(text, "\"./", "\"") {
                asset_text(name);
                loaded.insert(name);
            }
        }
        for (name, _) in ASSETS {
            let bare = name.trim_end_matches(".js");
            assert!(
                loaded.contains(name) || loaded.contains(bare),
                "{name} is for nothing"
            );
        }
    }

    #[test]
    fn nothing_stands_inline_that_the_policy_of_these_pages_refuses() {
        for page in pages() {
            for inline in [
                "<script",
                "<style",
                " style=",
                " onclick=",
                " onsubmit=",
                "http:",
                "https:",
            ] {
                assert!(!page.body.contains(inline), "{}: {inline}", page.name);
            }
        }
    }

    #[test]
    fn the_account_page_offers_every_scope_of_a_key() {
        let offered = between(ACCOUNT.body, "id=\"scope-", ">");
        let offered: Vec<&str> = offered
            .into_iter()
            .flat_map(|box_| between(box_, "name=\"", "\""))
            .collect();
        let scopes: Vec<&str> = identity::SCOPES.iter().map(|(scope, _)| *scope).collect();
        assert_eq!(offered, scopes);
    }

    #[test]
    fn every_text_of_a_page_is_there_in_turkish_and_no_other() {
        let words = asset_text("words.js");
        let known: BTreeSet<&str> = between(words, "\n  \"", "\": \"").into_iter().collect();
        let mut used: BTreeSet<&str> = pages().map(|page| page.title).collect();
        for page in pages() {
            used.extend(between(page.body, " data-t>", "<"));
        }
        for (_, text) in scripts().filter(|(name, _)| *name != "words.js") {
            used.extend(called("t", text));
            used.extend(called("key", text));
        }
        let missing: Vec<_> = used.difference(&known).collect();
        assert!(missing.is_empty(), "not in words.js: {missing:#?}");
        let idle: Vec<_> = known.difference(&used).collect();
        assert!(idle.is_empty(), "in words.js for nothing: {idle:#?}");
    }
}
