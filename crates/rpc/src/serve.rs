//! The server: the gate over the services, on [`web_kit::serve`].

use std::sync::Arc;
use std::time::Duration;

use contracts::{Auth, Credentials, ServiceTokens};
use kernel::{SharedClock, SharedRng};
use runtime::Lifecycle;
use runtime::health::Registry;
use tokio::net::TcpListener;
use tonic::service::Routes;
use web_kit::{Network, ServeOptions, TokenVerifier};

use crate::generated::DESCRIPTORS;
use crate::methods::{INTERNAL_METHODS, METHODS, Method};
use crate::{auth, gate, health, internal};

/// Longest time from a call's head to the head of its answer.
const DEADLINE: Duration = Duration::from_secs(15);
/// Most calls in flight, open streams included; the next one is told UNAVAILABLE.
const IN_FLIGHT: usize = 2_048;

/// What is served to clients.
#[derive(Clone)]
pub struct Services {
    /// Logging in.
    pub auth: Arc<dyn Auth>,
    /// What gRPC's health service says.
    pub health: Registry,
    /// Whether clients may ask what there is.
    pub reflection: Reflection,
}

/// What is served to other processes of the installation.
#[derive(Clone)]
pub struct InternalServices {
    /// What verifiers ask.
    pub credentials: Arc<dyn Credentials>,
    /// How processes come to know each other.
    pub tokens: Arc<dyn ServiceTokens>,
}

/// Whether the server describes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reflection {
    /// To everybody; for development.
    On,
    /// To nobody.
    Off,
}

/// How it is served.
#[derive(Clone)]
pub struct Options {
    /// Judges tokens.
    pub verifier: Arc<TokenVerifier>,
    /// Asked about the device of a stream whose token has ended.
    pub credentials: Arc<dyn Credentials>,
    /// Tells when that is.
    pub clock: SharedClock,
    /// Makes request ids.
    pub rng: SharedRng,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// Bounds of connections.
    pub bounds: ServeOptions,
    /// Who may call what.
    pub methods: &'static [Method],
    /// Longest time from a call's head to the head of its answer.
    pub deadline: Duration,
    /// Most calls in flight, open streams included; the next one is told UNAVAILABLE.
    pub max_in_flight: usize,
}

impl Options {
    /// Options with [`METHODS`], no proxies, and the bounds of this product.
    pub fn new(
        verifier: Arc<TokenVerifier>,
        credentials: Arc<dyn Credentials>,
        clock: SharedClock,
        rng: SharedRng,
    ) -> Self {
        Options {
            verifier,
            credentials,
            clock,
            rng,
            trusted_proxies: Vec::new(),
            bounds: ServeOptions::default(),
            methods: METHODS,
            deadline: DEADLINE,
            max_in_flight: IN_FLIGHT,
        }
    }
}

/// Serves clients until the life ends: streams are ended at its soft token, calls are finished.
pub async fn serve(
    listener: TcpListener,
    services: Services,
    options: Options,
    lifecycle: Lifecycle,
) {
    let routes = routes(services, &lifecycle);
    behind_gate(listener, routes, options, lifecycle).await;
}

/// Serves other processes of this installation in the same way, whatever `options.methods` are:
/// [`INTERNAL_METHODS`] and nothing else, and nobody is told what there is.
pub async fn serve_internal(
    listener: TcpListener,
    services: InternalServices,
    options: Options,
    lifecycle: Lifecycle,
) {
    let service = internal::service(services.credentials, services.tokens);
    let options = Options {
        methods: INTERNAL_METHODS,
        ..options
    };
    behind_gate(listener, Routes::new(service), options, lifecycle).await;
}

async fn behind_gate(
    listener: TcpListener,
    routes: Routes,
    options: Options,
    lifecycle: Lifecycle,
) {
    let bounds = options.bounds;
    let gate = gate::Gate::new(options, lifecycle.soft().clone());
    let router = routes
        .into_axum_router()
        .layer(axum::middleware::from_fn_with_state(gate, gate::run));
    web_kit::serve(listener, router, bounds, lifecycle).await;
}

fn routes(services: Services, lifecycle: &Lifecycle) -> Routes {
    let mut routes = Routes::new(auth::service(services.auth))
        .add_service(health::service(services.health, lifecycle));
    if services.reflection == Reflection::On {
        let described = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        // Clients speak one or the other. Both fail only on descriptors that contradict each other.
        match (described().build_v1(), described().build_v1alpha()) {
            (Ok(v1), Ok(v1alpha)) => routes = routes.add_service(v1).add_service(v1alpha),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "the services cannot be described");
            }
        }
    }
    routes
}
