//! What `cargo xtask gen` writes from `proto/`.

#[expect(
    unreachable_pub,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::as_conversions,
    clippy::pedantic,
    reason = "generated code; a lint in it is nobody's to mend"
)]
#[rustfmt::skip]
mod auth;

/// The messages of `auth.proto`.
pub mod messages {
    pub use super::auth::{
        LogoutAllDevicesRequest, LogoutAllDevicesResponse, RefreshTokenRequest,
        RefreshTokenResponse, RevokeCurrentDeviceRequest, RevokeCurrentDeviceResponse,
        SendOtpRequest, SendOtpResponse, ValidateTokenRequest, ValidateTokenResponse,
        VerifyOtpRequest, VerifyOtpResponse,
    };
}

/// A client of `auth.AuthService`.
pub use auth::auth_service_client as auth_client;
pub(crate) use auth::auth_service_server as auth_server;

/// The descriptors of `proto/`, as an encoded `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");
