//! What can go wrong on the gateway's HTTP side.

use kernel::{ErrorKind, ErrorRow, Failure};

/// The request is no WebSocket upgrade.
pub const UPGRADE_REQUIRED: ErrorRow = ErrorRow {
    code: "UPGRADE_REQUIRED",
    kind: ErrorKind::Invalid,
    dialect: 0,
    en: "this address speaks WebSocket (RFC 6455, version 13); send an upgrade request",
    tr: "bu adres WebSocket konuşur (RFC 6455, sürüm 13); yükseltme isteği gönderin",
};

/// The node has as many sockets as it may.
pub const GATEWAY_FULL: ErrorRow = ErrorRow {
    code: "GATEWAY_FULL",
    kind: ErrorKind::Unavailable,
    dialect: 0,
    en: "the gateway has no room for another connection; try again shortly",
    tr: "ağ geçidinde yeni bağlantıya yer yok; birazdan yeniden deneyin",
};

/// All rows of the crate.
pub const ERRORS: &[&ErrorRow] = &[&UPGRADE_REQUIRED, &GATEWAY_FULL];

pub(crate) fn upgrade(error: axum::http::Error) -> Failure {
    kernel::failure::INTERNAL.fail().because(error)
}
