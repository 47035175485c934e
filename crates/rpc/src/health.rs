//! gRPC's health service, saying what `/readyz` says.

use std::time::Duration;

use runtime::Lifecycle;
use runtime::health::Registry;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, HealthService};

use crate::generated::auth_server;

/// How often readiness is looked at; its checks remember their answer for as long.
const EVERY: Duration = Duration::from_secs(1);

/// The service, and the work that keeps it true until the process drains.
pub(crate) fn service(
    registry: Registry,
    lifecycle: &Lifecycle,
) -> HealthServer<impl Health + use<>> {
    let reporter = HealthReporter::new();
    let service = HealthService::from_health_reporter(reporter.clone());
    let soft = lifecycle.soft().clone();
    runtime::spawn(lifecycle, "grpc.health", async move {
        let feeding = feed(&reporter, &registry);
        soft.run_until_cancelled(feeding).await;
        tell(&reporter, ServingStatus::NotServing).await;
    });
    HealthServer::new(service)
}

async fn feed(reporter: &HealthReporter, registry: &Registry) {
    let mut ticks = tokio::time::interval(EVERY);
    let mut told = None;
    loop {
        ticks.tick().await;
        let status = if registry.ready().await.ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        // Telling the same again would wake everybody who watches.
        if told != Some(status) {
            tell(reporter, status).await;
            told = Some(status);
        }
    }
}

/// The empty name is the server as a whole.
async fn tell(reporter: &HealthReporter, status: ServingStatus) {
    for name in ["", auth_server::SERVICE_NAME] {
        reporter.set_service_status(name, status).await;
    }
}
