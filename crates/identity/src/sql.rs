//! Every statement of the context: one constant and one function each, by table.

use std::sync::LazyLock;

pub(crate) mod address_book;
pub(crate) mod api_keys;
pub(crate) mod consents;
pub(crate) mod demo;
pub(crate) mod devices;
pub(crate) mod erasures;
pub(crate) mod exports;
pub(crate) mod factors;
pub(crate) mod impersonations;
pub(crate) mod keys;
pub(crate) mod mailboxes;
pub(crate) mod oauth;
pub(crate) mod operator;
pub(crate) mod otp;
pub(crate) mod owners;
pub(crate) mod passkeys;
pub(crate) mod people;
pub(crate) mod relations;
pub(crate) mod revocations;
pub(crate) mod staff;
pub(crate) mod tokens;
pub(crate) mod users;

/// All statements, for the test that prepares each.
pub(crate) static ALL: LazyLock<Vec<&'static db::Sql>> = LazyLock::new(|| {
    [
        api_keys::ALL,
        consents::ALL,
        address_book::ALL,
        demo::ALL,
        devices::ALL,
        erasures::ALL,
        exports::ALL,
        factors::ALL,
        impersonations::ALL,
        keys::ALL,
        mailboxes::ALL,
        passkeys::ALL,
        oauth::ALL,
        operator::ALL,
        otp::ALL,
        owners::ALL,
        people::ALL,
        relations::ALL,
        revocations::ALL,
        staff::ALL,
        tokens::ALL,
        users::ALL,
    ]
    .concat()
});
