//! Who calls, as handlers take it. Exactly one of these stands in each handler, so that its type
//! says who may call; it must agree with the operation's policy.

use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use kernel::PlatformRole;
use kernel::failure::INTERNAL;

use crate::demands::Policy;
use crate::fail::Fail;
use crate::guard::Admission;

/// Anybody may call; the handler knows nothing of who does.
#[derive(Clone, Copy, Debug)]
pub struct Public;

impl<S: Send + Sync> FromRequestParts<S> for Public {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fail> {
        match parts.extensions.get::<Admission>() {
            Some(admission) if admission.policy == Policy::Public => Ok(Self),
            _ => Err(disagreement(parts, "Public")),
        }
    }
}

/// Whoever is logged in: a person, a bot, or a key with the operation's scope.
#[derive(Clone, Debug)]
pub struct Caller(pub kernel::Caller);

impl Deref for Caller {
    type Target = kernel::Caller;

    fn deref(&self) -> &kernel::Caller {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fail> {
        match parts.extensions.get::<Admission>() {
            Some(Admission {
                policy: Policy::Caller,
                caller: Some(verified),
                ..
            }) => Ok(Self(verified.caller.clone())),
            _ => Err(disagreement(parts, "Caller")),
        }
    }
}

/// A member of staff with one of the operation's roles.
#[derive(Clone, Debug)]
pub struct Staff {
    caller: kernel::Caller,
    roles: Vec<PlatformRole>,
}

impl Staff {
    /// Every role they have, as it was when the request came in.
    pub fn roles(&self) -> &[PlatformRole] {
        &self.roles
    }

    /// Whether they have a role; a superadmin has them all.
    pub fn is(&self, role: PlatformRole) -> bool {
        crate::demands::opens(&[role], &self.roles)
    }
}

impl Deref for Staff {
    type Target = kernel::Caller;

    fn deref(&self) -> &kernel::Caller {
        &self.caller
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Staff {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fail> {
        match parts.extensions.get::<Admission>() {
            Some(Admission {
                policy: Policy::Staff(_),
                caller: Some(verified),
                roles,
            }) => Ok(Self {
                caller: verified.caller.clone(),
                roles: roles.clone(),
            }),
            _ => Err(disagreement(parts, "Staff")),
        }
    }
}

/// A handler's type and its operation's policy disagree: a mistake of ours, answered with 500.
fn disagreement(parts: &Parts, extractor: &str) -> Fail {
    let place = format!("{} {}", parts.method, parts.uri.path());
    let cause = format!("the handler of {place} takes {extractor}, its operation says otherwise");
    Fail(INTERNAL.fail().because(cause))
}
