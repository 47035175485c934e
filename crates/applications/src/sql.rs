//! Every statement of the crate: one constant and one function each, in a file per noun. [`ALL`] is
//! what the test prepares.

pub(crate) mod applications;
pub(crate) mod deliveries;
pub(crate) mod subscriptions;
pub(crate) mod webhooks;

use db::Sql;

/// The lists of all files.
pub(crate) static ALL: std::sync::LazyLock<Vec<&'static Sql>> = std::sync::LazyLock::new(|| {
    [
        applications::ALL,
        webhooks::ALL,
        subscriptions::ALL,
        deliveries::ALL,
    ]
    .concat()
});
