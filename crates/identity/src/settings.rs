//! What the composition tells this context. Values were checked when the configuration was read.

use std::time::Duration;

use crate::keys::Signing;
use crate::oauth::Oauth;
use crate::passwords::Scheme;
use crate::phones::Region;
use crate::relying_party::PasskeySite;
use crate::secrets::RootKeys;
use crate::totp::Skew;

/// Settings of the context, `auth.*` of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `iss` of the tokens.
    pub issuer: String,
    /// `aud` of access tokens.
    pub access_audience: String,
    /// `aud` of refresh tokens.
    pub refresh_audience: String,
    /// Life of an access token.
    pub access_ttl: Duration,
    /// Life of a refresh token; each use starts it anew.
    pub refresh_ttl: Duration,
    /// Life of a login, however often it is refreshed.
    pub refresh_absolute_ttl: Duration,
    /// Time in which a second use of the newest spent refresh token is a race and not theft.
    pub reuse_grace: Duration,
    /// Whether new accounts must prove their e-mail address first.
    pub email_verification: EmailVerification,
    /// How new passwords are stored.
    pub password_scheme: Scheme,
    /// How many passwords are hashed at a time; each takes the scheme's memory.
    pub hashing_permits: usize,
    /// How long logins of browser panels last.
    pub browser: BrowserTimes,
    /// Whether cookies demand TLS; not on plain loopback.
    pub secure_cookies: bool,
    /// Where people reach this server, without a slash at the end; links in letters begin with it.
    pub public_url: String,
    /// Where passkeys are good; none where browsers offer none.
    pub passkeys: Option<PasskeySite>,
    /// How far the clock of an authenticator app may be off.
    pub totp_skew: Skew,
    /// How often somebody may try.
    pub limits: Limits,
    /// One-time passwords.
    pub otp: Otp,
    /// Logging in at other providers.
    pub oauth: Oauth,
    /// Whether there may be people whose password everybody knows.
    pub demo_people: DemoPeople,
    /// Whether a second member of staff must agree before one acts as a user.
    pub impersonation: Approver,
    /// What signs tokens.
    pub signing: Signing,
    /// What processes of this installation may call themselves.
    pub services: Vec<&'static str>,
    /// Keys derived from the root secret.
    pub keys: RootKeys,
}

impl Settings {
    /// The built-in values over `keys`.
    pub fn new(keys: RootKeys) -> Self {
        Settings {
            issuer: "my-auth-service".to_owned(),
            access_audience: "my-app-client".to_owned(),
            refresh_audience: "my-auth-service".to_owned(),
            access_ttl: Duration::from_secs(15 * 60),
            refresh_ttl: Duration::from_secs(7 * 24 * 3600),
            refresh_absolute_ttl: Duration::from_secs(90 * 24 * 3600),
            reuse_grace: Duration::from_secs(10),
            email_verification: EmailVerification::Required,
            password_scheme: Scheme::default(),
            hashing_permits: std::thread::available_parallelism().map_or(1, usize::from),
            browser: BrowserTimes::default(),
            secure_cookies: true,
            signing: Signing::default(),
            services: Vec::new(),
            public_url: "http://127.0.0.1:3000".to_owned(),
            passkeys: PasskeySite::behind("http://127.0.0.1:3000"),
            totp_skew: Skew::One,
            limits: Limits::default(),
            otp: Otp::default(),
            oauth: Oauth::default(),
            demo_people: DemoPeople::Refused,
            impersonation: Approver::Off,
            keys,
        }
    }
}

/// How long a login of a browser panel lasts.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Without a request.
    pub idle: Duration,
    /// However much it is used.
    pub absolute: Duration,
}

/// The times of two kinds of people.
#[derive(Debug, Clone, Copy)]
pub struct BrowserTimes {
    /// Of people without a platform role.
    pub everybody: Times,
    /// Of people with one.
    pub staff: Times,
}

impl Default for BrowserTimes {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        BrowserTimes {
            everybody: Times {
                idle: hours(7 * 24),
                absolute: hours(90 * 24),
            },
            staff: Times {
                idle: Duration::from_secs(30 * 60),
                absolute: hours(8),
            },
        }
    }
}

/// Whether a new account must prove its e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailVerification {
    /// Yes. Without anybody who carries letters registration is closed then.
    Required,
    /// No; for one computer only.
    Off,
}

/// Whether there may be people whose password everybody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoPeople {
    /// They are made, and their password is good; where only this computer reaches the server.
    Allowed,
    /// None are made, and those who are there cannot log in.
    Refused,
}

/// Whether a second member of staff must agree before one acts as a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approver {
    /// No: a reason and a fresh login are enough.
    Off,
    /// Yes.
    Required,
}

/// One-time passwords. What protects accounts is fixed in `limits.rs`; here is what costs money.
#[derive(Debug, Clone)]
pub struct Otp {
    /// Where numbers without a country code belong.
    pub default_region: Region,
    /// Where texts are sent at all.
    pub countries: Vec<Region>,
    /// Texts to one country in a day.
    pub country_per_day: i32,
    /// Codes to one number or address in an hour.
    pub target_per_hour: u32,
    /// Codes to one number or address in a day.
    pub target_per_day: i32,
    /// Codes asked for from one address block in an hour.
    pub address_per_hour: u32,
    /// Messages that wait for their provider.
    pub queue: usize,
    /// What the codes are.
    pub dev_code: DevCode,
}

impl Default for Otp {
    fn default() -> Self {
        Otp {
            default_region: Region::TR,
            countries: vec![Region::TR],
            country_per_day: 1_000,
            target_per_hour: 5,
            target_per_day: 10,
            address_per_hour: 20,
            queue: crate::sender::QUEUE,
            dev_code: DevCode::Off,
        }
    }
}

/// Whether one-time passwords are for developers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevCode {
    /// Each is random.
    Off,
    /// All are 123456; where only this computer reaches the server.
    Fixed,
}

/// How often somebody may try (the rules made of these are in `limits.rs`).
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Logins from one address block in a minute.
    pub login_address_per_minute: u32,
    /// Logins of one account in an hour; then each further one waits longer.
    pub login_account_per_hour: u32,
    /// Second factors tried for one account in an hour; then each further one waits longer.
    pub second_factor_account_per_hour: u32,
    /// Different names and passwords that fail in ten minutes before it counts as an attack.
    pub login_wave_per_10_minutes: u32,
    /// New accounts from one address block in an hour.
    pub registration_address_per_hour: u32,
    /// Refreshes of one device in a minute.
    pub refresh_device_per_minute: u32,
    /// Token checks from one address block in a minute.
    pub validate_address_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            login_address_per_minute: 10,
            login_account_per_hour: 20,
            second_factor_account_per_hour: 10,
            login_wave_per_10_minutes: 150,
            registration_address_per_hour: 5,
            refresh_device_per_minute: 30,
            validate_address_per_minute: 600,
        }
    }
}
