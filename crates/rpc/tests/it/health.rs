//! The health service says what readiness says.

use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::app::{App, DEADLINE};

async fn becomes(app: &App, service: &str, expected: ServingStatus) {
    let client = app.health().await;
    let asked = || {
        let (mut client, service) = (client.clone(), service.to_owned());
        async move {
            let answer = client.check(HealthCheckRequest { service }).await;
            answer.is_ok_and(|answer| answer.into_inner().status() == expected)
        }
    };
    testkit::servers::eventually("the status", DEADLINE, asked)
        .await
        .unwrap();
}

#[tokio::test]
async fn it_follows_readiness_for_the_server_and_its_service() {
    let app = App::start().await;
    becomes(&app, "", ServingStatus::Serving).await;
    becomes(&app, "auth.AuthService", ServingStatus::Serving).await;
    app.fall_ill();
    becomes(&app, "", ServingStatus::NotServing).await;
    becomes(&app, "auth.AuthService", ServingStatus::NotServing).await;
    app.recover();
    becomes(&app, "", ServingStatus::Serving).await;
}

#[tokio::test]
async fn an_unknown_service_is_not_found() {
    let app = App::start().await;
    let service = "nobody.Service".to_owned();
    let mut client = app.health().await;
    let asked = client.check(HealthCheckRequest { service }).await;
    assert_eq!(asked.unwrap_err().code(), Code::NotFound);
}
