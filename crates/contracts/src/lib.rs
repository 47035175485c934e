//! What contexts may ask of each other: one file per called context with its trait and types.
//!
//! # Invariants
//! 1. No logic, no IO: traits, plain types and their JSON form. (The bound of an export's bundle is
//!    one for all who fill it, hence in [`privacy`].)
//! 2. A trait has at most eight methods; those that may be asked for many things take many.
//! 3. Types that reach chat clients serialize to the chat dialect (ids as strings, moments with six
//!    digits and an offset), so that a context and the gateway show the same object.
//! 4. A trait is called outside of transactions only.
//!
//! Begin reading with [`communities`], the largest.

#![warn(missing_docs)]

pub mod applications;
pub mod communities;
pub mod identity;
pub mod media;
pub mod messaging;
pub mod moderation;
pub mod privacy;
pub mod relations;

pub use applications::Applications;
pub use communities::Communities;
pub use identity::{Auth, Credentials, Identity, ServiceTokens};
pub use media::Media;
pub use messaging::Messaging;
pub use moderation::Moderation;
pub use privacy::PersonalData;
pub use relations::Relations;
