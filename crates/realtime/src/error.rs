//! What can go wrong on the gateway's HTTP side.

use kernel::Failure;

kernel::error_rows! {
    UPGRADE_REQUIRED, Invalid, 0,
        "this address speaks WebSocket (RFC 6455, version 13); send an upgrade request",
        "bu adres WebSocket konuşur (RFC 6455, sürüm 13); yükseltme isteği gönderin";
    GATEWAY_FULL, Unavailable, 0,
        "the gateway has no room for another connection; try again shortly",
        "ağ geçidinde yeni bağlantıya yer yok; birazdan yeniden deneyin";
}

pub(crate) fn upgrade(error: axum::http::Error) -> Failure {
    kernel::failure::INTERNAL.fail().because(error)
}
