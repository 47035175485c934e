//! The server describes itself in development, and to nobody otherwise.

use rpc::Reflection;
use tonic::{Code, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::app::App;

async fn services(app: &App) -> Result<Vec<String>, Status> {
    let mut client = ServerReflectionClient::new(app.channel().await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = futures::stream::iter([request]);
    let mut answers = client.server_reflection_info(requests).await?.into_inner();
    let answer = answers.message().await?.unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    Ok(list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect())
}

#[tokio::test]
async fn in_development_clients_may_ask_what_there_is() {
    let app = App::with(Reflection::On, |_| {}).await;
    let list = services(&app).await.unwrap();
    for name in ["auth.AuthService", "grpc.health.v1.Health"] {
        assert!(list.iter().any(|service| service == name), "{list:?}");
    }
    let is_internal = |service: &String| service.contains("internal");
    assert!(!list.iter().any(is_internal), "{list:?}");
}

#[tokio::test]
async fn otherwise_there_is_no_such_service() {
    let app = App::start().await;
    let status = services(&app).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}
