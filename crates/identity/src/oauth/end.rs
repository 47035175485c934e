//! How a login at a provider ends: somewhere, in any case.

use super::provider::with_query;
use crate::devices::LoggedIn;
use crate::error::{Error, Result};

/// How a login at a provider ended.
#[derive(Debug)]
pub struct OauthEnd {
    /// Where the browser goes: a page of ours or an app's address, which is told of a failure.
    pub location: String,
    /// The session, where a page asked for one; or why there is none.
    pub outcome: Result<Option<LoggedIn>>,
}

impl OauthEnd {
    /// A browser cannot read an answer on its way, so the place it goes to is told.
    pub(super) fn lost(place: &Place, error: Error) -> Self {
        let code = error.row().code;
        OauthEnd {
            location: match place {
                Place::Page(path) => format!("{path}#error={code}"),
                Place::App(address) => with_query(address, &[("error", code)]),
            },
            outcome: Err(error),
        }
    }
}

/// Who waits for a browser that comes back.
pub(super) enum Place {
    /// A page of ours.
    Page(String),
    /// An app, at its own address.
    App(String),
}
