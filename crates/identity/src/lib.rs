//! Who a user is, how they log in, which devices they hold, what they may do on the platform, and
//! how all of it is taken back within a second.
//!
//! # Invariants
//! 1. A refresh token yields at most one successor. The only answer to a spent token is the *same*
//!    successor, to the *same* request retried.
//! 2. Reuse of an older token kills the device, and the kill is committed although the request
//!    fails.
//! 3. One function, `Identity::issue` in `devices.rs`, creates devices. No login path makes tokens
//!    in another way.
//! 4. A code (one-time password, recovery code, link, ticket) works once. Attempts are counted and
//!    judged in one statement.
//! 5. Known and unknown accounts get the same status, body and work at login, reset and one-time
//!    passwords; at sign-up too, wherever e-mail addresses are verified.
//! 6. Logout, disable, reset and erase stop refresh tokens, access tokens, cookies and sockets
//!    within 1 s (5 s when the fanout is down).
//! 7. Roles and permissions are never in a token. A change acts at once.
//! 8. No secret travels through outbox, bus, jobs, logs, traces or audit. A stranger cannot lock
//!    an account; attempts on it are delayed.
//! 9. A password that everybody knows (demo people, `demo.rs`) logs in only where the settings allow
//!    it: on a server that nobody but its own computer reaches.
//!
//! # Deliberately absent
//! Community permissions (`communities`), bot tokens (`applications`), SQL of other schemas, and
//! the verification of access tokens on requests (`web_kit`, fed by `contracts::Credentials`).
//!
//! # Events
//! Out: [`EVENTS`]. In: its own `user_updated` and `user_state_changed`, to drop cached cards.
//!
//! Begin reading with `login.rs`, then `devices.rs` and `refresh.rs`.

mod api_keys;
mod breached;
mod browser;
mod calls;
mod challenges;
mod code_login;
mod confirm;
mod consents;
mod contact_change;
mod contacts;
mod demo;
mod devices;
mod erasure;
pub mod error;
pub mod events;
mod exports;
mod factors;
#[doc(hidden)]
pub mod fuzz;
mod http;
mod impersonation;
mod jobs;
mod keys;
mod letters;
mod limits;
mod limits_table;
mod links;
mod login;
mod metrics_table;
mod model;
mod news;
mod oauth;
mod operator;
mod otp;
mod passkeys;
mod passwords;
mod phones;
mod pictures;
mod proof;
mod qr;
mod recovery;
mod refresh;
mod registration;
mod registration_lock;
mod relations;
mod relying_party;
mod rules;
mod second_factor;
mod secrets;
mod sender;
mod service_tokens;
mod settings;
mod setup;
mod sql;
mod staff;
mod step_up;
mod stuffing;
mod tokens;
mod totp;
mod users;
mod visibility;
mod ways_in;

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use contracts::PersonalData;
use contracts::identity::User;
use db::privacy::PrivacyFile;
use infra::cache::Cache;
use infra::fanout::Fanout;
use infra::mail::Mail;
use infra::objects::Objects;
use infra::sms::{Sms, Verify};
use kernel::{Ids, Limiter, SharedClock, SharedRng, UserId};
use runtime::{Blocking, Check, Consumer, Module};

pub use api_keys::{ApiKey, NewApiKey, NewKey, SCOPES};
pub use calls::MAX_USERS;
pub use code_login::{CodeProof, Second};
pub use consents::{ConsentState, ConsentText, NewText};
pub use contact_change::ContactKind;
pub use contacts::{Contact, LOOKUPS_PER_DAY, MAX_CONTACTS, MAX_NUMBERS, Match, Named};
pub use demo::{DemoPassword, DemoPerson, NewDemoPerson};
pub use devices::{Browser, LoggedIn, Origin, SessionKind, Tokens};
pub use erasure::{Erasing, Grace};
pub use error::{ERRORS, Error};
pub use events::EVENTS;
pub use exports::Export;
pub use impersonation::{Impersonated, Impersonation};
pub use keys::{Rotation, Signing};
pub use limits_table::{COLUMNS as LIMIT_COLUMNS, Counted, LIMITS, Limit, Most, Whose};
pub use links::{LINK_TTL, LinkWish};
pub use login::{LogoutBy, LogoutScope, OtherDevices};
pub use metrics_table::METRICS;
pub use model::{Account, Card, Device, DeviceInfo, DeviceType, Factors, Kind, Me, State};
pub use oauth::{
    Oauth, OauthBegun, OauthEnd, OauthReturn, OauthWish, Plain, Provider, ProviderKind, SecretIn,
};
pub use operator::{Inspection, RoleHolder};
pub use otp::{Channel, CodeSent, CodeWish, Purpose};
pub use passkeys::{Answer, Challenge, MAX_PASSKEYS, PasskeyInfo};
pub use passwords::{MAX_CHARS, MIN_CHARS, Scheme};
pub use phones::{Region, UnknownRegion};
pub use proof::Proof;
pub use registration::{Consent, Registered, Registration};
pub use relations::{MAX_BLOCKS, MAX_FRIENDS, MAX_PENDING_IN, MAX_PENDING_OUT, Tie, Wish};
pub use relying_party::PasskeySite;
pub use rules::Email;
pub use secrets::{MIN_ROOT_BYTES, RootKeys, SecretError};
pub use settings::{
    Approver, BrowserTimes, DemoPeople, DevCode, EmailVerification, Limits, Otp, Settings, Times,
};
pub use setup::{AdminOutcome, NewAdmin, SETUP_LINK_TTL, SUPERADMIN};
pub use sql::oauth::LinkedIdentity;
pub use staff::Person;
pub use step_up::{Again, SteppedUp};
pub use totp::{NewTotp, Skew};
pub use users::{Precondition, ProfileChange};
pub use visibility::{Privacy, PrivacyChange, Whom};
pub use ways_in::{SignUp, WaysIn};

/// The schema of this context.
pub const SCHEMA: &str = "identity";

/// What is stored about people here.
pub static PRIVACY: PrivacyFile = PrivacyFile::new(SCHEMA, include_str!("../privacy.toml"));

/// The schema's history, oldest first.
pub const MIGRATIONS: db::Migrations = db::Migrations {
    schema: SCHEMA,
    files: &[
        (
            "V0001__accounts",
            include_str!("../migrations/V0001__accounts.sql"),
        ),
        (
            "V0002__credentials",
            include_str!("../migrations/V0002__credentials.sql"),
        ),
        (
            "V0003__people",
            include_str!("../migrations/V0003__people.sql"),
        ),
        (
            "V0004__demo_people",
            include_str!("../migrations/V0004__demo_people.sql"),
        ),
        (
            "V0005__logins",
            include_str!("../migrations/V0005__logins.sql"),
        ),
        (
            "V0006__registration_locks",
            include_str!("../migrations/V0006__registration_locks.sql"),
        ),
        (
            "V0007__staff",
            include_str!("../migrations/V0007__staff.sql"),
        ),
        (
            "V0008__display_name_prefix",
            include_str!("../migrations/V0008__display_name_prefix.sql"),
        ),
        (
            "V0009__relations",
            include_str!("../migrations/V0009__relations.sql"),
        ),
        (
            "V0010__username_prefix",
            include_str!("../migrations/V0010__username_prefix.sql"),
        ),
        (
            "V0011__exports_of_user",
            include_str!("../migrations/V0011__exports_of_user.sql"),
        ),
        (
            "V0012__avatars",
            include_str!("../migrations/V0012__avatars.sql"),
        ),
    ],
};

/// Passwords waiting to be hashed; the next one is told to come back.
const HASHING_QUEUE: usize = 64;
/// Cached user objects; the least used is dropped beyond it.
const CACHED_USERS: u64 = 50_000;
/// Who writes letters about our own events.
const LETTERS: &str = "identity.letters";
/// How long a cached user object is used on a node that missed the event of its change.
const CACHED_FOR: Duration = Duration::from_secs(30);

/// What the context stands on.
pub struct Deps {
    /// Its database.
    pub db: db::Db,
    /// Makes identifiers.
    pub ids: Arc<Ids>,
    /// Tells the time.
    pub clock: SharedClock,
    /// Makes secrets.
    pub rng: SharedRng,
    /// Tells sockets of revoked devices.
    pub fanout: Arc<dyn Fanout>,
    /// Counts attempts.
    pub limiter: Arc<dyn Limiter>,
    /// Keeps tickets and challenges for minutes.
    pub cache: Arc<dyn Cache>,
    /// Who carries messages to people.
    pub senders: Senders,
    /// Keeps exports.
    pub objects: Arc<dyn Objects>,
    /// Makes and serves pictures of accounts.
    pub media: Arc<dyn contracts::Media>,
    /// Values of the configuration.
    pub settings: Settings,
}

/// Who carries messages to people. What is absent is not offered.
#[derive(Clone, Default)]
pub struct Senders {
    /// Letters.
    pub mail: Option<Arc<dyn Mail>>,
    /// Texts to phones.
    pub sms: Option<Arc<dyn Sms>>,
    /// Codes that a company sends and checks; used instead of texts when it is there.
    pub verify: Option<Arc<dyn Verify>>,
}

/// The context.
pub struct Identity {
    db: db::Db,
    ids: Arc<Ids>,
    clock: SharedClock,
    rng: SharedRng,
    fanout: Arc<dyn Fanout>,
    limiter: Arc<dyn Limiter>,
    cache: Arc<dyn Cache>,
    senders: Senders,
    outgoing: sender::Outgoing,
    /// Providers to log in at, and what they published.
    sites: oauth::Sites,
    settings: Settings,
    tokens: tokens::Tokens,
    keys: keys::Keys,
    hashing: Blocking,
    /// A hash that no password fits: unknown accounts cost the same work.
    dummy_phc: String,
    /// None where browsers offer no passkeys.
    relying_party: Option<relying_party::RelyingParty>,
    stuffing: stuffing::Stuffing,
    chat_cache: moka::sync::Cache<UserId, User>,
    media: Arc<dyn contracts::Media>,
    objects: Arc<dyn Objects>,
    /// Who else stores something about people; they hold us, hence weakly.
    contexts: OnceLock<Vec<Weak<dyn PersonalData>>>,
}

/// Puts the context together; touches no database.
pub fn build(deps: Deps) -> Arc<Identity> {
    let scheme = deps.settings.password_scheme;
    Arc::new(Identity {
        tokens: tokens::Tokens::new(&deps.settings),
        keys: keys::Keys::new(
            deps.db.clone(),
            Arc::clone(&deps.clock),
            Arc::clone(&deps.rng),
            deps.settings.keys.clone(),
            &deps.settings.signing,
        ),
        stuffing: stuffing::Stuffing::new(deps.settings.limits.login_wave_per_10_minutes),
        hashing: Blocking::new(deps.settings.hashing_permits, HASHING_QUEUE),
        // Parameters that argon2 refuses give an empty one; hashing then fails for all alike.
        dummy_phc: passwords::dummy(scheme, &*deps.rng).unwrap_or_default(),
        relying_party: deps
            .settings
            .passkeys
            .as_ref()
            .and_then(relying_party::RelyingParty::new),
        chat_cache: moka::sync::Cache::builder()
            .max_capacity(CACHED_USERS)
            .time_to_live(CACHED_FOR)
            .build(),
        objects: deps.objects,
        media: deps.media,
        contexts: OnceLock::new(),
        db: deps.db,
        ids: deps.ids,
        clock: deps.clock,
        rng: deps.rng,
        fanout: deps.fanout,
        limiter: deps.limiter,
        cache: deps.cache,
        senders: deps.senders,
        outgoing: sender::Outgoing::new(deps.settings.otp.queue),
        sites: oauth::Sites::new(&deps.settings.oauth),
        settings: deps.settings,
    })
}

impl Identity {
    /// Makes sure that there is a signing key. Done once at start, so that the first login does
    /// not wait and a wrong root secret is noticed at once.
    pub async fn prepare(&self) -> error::Result<()> {
        self.keys.rotate().await.map(drop)
    }
}

/// The routes, for the composition and for the documentation.
pub fn tables(identity: Arc<Identity>) -> web_kit::Table {
    http::routes(identity)
}

/// The context, ready to be composed.
pub fn module(identity: Arc<Identity>) -> Module {
    let health = Arc::clone(&identity);
    Module {
        name: SCHEMA,
        jobs: jobs::jobs(&identity),
        consumers: vec![
            Consumer {
                name: "identity.card_cache",
                kinds: events::CARD_KINDS,
                handler: Arc::new(events::CardCache(Arc::downgrade(&identity))),
            },
            Consumer {
                name: "identity.erasures",
                kinds: erasure::ANSWERS,
                handler: Arc::new(erasure::Answers(Arc::downgrade(&identity))),
            },
            Consumer {
                name: LETTERS,
                kinds: news::KINDS,
                handler: Arc::new(db::inbox::Consumer::new(
                    identity.db.clone(),
                    SCHEMA,
                    LETTERS,
                    Arc::new(news::Letters(Arc::downgrade(&identity))),
                )),
            },
        ],
        health: vec![Check::required("identity.keys", move || {
            let identity = Arc::clone(&health);
            async move {
                identity
                    .keys
                    .set()
                    .await
                    .map(drop)
                    .map_err(|error| error.to_string())
            }
        })],
        routes: tables(identity).router(),
    }
}

/// Every statement, for the test that prepares each.
#[doc(hidden)]
pub fn statements() -> &'static [&'static db::Sql] {
    &sql::ALL
}
