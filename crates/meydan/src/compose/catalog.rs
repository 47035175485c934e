//! What all contexts together have: migrations, error codes, metrics.

use runtime::Metric;

/// The migrations of every context, in call order.
pub(crate) fn migrations() -> Vec<db::Migrations> {
    vec![
        identity::MIGRATIONS,
        communities::MIGRATIONS,
        media::MIGRATIONS,
        messaging::MIGRATIONS,
        applications::MIGRATIONS,
        audit::MIGRATIONS,
        realtime::MIGRATIONS,
    ]
}

/// Every error code of the product.
pub(crate) fn errors() -> Vec<&'static kernel::ErrorRow> {
    [
        kernel::failure::ERRORS,
        web_kit::ERRORS,
        rpc::ERRORS,
        identity::ERRORS,
        communities::ERRORS,
        media::ERRORS,
        messaging::ERRORS,
        applications::ERRORS,
        audit::ERRORS,
        realtime::ERRORS,
    ]
    .concat()
}

/// Every metric of the product.
pub(crate) fn metrics() -> Vec<Metric> {
    [
        runtime::METRICS,
        web_kit::METRICS,
        rpc::METRICS,
        infra::METRICS,
        db::METRICS,
        identity::METRICS,
        media::METRICS,
        messaging::METRICS,
        applications::METRICS,
        audit::METRICS,
        realtime::METRICS,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    /// Whom people know is their own business.
    const NOT_AUDITED: &[&str] = &["identity.relationship_changed.v1"];

    /// What identity tells is what auditors ask for: a new event is audited or said not to be.
    #[test]
    fn every_event_of_accounts_is_audited() {
        for kind in identity::EVENTS {
            let audited = audit::AUDITED.contains(kind);
            let excepted = NOT_AUDITED.contains(kind);
            assert!(
                audited != excepted,
                "{kind} is neither audited nor excepted"
            );
        }
    }
}
