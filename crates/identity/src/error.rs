//! What can go wrong here, and what the public reads about it.

use std::time::Duration;

pub(crate) use kernel::failure::STEP_UP_REQUIRED;
use kernel::failure::{
    FORBIDDEN, INTERNAL, INVALID_REQUEST, NOT_FOUND, RATE_LIMITED, UNAUTHENTICATED, UNAVAILABLE,
};
use kernel::{ErrorKind, ErrorRow, Failure, FieldError};

/// Why an operation of this context failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Unknown account, wrong password, or an account that may not log in: never told apart.
    #[error("log in with credentials that do not fit")]
    InvalidCredentials,
    /// The queue of password hashing is full.
    #[error("hash a password while the queue is full")]
    Busy,
    /// A limit was reached.
    #[error("exceed the limit {limit}")]
    RateLimited {
        /// Name of the rule.
        limit: &'static str,
        /// Until the next attempt is allowed.
        retry_after: Duration,
    },
    /// Fields that break their rules.
    #[error("accept a request with {} invalid fields", .0.len())]
    Invalid(Vec<FieldError>),
    /// The text is no e-mail address.
    #[error("read an e-mail address")]
    EmailInvalid,
    /// Somebody has this e-mail address.
    #[error("take an e-mail address that is in use")]
    EmailTaken,
    /// Somebody has this username, or nobody may have it.
    #[error("take a username that is in use")]
    UsernameTaken,
    /// The password is too easy to guess, too short or too long.
    #[error("accept a weak password ({})", .reasons.join(", "))]
    PasswordTooWeak {
        /// Stable codes.
        reasons: Vec<&'static str>,
    },
    /// New accounts are made by administrators only.
    #[error("register while registration is closed")]
    RegistrationClosed,
    /// The refresh token was just exchanged by another request of the same client.
    #[error("refresh with the token before the present one, within the grace")]
    RefreshRotated,
    /// A spent refresh token came back; its device was signed out.
    #[error("refresh with a spent token")]
    RefreshReused,
    /// The refresh token is not one of ours, has expired or was revoked.
    #[error("refresh with a token that is not valid")]
    RefreshInvalid,
    /// The link or code is wrong, expired or used.
    #[error("use a one-time token that is not valid")]
    TokenInvalid,
    /// There is an administrator, so set-up is over.
    #[error("set up although an administrator exists")]
    AdminExists,
    /// Nobody else administers the platform.
    #[error("take the last administrator's role")]
    LastAdmin,
    /// A new account for the administrator needs a password.
    #[error("create an administrator without a password")]
    AdminPasswordMissing,
    /// The login is too old for this.
    #[error("act on a login that is older than five minutes")]
    StepUpRequired {
        /// What the user can prove it with.
        methods: Vec<&'static str>,
    },
    /// A first factor was right, and the account asks for a second.
    #[error("log in without the second factor")]
    SecondFactorRequired {
        /// Stands for what was proved.
        mfa_token: String,
        /// What the user can prove it with.
        methods: Vec<&'static str>,
    },
    /// The number's account is guarded by its PIN or a second factor.
    #[error("log in by a number whose account is locked")]
    RegistrationLocked {
        /// Stands for what was proved.
        mfa_token: String,
        /// What the user can prove it with.
        methods: Vec<&'static str>,
        /// When the PIN is no longer asked for, unless the account is used until then.
        unlocks_at: Option<jiff::Timestamp>,
    },
    /// The second factor is wrong or was used before.
    #[error("prove a second factor that does not fit")]
    SecondFactorInvalid,
    /// The token of an unfinished login is wrong, expired, used or has had too many attempts.
    #[error("go on with a login that was not begun")]
    MfaTokenInvalid,
    /// A process does not show that it belongs to this installation.
    #[error("give a service token for {0}")]
    ServiceProofInvalid(&'static str),
    /// The text is no telephone number that can be called.
    #[error("read a telephone number")]
    PhoneInvalid,
    /// Codes are not sent to this country.
    #[error("send a code to a country that is not allowed")]
    CountryNotAllowed,
    /// The code is wrong, expired, used, unknown, or had too many attempts.
    #[error("use a one-time password that is not valid")]
    OtpInvalid,
    /// The account is disabled: a way into it would lead nowhere.
    #[error("open a way into an account that is disabled")]
    AccountDisabled,
    /// Whoever carries letters did not take one.
    #[error("hand a letter over: {0}")]
    LetterNotTaken(&'static str),
    /// There is nobody who could carry the message.
    #[error("send a message by {channel} while no provider is set up")]
    ChannelUnavailable {
        /// `sms` or `email`.
        channel: &'static str,
    },
    /// Somebody has this address or number.
    #[error("take a contact that is in use")]
    ContactTaken,
    /// The code of the authenticator app is wrong or was used.
    #[error("use a code of an authenticator app that does not fit")]
    TotpInvalid,
    /// The account has an authenticator app.
    #[error("add a second authenticator app")]
    TotpAlreadyOn,
    /// The answer of the authenticator does not fit the challenge, or nobody knows it.
    #[error("use a passkey that does not fit")]
    PasskeyInvalid,
    /// Browsers offer no passkeys for the address of this server.
    #[error("use a passkey on a server without a name or without TLS")]
    PasskeysOff,
    /// Without it nobody could log in any more.
    #[error("remove the last way to log in")]
    LastFactor,
    /// No such provider is set up.
    #[error("log in at a provider that is not set up")]
    ProviderUnknown,
    /// The provider's answer cannot be trusted or did not come.
    #[error("log in at a provider: {0}")]
    OauthFailed(&'static str),
    /// The page or app to come back to is none of ours.
    #[error("log in at a provider and come back to a foreign place")]
    ReturnRefused,
    /// The provider names an address that belongs to somebody.
    #[error("log in at a provider whose address has an account")]
    AccountLinkRequired,
    /// The account has as many live keys as it may.
    #[error("make more API keys than an account may have")]
    TooManyKeys,
    /// A scope nobody knows.
    #[error("make a key with an unknown scope")]
    ScopeUnknown,
    /// The text was replaced by a newer version.
    #[error("agree to a text that was replaced")]
    TextOutdated,
    /// An export is being made.
    #[error("ask for an export while one is being made")]
    ExportRunning,
    /// Something must be settled before the account can go.
    #[error("erase an account that still has duties ({})", .reasons.join(", "))]
    ErasureBlocked {
        /// Stable codes.
        reasons: Vec<&'static str>,
    },
    /// No valid access token.
    #[error("act without a valid access token")]
    Unauthenticated,
    /// A page that is none of ours, or a program, asks for a cookie.
    #[error("log in by cookie from a foreign page")]
    ForeignPage,
    /// Bots and other credentials without a device cannot do this.
    #[error("act on a device with a credential that has none")]
    Forbidden,
    /// The thing is absent or somebody else's.
    #[error("find a thing that is not there")]
    NotFound,
    /// The same, where the chat dialect has a number for it.
    #[error("find a user who is not there")]
    UnknownUser,
    /// There may be no people whose password everybody knows.
    #[error("make demo people where others can reach the server")]
    DemoRefused,
    /// `If-Match` is missing.
    #[error("change a profile without naming its version")]
    PreconditionRequired,
    /// Somebody else changed the profile since.
    #[error("change a profile by a stale version")]
    Stale,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] infra::cache::CacheError),
    /// The object store failed.
    #[error(transparent)]
    Objects(#[from] infra::objects::ObjectError),
    /// Another context failed.
    #[error(transparent)]
    Context(Failure),
    /// No identifier could be made.
    #[error(transparent)]
    Id(#[from] kernel::IdError),
    /// The caller named themselves.
    #[error("relate to oneself")]
    Yourself,
    /// Bots have no friends.
    #[error("ask a bot for friendship")]
    FriendsPeopleOnly,
    /// A block of either side, or somebody who takes no requests: never told apart.
    #[error("ask for friendship where none is wanted")]
    FriendRequestRefused,
    /// One of the two has as many as there may be.
    #[error("have more friends, requests, blocks or contacts than there may be")]
    RelationsMax,
    /// A key could not be made, opened or used.
    #[error(transparent)]
    Secret(#[from] crate::secrets::SecretError),
    /// Something of ours does not hold; a bug.
    #[error("{0}")]
    Broken(&'static str),
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;

kernel::error_rows! {
    INVALID_CREDENTIALS, Unauthenticated, 0,
        "no account fits this name and password",
        "bu ad ve parolaya uyan bir hesap yok";
    BUSY, Unavailable, 0,
        "too many logins at once; try again after the time in Retry-After",
        "aynı anda çok fazla giriş var; Retry-After süresinden sonra yeniden deneyin";
    EMAIL_INVALID, Invalid, 0,
        "this is not an e-mail address we can write to",
        "bu, yazabileceğimiz bir e-posta adresi değil";
    EMAIL_TAKEN, Conflict, 0,
        "an account has this e-mail address; log in instead",
        "bu e-posta adresi bir hesaba ait; bunun yerine giriş yapın";
    USERNAME_TAKEN, Conflict, 0,
        "this username is taken; choose another",
        "bu kullanıcı adı alınmış; başka bir ad seçin";
    PASSWORD_TOO_WEAK, Invalid, 0,
        "this password is too easy to guess; `reasons` says why, a few unusual words work well",
        "bu parola çok kolay tahmin edilir; `reasons` nedenini söyler, birkaç alışılmadık sözcük işe yarar";
    REGISTRATION_CLOSED, Forbidden, 0,
        "this server does not take registrations: an administrator creates accounts (`meydan admin create`)",
        "bu sunucu kayıt almıyor: hesapları bir yönetici açar (`meydan admin create`)";
    REFRESH_ROTATED, Unauthenticated, 0,
        "this refresh token was just exchanged; read the new one from your own store",
        "bu yenileme belirteci az önce değiştirildi; yenisini kendi deponuzdan okuyun";
    REFRESH_REUSED, Unauthenticated, 0,
        "this refresh token was used before; for safety the login was ended, log in again",
        "bu yenileme belirteci daha önce kullanıldı; güvenlik için oturum kapatıldı, yeniden giriş yapın";
    REFRESH_INVALID, Unauthenticated, 0,
        "this refresh token is not valid; log in again",
        "bu yenileme belirteci geçerli değil; yeniden giriş yapın";
    TOKEN_INVALID, Unauthenticated, 0,
        "this link or code is not valid: it was used, has expired or was replaced",
        "bu bağlantı ya da kod geçerli değil: kullanılmış, süresi dolmuş ya da yenilenmiş";
    ADMIN_EXISTS, Conflict, 0,
        "an administrator exists already; set-up is over",
        "bir yönetici zaten var; kurulum bitti";
    LAST_ADMIN, Conflict, 0,
        "nobody else administers this platform; make another administrator first",
        "bu platformu başka yöneten yok; önce başka bir yönetici atayın";
    ADMIN_PASSWORD_MISSING, Invalid, 0,
        "a new administrator needs a password",
        "yeni bir yönetici için parola gerekir";
    SECOND_FACTOR_REQUIRED, Unauthenticated, 0,
        "this account asks for a second factor: send it with `mfa_token` to /v1/auth/login/second-factor",
        "bu hesap ikinci bir doğrulama istiyor: `mfa_token` ile /v1/auth/login/second-factor adresine gönderin";
    REGISTRATION_LOCKED, Forbidden, 0,
        "this number's account is locked: send its PIN or second factor with `mfa_token` to /v1/auth/login/second-factor",
        "bu numaranın hesabı kilitli: PIN'ini ya da ikinci doğrulamayı `mfa_token` ile /v1/auth/login/second-factor adresine gönderin";
    SECOND_FACTOR_INVALID, Unauthenticated, 0,
        "this proof is wrong or was used before",
        "bu doğrulama yanlış ya da daha önce kullanılmış";
    MFA_TOKEN_INVALID, Unauthenticated, 0,
        "this login took too long or failed too often; begin again",
        "bu giriş çok uzun sürdü ya da çok kez başarısız oldu; yeniden başlayın";
    PHONE_INVALID, Invalid, 0,
        "this is not a telephone number we can reach; write it with its country code, such as +90 532 123 45 67",
        "bu, ulaşabileceğimiz bir telefon numarası değil; ülke koduyla yazın, örneğin +90 532 123 45 67";
    COUNTRY_NOT_ALLOWED, Invalid, 0,
        "codes are not sent to this country; use another number or an e-mail address",
        "bu ülkeye kod gönderilmiyor; başka bir numara ya da e-posta adresi kullanın";
    OTP_INVALID, Unauthenticated, 0,
        "this code is not valid: it is wrong, was used, has expired or was tried too often",
        "bu kod geçerli değil: yanlış, kullanılmış, süresi dolmuş ya da çok kez denenmiş";
    CHANNEL_UNAVAILABLE, Unavailable, 0,
        "this server cannot send such messages now; choose another way to log in",
        "bu sunucu şu anda bu tür ileti gönderemiyor; başka bir giriş yolu seçin";
    CONTACT_TAKEN, Conflict, 0,
        "another account has this address or number",
        "bu adres ya da numara başka bir hesaba ait";
    TOTP_INVALID, Invalid, 0,
        "this code does not fit; check the clock of your device and use a new code",
        "bu kod uymuyor; cihazınızın saatini denetleyin ve yeni bir kod kullanın";
    TOTP_ALREADY_ON, Conflict, 0,
        "an authenticator app is set up already; remove it first",
        "bir doğrulayıcı uygulama zaten kurulu; önce onu kaldırın";
    PASSKEY_INVALID, Unauthenticated, 0,
        "this passkey does not fit; begin again with new options",
        "bu geçiş anahtarı uymuyor; yeni seçeneklerle yeniden başlayın";
    PASSKEYS_OFF, NotFound, 0,
        "this server offers no passkeys: its public URL needs a name and https",
        "bu sunucuda geçiş anahtarı yok: genel adresinde bir alan adı ve https gerekir";
    LAST_FACTOR, Conflict, 0,
        "this is the last way to log in; add another first",
        "bu, giriş yapmanın son yolu; önce başka bir yol ekleyin";
    PROVIDER_UNKNOWN, NotFound, 0,
        "this server does not know that provider",
        "bu sunucu o sağlayıcıyı tanımıyor";
    OAUTH_FAILED, BadGateway, 0,
        "the provider did not confirm the login; begin again",
        "sağlayıcı girişi onaylamadı; yeniden başlayın";
    RETURN_REFUSED, Invalid, 0,
        "return_to must be a path of this server, or an address of an app that the settings allow together with a code_challenge",
        "return_to bu sunucunun bir yolu olmalı ya da ayarların izin verdiği bir uygulama adresi ve code_challenge birlikte verilmelidir";
    ACCOUNT_LINK_REQUIRED, Conflict, 0,
        "an account has this e-mail address: log in, then link the provider in your settings",
        "bu e-posta adresi bir hesaba ait: giriş yapın, sonra sağlayıcıyı ayarlarınızdan bağlayın";
    SCOPE_UNKNOWN, Invalid, 0,
        "one of the scopes does not exist; the documentation lists them",
        "izinlerden biri yok; belgelerde listelenir";
    TOO_MANY_KEYS, Conflict, 0,
        "this account has 20 API keys; take one back first",
        "bu hesabın 20 API anahtarı var; önce birini iptal edin";
    TEXT_OUTDATED, Conflict, 0,
        "this text was replaced by a newer version; read that and agree to it",
        "bu metin yenilendi; yenisini okuyup onu onaylayın";
    EXPORT_RUNNING, Conflict, 0,
        "an export is being made; wait until it is ready",
        "bir dışa aktarma hazırlanıyor; bitmesini bekleyin";
    ERASURE_BLOCKED, Conflict, 0,
        "the account cannot be erased yet; `reasons` says what has to be settled first",
        "hesap henüz silinemez; `reasons` önce neyin çözülmesi gerektiğini söyler";
    UNKNOWN_USER, NotFound, 10013,
        "no such user",
        "böyle bir kullanıcı yok";
    YOURSELF, Invalid, 80003,
        "you cannot do this with yourself",
        "bunu kendinizle yapamazsınız";
    FRIENDS_PEOPLE_ONLY, Invalid, 80002,
        "bots cannot have friends",
        "botların arkadaşı olamaz";
    FRIEND_REQUEST_REFUSED, Invalid, 80000,
        "this person takes no friend requests from you",
        "bu kişi sizden arkadaşlık isteği kabul etmiyor";
    RELATIONS_MAX, Invalid, 30002,
        "one of you has as many friends, open requests, blocks or contacts as there may be",
        "birinizin arkadaş, bekleyen istek, engel ya da kişi sayısı üst sınırda";
    SERVICE_PROOF_INVALID, Unauthenticated, 0,
        "this process does not prove that it belongs to the installation: give it the same root secret, and check its clock",
        "bu süreç kuruluma ait olduğunu kanıtlamıyor: aynı kök gizli anahtarı verin ve saatini denetleyin";
    PRECONDITION_REQUIRED, PreconditionRequired, 0,
        "send If-Match with the ETag you read",
        "okuduğunuz ETag ile If-Match gönderin";
    STALE, Stale, 0,
        "somebody changed this meanwhile; read it again and repeat your change",
        "bu arada başkası değiştirdi; yeniden okuyup değişikliğinizi yineleyin";
}

impl Error {
    /// The public row.
    pub fn row(&self) -> &'static ErrorRow {
        match self {
            Error::InvalidCredentials => &INVALID_CREDENTIALS,
            Error::Busy => &BUSY,
            Error::RateLimited { .. } => &RATE_LIMITED,
            Error::Invalid(_) => &INVALID_REQUEST,
            Error::EmailInvalid => &EMAIL_INVALID,
            Error::EmailTaken => &EMAIL_TAKEN,
            Error::UsernameTaken => &USERNAME_TAKEN,
            Error::PasswordTooWeak { .. } => &PASSWORD_TOO_WEAK,
            Error::RegistrationClosed => &REGISTRATION_CLOSED,
            Error::RefreshRotated => &REFRESH_ROTATED,
            Error::RefreshReused => &REFRESH_REUSED,
            Error::RefreshInvalid => &REFRESH_INVALID,
            Error::TokenInvalid => &TOKEN_INVALID,
            Error::AdminExists => &ADMIN_EXISTS,
            Error::LastAdmin => &LAST_ADMIN,
            Error::AdminPasswordMissing => &ADMIN_PASSWORD_MISSING,
            Error::Unauthenticated => &UNAUTHENTICATED,
            Error::Forbidden | Error::DemoRefused | Error::AccountDisabled => &FORBIDDEN,
            Error::ForeignPage => &web_kit::fail::CSRF_FAILED,
            Error::NotFound => &NOT_FOUND,
            Error::UnknownUser => &UNKNOWN_USER,
            Error::Yourself => &YOURSELF,
            Error::FriendsPeopleOnly => &FRIENDS_PEOPLE_ONLY,
            Error::FriendRequestRefused => &FRIEND_REQUEST_REFUSED,
            Error::RelationsMax => &RELATIONS_MAX,
            Error::PreconditionRequired => &PRECONDITION_REQUIRED,
            Error::Stale => &STALE,
            Error::Database(_) | Error::Id(_) | Error::Secret(_) | Error::Broken(_) => &INTERNAL,
            Error::Cache(_) | Error::Objects(_) | Error::LetterNotTaken(_) => &UNAVAILABLE,
            Error::Context(failure) => failure.row,
            other => other.row_of_proof(),
        }
    }

    /// The rows of codes, factors and what else proves who somebody is.
    fn row_of_proof(&self) -> &'static ErrorRow {
        match self {
            Error::StepUpRequired { .. } => &STEP_UP_REQUIRED,
            Error::SecondFactorRequired { .. } => &SECOND_FACTOR_REQUIRED,
            Error::RegistrationLocked { .. } => &REGISTRATION_LOCKED,
            Error::SecondFactorInvalid => &SECOND_FACTOR_INVALID,
            Error::MfaTokenInvalid => &MFA_TOKEN_INVALID,
            Error::ServiceProofInvalid(_) => &SERVICE_PROOF_INVALID,
            Error::PhoneInvalid => &PHONE_INVALID,
            Error::CountryNotAllowed => &COUNTRY_NOT_ALLOWED,
            Error::OtpInvalid => &OTP_INVALID,
            Error::ChannelUnavailable { .. } => &CHANNEL_UNAVAILABLE,
            Error::ContactTaken => &CONTACT_TAKEN,
            Error::TotpInvalid => &TOTP_INVALID,
            Error::TotpAlreadyOn => &TOTP_ALREADY_ON,
            Error::PasskeyInvalid => &PASSKEY_INVALID,
            Error::PasskeysOff => &PASSKEYS_OFF,
            Error::LastFactor => &LAST_FACTOR,
            Error::ProviderUnknown => &PROVIDER_UNKNOWN,
            Error::OauthFailed(_) => &OAUTH_FAILED,
            Error::ReturnRefused => &RETURN_REFUSED,
            Error::AccountLinkRequired => &ACCOUNT_LINK_REQUIRED,
            Error::TooManyKeys => &TOO_MANY_KEYS,
            Error::ScopeUnknown => &SCOPE_UNKNOWN,
            Error::TextOutdated => &TEXT_OUTDATED,
            Error::ExportRunning => &EXPORT_RUNNING,
            Error::ErasureBlocked { .. } => &ERASURE_BLOCKED,
            _ => &INTERNAL,
        }
    }
}

impl Error {
    /// Whether nobody but us could have prevented it.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(
            self.row().kind,
            ErrorKind::Internal | ErrorKind::Unavailable
        )
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let row = error.row();
        match error {
            // These know by themselves whether to come back later.
            Error::Database(error) => error.into(),
            Error::Id(error) => error.into(),
            Error::Context(failure) => failure,
            Error::Busy => row.fail().retry_after(Duration::from_secs(1)),
            Error::RateLimited { limit, retry_after } => {
                row.fail().retry_after(retry_after).because(limit)
            }
            Error::Invalid(fields) => row.fail().fields(fields),
            Error::PasswordTooWeak { reasons } => row.fail().extra("reasons", reasons),
            Error::StepUpRequired { methods } => row.fail().extra("methods", methods),
            Error::SecondFactorRequired { mfa_token, methods } => row
                .fail()
                .extra("mfa_token", mfa_token)
                .extra("methods", methods),
            Error::RegistrationLocked {
                mfa_token,
                methods,
                unlocks_at,
            } => row
                .fail()
                .extra("mfa_token", mfa_token)
                .extra("methods", methods)
                .extra("unlocks_at", unlocks_at.map(|at| at.to_string())),
            Error::ErasureBlocked { reasons } => row.fail().extra("reasons", reasons),
            Error::ChannelUnavailable { channel } => row
                .fail()
                .retry_after(Duration::from_secs(60))
                .because(format!("no provider for {channel}")),
            other => row.fail().because(other),
        }
    }
}
