//! Every statement of the crate. A file per noun; [`ALL`] is what the test prepares.
//!
//! No function here begins or ends a transaction. Whoever changes a community holds the lock of its
//! row ([`communities::lock_community`]), so no other statement needs one.

pub(crate) mod audit;
pub(crate) mod automod;
pub(crate) mod bans;
pub(crate) mod channels;
pub(crate) mod communities;
pub(crate) mod discovery;
pub(crate) mod emojis;
pub(crate) mod invites;
pub(crate) mod members;
pub(crate) mod reports;
pub(crate) mod roles;
pub(crate) mod statistics;
pub(crate) mod templates;

use db::Sql;

/// The lists of all files.
pub(crate) static ALL: std::sync::LazyLock<Vec<&'static Sql>> = std::sync::LazyLock::new(|| {
    [
        communities::ALL,
        channels::ALL,
        roles::ALL,
        members::ALL,
        bans::ALL,
        invites::ALL,
        discovery::ALL,
        emojis::ALL,
        audit::ALL,
        templates::ALL,
        automod::ALL,
        reports::ALL,
        statistics::ALL,
    ]
    .concat()
});
