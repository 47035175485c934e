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

#[expect(
    unreachable_pub,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::as_conversions,
    clippy::pedantic,
    reason = "generated code; a lint in it is nobody's to mend"
)]
#[rustfmt::skip]
#[path = "generated/meydan.internal.v1.rs"]
mod internal;

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

/// The messages of `internal.proto`.
pub mod internal_messages {
    pub use super::internal::{
        AccessForCookieRequest, AccessForCookieResponse, DeviceIsLiveRequest, DeviceIsLiveResponse,
        KeysRequest, KeysResponse, ResolveApiKeyRequest, ResolveApiKeyResponse,
        RevokedSinceRequest, RevokedSinceResponse, RolesRequest, RolesResponse,
        ServiceTokenRequest, ServiceTokenResponse, TakeTicketRequest, TakeTicketResponse,
        WaysToStepUpRequest, WaysToStepUpResponse, keys_response, resolve_api_key_response,
    };
}

/// A client of `meydan.internal.v1.Credentials`.
pub use internal::credentials_client;
pub(crate) use internal::credentials_server;

/// The descriptors of `auth.proto`, as an encoded `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/auth.bin");
/// Those of `internal.proto`; no server describes them.
pub const INTERNAL_DESCRIPTORS: &[u8] = include_bytes!("generated/internal.bin");
