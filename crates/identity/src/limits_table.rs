//! Every limit of this context, declared: what is counted, for whom, how much, and what then.
//! `limits.rs` applies them; `docs/security/limits.md` is made from here.

use std::time::Duration;

use kernel::Rule;

use crate::settings::Limits;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// For whom acts are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The neighbourhood of an address: /24, or /64 of IPv6.
    Network,
    /// A name as it was given at login, whether or not there is such an account; kept as HMAC.
    Name,
    /// A device.
    Device,
    /// A user.
    User,
    /// A telephone number or e-mail address; kept as HMAC.
    Target,
    /// All together.
    Installation,
}

/// Where acts are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// By [`kernel::Limiter`]: in this process, or in a store that all nodes share.
    Limiter,
    /// In PostgreSQL, in the statement that acts: exact over all nodes, and over restarts.
    Database,
    /// In this process.
    Process,
}

/// How many acts fit.
#[derive(Debug, Clone, Copy)]
pub enum Most {
    /// Always so many.
    Fixed(u32),
    /// As a setting says; its built-in value.
    Setting(&'static str, fn(&Limits) -> u32),
    /// As a setting of another section says.
    Elsewhere(&'static str),
}

/// One limit.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Stable name; labels keys and logs.
    pub name: &'static str,
    /// What is counted.
    pub act: &'static str,
    /// For whom.
    pub whose: Whose,
    /// How many.
    pub most: Most,
    /// In which time.
    pub per: Duration,
    /// Where.
    pub counted: Counted,
    /// What whoever is over it gets; always with `Retry-After`.
    pub then: &'static str,
}

impl Limit {
    const fn new(name: &'static str, act: &'static str, whose: Whose) -> Self {
        Limit {
            name,
            act,
            whose,
            most: Most::Fixed(1),
            per: MINUTE,
            counted: Counted::Limiter,
            then: "429",
        }
    }

    const fn most(self, most: Most, per: Duration) -> Self {
        Limit { most, per, ..self }
    }

    const fn counted(self, counted: Counted) -> Self {
        Limit { counted, ..self }
    }

    const fn then(self, then: &'static str) -> Self {
        Limit { then, ..self }
    }

    /// The rule for a limiter; `most` of another section is given by the caller.
    pub(crate) fn rule(&self, limits: &Limits) -> Rule {
        let burst = match self.most {
            Most::Fixed(most) => most,
            Most::Setting(_, read) => read(limits),
            Most::Elsewhere(_) => 1,
        };
        self.rule_of(burst)
    }

    /// The rule with as many as another section's setting says.
    pub(crate) fn rule_of(&self, burst: u32) -> Rule {
        Rule::new(self.name, burst, self.per)
    }
}

const LONGER: &str = "429 for 30 s, then longer each time up to 15 min: a delay, never a lock";

pub(crate) const LOGIN_ADDRESS: Limit =
    Limit::new("login_address", "passwords tried", Whose::Network).most(
        Most::Setting("auth.limits.login_address_per_minute", |limits| {
            limits.login_address_per_minute
        }),
        MINUTE,
    );
pub(crate) const LOGIN_ACCOUNT: Limit =
    Limit::new("login_account", "passwords tried by strangers", Whose::Name)
        .most(PER_ACCOUNT, HOUR)
        .then(LONGER);
pub(crate) const LOGIN_KNOWN_DEVICE: Limit = Limit::new(
    "login_known_device",
    "passwords tried by a device that the account knows; no other limit on logins asks it",
    Whose::Device,
)
.most(PER_ACCOUNT, HOUR)
.then(LONGER);
pub(crate) const SECOND_FACTOR: Limit =
    Limit::new("second_factor_account", "second factors tried", Whose::User)
        .most(
            Most::Setting("auth.limits.second_factor_account_per_hour", |limits| {
                limits.second_factor_account_per_hour
            }),
            HOUR,
        )
        .then(LONGER);
pub(crate) const REGISTRATION: Limit =
    Limit::new("registration_address", "new accounts", Whose::Network).most(
        Most::Setting("auth.limits.registration_address_per_hour", |limits| {
            limits.registration_address_per_hour
        }),
        HOUR,
    );
pub(crate) const REFRESH: Limit = Limit::new("refresh_device", "refreshes", Whose::Device).most(
    Most::Setting("auth.limits.refresh_device_per_minute", |limits| {
        limits.refresh_device_per_minute
    }),
    MINUTE,
);
pub(crate) const VALIDATE: Limit =
    Limit::new("validate_address", "checks of tokens", Whose::Network).most(
        Most::Setting("auth.limits.validate_address_per_minute", |limits| {
            limits.validate_address_per_minute
        }),
        MINUTE,
    );
pub(crate) const OTP_ADDRESS: Limit = Limit::new("otp_address", "codes asked for", Whose::Network)
    .most(Most::Elsewhere("auth.otp.address_per_hour"), HOUR);
pub(crate) const LINK_ADDRESS: Limit = Limit::new(
    "link_address",
    "letters with a link asked for",
    Whose::Network,
)
.most(Most::Elsewhere("auth.otp.address_per_hour"), HOUR);
pub(crate) const LINK_TARGET: Limit = Limit::new(
    "link_target",
    "letters with a link asked for, known or not",
    Whose::Name,
)
.most(Most::Elsewhere("auth.otp.target_per_hour"), HOUR);
pub(crate) const FRIEND_REQUESTS: Limit =
    Limit::new("friend_requests", "wishes to be friends", Whose::User).most(Most::Fixed(100), DAY);
pub(crate) const STUFFING_EVENTS: Limit = Limit::new(
    "stuffing_events",
    "events that tell of credential stuffing",
    Whose::Installation,
)
.most(Most::Fixed(10), HOUR)
.then("no further event; metrics go on");

const PER_ACCOUNT: Most = Most::Setting("auth.limits.login_account_per_hour", |limits| {
    limits.login_account_per_hour
});

/// Every limit of this context.
pub const LIMITS: &[Limit] = &[
    LOGIN_ADDRESS,
    LOGIN_ACCOUNT,
    LOGIN_KNOWN_DEVICE,
    SECOND_FACTOR,
    Limit::new(
        "login_stuffing",
        "different names and passwords that failed together",
        Whose::Network,
    )
    .most(Most::Fixed(20), Duration::from_secs(600))
    .counted(Counted::Process)
    .then("429 for an hour, except devices that the account knows"),
    Limit::new(
        "login_wave",
        "different names and passwords that failed together; beyond it 4 different names close a network",
        Whose::Installation,
    )
    .most(
        Most::Setting("auth.limits.login_wave_per_10_minutes", |limits| {
            limits.login_wave_per_10_minutes
        }),
        Duration::from_secs(600),
    )
    .counted(Counted::Process)
    .then("429 for an hour, except devices that the account knows"),
    REGISTRATION,
    REFRESH,
    VALIDATE,
    OTP_ADDRESS,
    LINK_ADDRESS,
    LINK_TARGET,
    Limit::new("otp_target", "codes sent", Whose::Target)
        .most(Most::Elsewhere("auth.otp.target_per_hour"), HOUR)
        .counted(Counted::Database),
    Limit::new("otp_target_day", "codes sent", Whose::Target)
        .most(Most::Elsewhere("auth.otp.target_per_day"), DAY)
        .counted(Counted::Database),
    Limit::new(
        "otp_failures",
        "wrong codes; devices that the account knows have 5 of their own",
        Whose::Target,
    )
    .most(Most::Fixed(10), DAY)
    .counted(Counted::Database)
    .then("codes of that number or address are not looked at until midnight UTC"),
    Limit::new("phone_lookups", "telephone numbers looked up", Whose::User)
        .most(Most::Fixed(500), DAY)
        .counted(Counted::Database),
    FRIEND_REQUESTS,
    STUFFING_EVENTS,
];

impl Limit {
    /// The row of the documentation, in the order of [`COLUMNS`].
    pub fn row(&self) -> Vec<String> {
        let whose = match self.whose {
            Whose::Network => "network",
            Whose::Name => "name given",
            Whose::Device => "device",
            Whose::User => "user",
            Whose::Target => "number or address",
            Whose::Installation => "all",
        };
        let most = match self.most {
            Most::Fixed(most) => most.to_string(),
            Most::Setting(name, read) => format!("{} (`{name}`)", read(&Limits::default())),
            Most::Elsewhere(name) => format!("`{name}`"),
        };
        let counted = match self.counted {
            Counted::Limiter => "limiter",
            Counted::Database => "PostgreSQL",
            Counted::Process => "process",
        };
        let per = match self.per.as_secs() {
            60 => "minute".to_owned(),
            3600 => "hour".to_owned(),
            86_400 => "day".to_owned(),
            seconds => format!("{} min", seconds / 60),
        };
        let words = [self.act, whose, &most, &per, counted, self.then];
        std::iter::once(format!("`{}`", self.name))
            .chain(words.into_iter().map(str::to_owned))
            .collect()
    }
}

/// The heads of [`Limit::row`].
pub const COLUMNS: &[&str] = &[
    "name",
    "what",
    "for each",
    "most",
    "in a",
    "counted by",
    "then",
];
