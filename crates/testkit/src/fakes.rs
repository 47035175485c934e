//! Small stand-ins for called contexts, behind the traits of `contracts`.
//!
//! A fake holds what a test put into it and nothing else; it has no rules of its own beyond the
//! bounds its trait promises.

mod applications;
mod communities;
mod identity;
mod media;
mod messaging;
mod relations;

pub use applications::FakeApplications;
pub use communities::FakeCommunities;
pub use identity::FakeIdentity;
pub use media::FakeMedia;
pub use messaging::{FakeMessaging, message};
pub use relations::FakeRelations;
