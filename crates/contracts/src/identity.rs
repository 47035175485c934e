//! What others ask of identity.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use kernel::{Caller, DeviceId, Failure, PlatformRole, UserId};
use serde::{Deserialize, Serialize};

/// Whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// A person.
    Person,
    /// A bot of an application.
    Bot,
}

/// A user as every other user may see them; the chat dialect's user object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct User {
    /// The account.
    pub id: UserId,
    /// Unique name, `[a-z0-9_.]{2,32}`.
    pub username: String,
    /// Always "0": names are unique without a number.
    pub discriminator: String,
    /// The name people read.
    pub global_name: Option<String>,
    /// Picture hash; none yet.
    pub avatar: Option<String>,
    /// Whether it is a bot.
    #[serde(default)]
    pub bot: bool,
    /// Dialect's public flags; none are set.
    #[serde(default)]
    pub public_flags: u32,
}

impl User {
    /// The user object of an account.
    pub fn new(id: UserId, username: String, display_name: String, kind: AccountKind) -> Self {
        User {
            id,
            username,
            discriminator: "0".to_owned(),
            global_name: Some(display_name),
            avatar: None,
            bot: kind == AccountKind::Bot,
            public_flags: 0,
        }
    }

    /// Stands in for an account that was erased or never existed.
    pub fn unknown(id: UserId) -> Self {
        User::new(
            id,
            "unknown".to_owned(),
            "Unknown user".to_owned(),
            AccountKind::Person,
        )
    }
}

/// What an account proved about how it is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContactProofs {
    /// An e-mail address.
    pub email: bool,
    /// A phone number.
    pub phone: bool,
}

/// Accounts, as other contexts need them.
#[async_trait]
pub trait Identity: Send + Sync + 'static {
    /// The public cards of `ids`; unknown ones are left out, order is not kept. At most 500.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, Failure>;

    /// What an account proved about how it is reached; nothing for unknown ones.
    async fn contact_proofs(&self, user: UserId) -> Result<ContactProofs, Failure>;

    /// Makes the account of a bot. `owner` is recorded as its maker.
    async fn create_bot(&self, owner: UserId, name: &str) -> Result<User, Failure>;

    /// Disables a bot's account for good.
    async fn retire_bot(&self, bot: UserId) -> Result<(), Failure>;
}

/// One public key that signs tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// The `kid` of the token header.
    pub kid: String,
    /// Raw Ed25519 public key.
    pub public: [u8; 32],
}

/// The words of [`Credentials::ways_to_step_up`].
pub const WAYS_TO_STEP_UP: [&str; 5] = ["password", "totp", "passkey", "recovery", "otp"];

/// What verifiers on every node need to judge tokens by themselves.
#[async_trait]
pub trait Credentials: Send + Sync + 'static {
    /// Every key a token may be signed with now: published, active and lately retired ones. Never
    /// from a memory: it is asked when a token names a key that nobody knows yet.
    async fn keys(&self) -> Result<Vec<SigningKey>, Failure>;

    /// Devices revoked since `since`. The caller overlaps its windows; an answer may repeat.
    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<DeviceId>, Failure>;

    /// Whether the device may still act: it exists, is not revoked and has not expired, and its
    /// user is active.
    async fn device_is_live(&self, device: DeviceId) -> Result<bool, Failure>;

    /// Whose program shows the API key with this SHA-256; none when it is not a live one.
    async fn resolve_api_key(&self, sha256: [u8; 32]) -> Result<Option<Caller>, Failure>;

    /// An access token for the browser session whose cookie has this SHA-256, and prolongs the
    /// session; none when it is not a live one.
    async fn access_for_cookie(
        &self,
        sha256: [u8; 32],
        from: &From,
    ) -> Result<Option<String>, Failure>;

    /// With what the user can prove again that it is them: words of [`WAYS_TO_STEP_UP`].
    async fn ways_to_step_up(&self, user: UserId) -> Result<Vec<&'static str>, Failure>;

    /// Uses a WebSocket ticket up and gives the access token it stands for; once, to one caller.
    async fn take_ticket(&self, sha256: [u8; 32]) -> Result<Option<String>, Failure>;

    /// The platform roles of a user, now.
    async fn roles(&self, user: UserId) -> Result<Vec<PlatformRole>, Failure>;
}

/// Shows that a process knows the root secret of the installation, without telling it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceProof {
    /// What the process calls itself.
    pub service: String,
    /// When it was made, in seconds since 1970 UTC.
    pub at: i64,
    /// Random, so that a proof is good once.
    pub nonce: [u8; 16],
    /// HMAC-SHA-256 of the above under a key derived from the root secret.
    pub mac: [u8; 32],
}

/// A token that a process shows to others of the same installation.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceToken {
    /// Its text.
    pub token: String,
    /// How long it is good.
    pub expires_in: Duration,
}

impl std::fmt::Debug for ServiceToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceToken")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// How the processes of one installation come to know each other.
#[async_trait]
pub trait ServiceTokens: Send + Sync + 'static {
    /// A token for the process that shows `proof`, which is good once and within 30 s of its time.
    async fn service_token(&self, proof: &ServiceProof) -> Result<ServiceToken, Failure>;
}

/// Where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// The client's address.
    pub ip: IpAddr,
    /// The client's program.
    pub user_agent: Option<String>,
}

/// A wish for a one-time password by SMS.
#[derive(Debug, Clone)]
pub struct SendOtp {
    /// As it was typed.
    pub phone_number: String,
    /// Language of the text; the account's or the installation's when absent.
    pub locale: Option<String>,
    /// Who asks.
    pub from: From,
}

/// A one-time password is on its way, or the number is not one we may tell about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtpSent {
    /// Names the challenge; only whoever asked for it has it.
    pub handle: String,
    /// Until the next one may be asked for.
    pub resend_after_seconds: u32,
}

/// A one-time password that came back.
#[derive(Debug, Clone)]
pub struct VerifyOtp {
    /// As it was typed.
    pub phone_number: String,
    /// Names the challenge; without it the newest one of the number is meant.
    pub handle: Option<String>,
    /// The code.
    pub otp_code: String,
    /// A TOTP code, a recovery code or the PIN, where the account asks for more.
    pub second_factor: Option<String>,
    /// A name for the list of devices.
    pub device_name: Option<String>,
    /// `web`, `ios`, `android`, `desktop` or `cli`; other words are kept as none.
    pub device_type: Option<String>,
    /// Where to push to.
    pub push_notification_token: Option<String>,
    /// Who asks.
    pub from: From,
}

/// A pair of tokens of a login.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenPair {
    /// Shown with every request, for some minutes.
    pub access_token: String,
    /// Exchanged once for the next pair.
    pub refresh_token: String,
    /// The user.
    pub user: UserId,
    /// Whether this login made the account.
    pub is_new_user: bool,
}

impl std::fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenPair")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Logging in by phone, as the gRPC service `auth.AuthService` offers it.
#[async_trait]
pub trait Auth: Send + Sync + 'static {
    /// Sends a one-time password.
    async fn send_otp(&self, wish: SendOtp) -> Result<OtpSent, Failure>;

    /// Logs in with a one-time password. Where a second factor is needed and absent it fails with
    /// `SECOND_FACTOR_REQUIRED` or `REGISTRATION_LOCKED`, and the code stays good.
    async fn verify_otp(&self, proof: VerifyOtp) -> Result<TokenPair, Failure>;

    /// The user of an access token, if the token is valid and its device is live.
    async fn validate(&self, access_token: &str, ip: IpAddr) -> Result<Option<UserId>, Failure>;

    /// Exchanges a refresh token for the next pair.
    async fn refresh(
        &self,
        refresh_token: &str,
        attempt_id: Option<&str>,
    ) -> Result<TokenPair, Failure>;

    /// Signs the device of a refresh token out; repeatable for any token we signed.
    async fn revoke_current_device(&self, refresh_token: &str) -> Result<(), Failure>;

    /// Signs every device of the access token's user out.
    async fn log_out_everywhere(&self, access_token: &str) -> Result<(), Failure>;
}
