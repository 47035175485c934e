//! What the command line hands to the composition, and what it gets back.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use clap::ValueEnum;
use secrecy::SecretString;

/// A service that can run in a process of its own; named as its crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Service {
    Identity,
    Communities,
    Media,
    Messaging,
    Applications,
    Audit,
    Realtime,
}

impl Service {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Communities => "communities",
            Self::Media => "media",
            Self::Messaging => "messaging",
            Self::Applications => "applications",
            Self::Audit => "audit",
            Self::Realtime => "realtime",
        }
    }

    /// The names of all.
    pub(crate) fn names() -> Vec<&'static str> {
        let all = Self::value_variants().iter();
        all.map(|service| service.name()).collect()
    }
}

/// The services of one process; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection(BTreeSet<Service>);

impl Selection {
    pub(crate) fn all() -> Self {
        Self(Service::value_variants().iter().copied().collect())
    }

    pub(crate) fn only(services: &[Service]) -> Option<Self> {
        let set: BTreeSet<Service> = services.iter().copied().collect();
        (!set.is_empty()).then_some(Self(set))
    }

    pub(crate) fn except(services: &[Service]) -> Option<Self> {
        let Self(mut set) = Self::all();
        set.retain(|service| !services.contains(service));
        (!set.is_empty()).then_some(Self(set))
    }

    pub(crate) fn has(&self, service: Service) -> bool {
        self.0.contains(&service)
    }

    /// The surfaces that these services make up, such as `/v1`.
    pub(crate) fn surfaces(&self) -> Vec<&'static str> {
        let dialect = [
            Service::Communities,
            Service::Messaging,
            Service::Applications,
        ];
        let mut surfaces = Vec::new();
        if self.has(Service::Identity) || self.has(Service::Media) {
            surfaces.push("/v1");
        }
        if dialect.into_iter().any(|service| self.has(service)) {
            surfaces.push("/api/v10");
        }
        if self.has(Service::Realtime) {
            surfaces.push("/gateway");
        }
        surfaces
    }

    /// What the process calls itself among the others: its first service.
    pub(crate) fn own_name(&self) -> &'static str {
        self.0.first().map_or("", |service| service.name())
    }

    /// The names, with commas.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|service| service.name()).collect();
        names.join(",")
    }
}

/// What an installation is filled with at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// With what is there.
    AsIs,
    /// With the demo world, if nobody is there.
    Demo,
}

/// How it stands with the demo world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Demo {
    /// There is nobody to log in as.
    Absent,
    /// People with these addresses log in with the demo password.
    Here(Vec<String>),
    /// It was asked for, but others have accounts here.
    LeftOut,
}

/// Everything the composition needs besides settings.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) selection: Selection,
    /// The pool's way to the database; may lead through a pooler.
    pub(crate) database: db::Settings,
    /// The direct way, for LISTEN.
    pub(crate) direct: db::Settings,
    /// At least 32 bytes; every key is derived from it.
    pub(crate) root_secret: SecretString,
    /// What it is filled with.
    pub(crate) contents: Contents,
}

/// A node that serves.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// Where the main listener is.
    pub(crate) addr: SocketAddr,
    /// Where gRPC is, if it is served.
    pub(crate) grpc: Option<SocketAddr>,
    /// Where other processes are answered, if they are.
    pub(crate) internal: Option<SocketAddr>,
    /// The surfaces it serves, such as `/v1`.
    pub(crate) surfaces: Vec<&'static str>,
    /// Whether an administrator exists; `None` where identity does not run.
    pub(crate) has_admin: Option<bool>,
    /// The part behind `#` of a fresh set-up link, while there is no administrator.
    pub(crate) setup_token: Option<SecretString>,
    /// The people to try it with.
    pub(crate) demo: Demo,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_never_empty() {
        let all = Service::value_variants();
        assert_eq!(Selection::only(&[]), None);
        assert_eq!(Selection::except(all), None);
        assert_eq!(Selection::except(&[]), Some(Selection::all()));
        let two = Selection::only(&[Service::Realtime, Service::Messaging]).unwrap();
        assert_eq!(two.names(), "messaging,realtime");
        assert_eq!(two.own_name(), "messaging");
        assert_eq!(two.surfaces(), ["/api/v10", "/gateway"]);
        assert!(two.has(Service::Realtime) && !two.has(Service::Identity));
        let rest = Selection::except(&[Service::Realtime]).unwrap();
        assert_eq!(
            rest.names(),
            "identity,communities,media,messaging,applications,audit"
        );
        assert_eq!(Service::names().join(","), Selection::all().names());
    }
}
