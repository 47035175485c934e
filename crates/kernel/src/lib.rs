//! The vocabulary every other crate speaks: identifiers, time, randomness, who is calling, what can
//! go wrong, and the permission rules of the talk half.
//!
//! # Invariants
//! 1. No IO and no async runtime in here; everything is a plain value or a small trait.
//! 2. An identifier is 64 bits, time ordered, never reused, and each kind has its own type.
//! 3. The system's clock and random source are touched only by [`SystemClock`] and [`SystemRng`].
//! 4. A [`Failure`] keeps what the public may read apart from what only the log may.
//! 5. [`perm::evaluate`] is the only place where roles and overwrites become rights.
//!
//! Begin reading with [`id`], then [`failure`].

#![warn(missing_docs)]

pub mod api_key;
pub mod caller;
pub mod check;
pub mod clock;
pub mod digest;
pub mod event;
pub mod failure;
pub mod id;
pub mod ids;
pub mod limit;
pub mod locale;
pub mod metric;
pub mod page;
pub mod perm;
pub mod rng;
pub mod role;
pub mod text;
pub mod time;
pub mod tr;

pub use caller::{Caller, CallerKind, Once, STEP_UP_WINDOW};
pub use check::Check;
pub use clock::{Clock, ManualClock, SharedClock, SystemClock};
pub use event::Event;
pub use failure::{ErrorKind, ErrorRow, Failure, FieldError};
pub use id::{
    AnyId, ApplicationId, AutomodRuleId, ChannelId, CommunityId, DeliveryId, DeviceId, EmojiId,
    EventId, Id, MediaId, MessageId, ReportId, RoleId, SubscriptionId, TagId, UserId, WebhookId,
};
pub use ids::{IdError, Ids, WorkerSlot};
pub use limit::{Limiter, Rule, Verdict};
pub use locale::Locale;
pub use metric::{Metric, MetricKind};
pub use page::{Cursor, Page};
pub use rng::{Rng, SeededRng, SharedRng, SystemRng};
pub use role::PlatformRole;
