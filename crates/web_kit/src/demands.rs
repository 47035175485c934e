//! What an operation demands of whoever calls it, and the pure part of judging that.

use jiff::Timestamp;
use kernel::{Caller, CallerKind, PlatformRole};

/// Who may call an operation.
///
/// It is carried out before the handler; the handler's extractor (`Public`, `Caller`, `Staff`)
/// must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Anybody; a token is not even looked at.
    Public,
    /// Whoever is logged in.
    Caller,
    /// People with one of these platform roles, as themselves. A superadmin is always one.
    Staff(&'static [PlatformRole]),
}

/// What an operation demands beside its policy. By default people and bots may call, also people
/// in whose name a member of staff acts, however long ago they logged in; API keys may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demands {
    /// Who may call.
    pub policy: Policy,
    /// What an API key must hold; none lets no key in.
    pub scope: Option<&'static str>,
    /// Which callers that are logged in are meant.
    pub whom: Whom,
    /// Whether a member of staff may call in a user's name.
    pub acting: Acting,
    /// How old the login may be.
    pub login: Login,
}

/// Which callers an operation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// People, their programs and bots.
    Everybody,
    /// No bots and no programs.
    People,
}

/// What becomes of a member of staff who acts in a user's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acting {
    /// They may call.
    Admitted,
    /// They may not.
    Refused,
}

/// How old a login may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// As old as it is.
    Any,
    /// Proved within [`kernel::STEP_UP_WINDOW`].
    Fresh,
}

/// Why somebody who is known may not call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The credential is not for this.
    Forbidden,
    /// The login has to be proved again.
    StepUp,
}

impl Demands {
    pub(crate) const fn new() -> Self {
        Self {
            policy: Policy::Caller,
            scope: None,
            whom: Whom::Everybody,
            acting: Acting::Admitted,
            login: Login::Any,
        }
    }

    /// The roles that may call, if it is for staff.
    pub fn roles(&self) -> Option<&'static [PlatformRole]> {
        match self.policy {
            Policy::Staff(roles) => Some(roles),
            Policy::Public | Policy::Caller => None,
        }
    }

    /// Whether bots and keys may call, as far as this says.
    pub fn admits_programs(&self) -> bool {
        self.whom == Whom::Everybody && !self.is_for_themselves()
    }

    /// Whether a member of staff may call in a user's name.
    pub fn admits_impersonation(&self) -> bool {
        self.acting == Acting::Admitted && !self.is_for_themselves()
    }

    /// Staff act as themselves, and only people themselves can prove anything again.
    fn is_for_themselves(&self) -> bool {
        matches!(self.policy, Policy::Staff(_)) || self.login == Login::Fresh
    }

    /// Judges everything but roles, which have to be asked for.
    pub(crate) fn judge(&self, caller: &Caller, now: Timestamp) -> Result<(), Refused> {
        let meant = (caller.kind == CallerKind::User || self.admits_programs())
            && (caller.act.is_none() || self.admits_impersonation());
        if !meant || !self.holds_scope(caller) {
            return Err(Refused::Forbidden);
        }
        match self.login {
            Login::Fresh if !caller.is_fresh(now) => Err(Refused::StepUp),
            Login::Fresh | Login::Any => Ok(()),
        }
    }

    /// Only keys are limited by scopes.
    fn holds_scope(&self, caller: &Caller) -> bool {
        match caller.kind {
            CallerKind::User | CallerKind::Bot => true,
            CallerKind::ApiKey => self
                .scope
                .is_some_and(|scope| caller.scopes.iter().any(|held| held == scope)),
        }
    }
}

/// Whether one of `held` opens an operation for `wanted`.
pub(crate) fn opens(wanted: &[PlatformRole], held: &[PlatformRole]) -> bool {
    held.iter()
        .any(|role| *role == PlatformRole::Superadmin || wanted.contains(role))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{DeviceId, UserId};

    const USER: UserId = UserId::new(1);

    fn person(seconds_ago: i64) -> (Caller, Timestamp) {
        let now: Timestamp = "2026-11-20T07:00:00Z".parse().unwrap();
        let proved = now - jiff::SignedDuration::from_secs(seconds_ago);
        let amr = vec!["pwd".to_owned()];
        (Caller::user(USER, DeviceId::new(2), amr, proved), now)
    }

    fn verdicts(demands: Demands) -> [Result<(), Refused>; 5] {
        let (person, now) = person(600);
        let acting = Caller {
            act: Some(UserId::new(9)),
            ..person.clone()
        };
        let key = |scope: &str| Caller::api_key(USER, vec![scope.to_owned()]);
        [
            person,
            acting,
            Caller::bot(USER),
            key("users:read"),
            key("users:write"),
        ]
        .map(|caller| demands.judge(&caller, now))
    }

    #[test]
    fn each_demand_shuts_out_whom_it_means() {
        let (yes, no) = (Ok(()), Err(Refused::Forbidden));
        let base = Demands::new();
        let scoped = Demands {
            scope: Some("users:read"),
            ..base
        };
        let people = Demands {
            whom: Whom::People,
            ..scoped
        };
        let unacted = Demands {
            acting: Acting::Refused,
            ..scoped
        };
        let staff = Demands {
            policy: Policy::Staff(&[PlatformRole::Support]),
            ..scoped
        };
        let fresh = Demands {
            login: Login::Fresh,
            ..scoped
        };
        for (demands, expected) in [
            (base, [yes, yes, yes, no, no]),
            (scoped, [yes, yes, yes, yes, no]),
            (people, [yes, yes, no, no, no]),
            (unacted, [yes, no, yes, yes, no]),
            (staff, [yes, no, no, no, no]),
            (fresh, [Err(Refused::StepUp), no, no, no, no]),
        ] {
            assert_eq!(verdicts(demands), expected, "{demands:?}");
        }
    }

    #[test]
    fn a_fresh_login_is_five_minutes_old_at_most() {
        let demands = Demands {
            login: Login::Fresh,
            ..Demands::new()
        };
        for (age, verdict) in [(300, Ok(())), (301, Err(Refused::StepUp))] {
            let (caller, now) = person(age);
            assert_eq!(demands.judge(&caller, now), verdict, "{age}");
        }
    }

    #[test]
    fn superadmins_are_always_staff() {
        let wanted = [PlatformRole::Support];
        for role in PlatformRole::ALL {
            let open = matches!(role, PlatformRole::Support | PlatformRole::Superadmin);
            assert_eq!(opens(&wanted, &[role]), open, "{role}");
        }
        assert!(!opens(&wanted, &[]));
        assert!(opens(&[], &[PlatformRole::Superadmin]));
    }
}
