//! The client of `testkit` against the real server.

use kernel::{Caller, UserId};
use serde_json::json;
use testkit::http::Client;

use crate::app::router;
use crate::socket::{Server, patient};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_and_router_calls_give_the_same() {
    let server = Server::start(router(), patient()).await;
    let client = Client::new(server.address);
    let me = client
        .call("GET", "/v1/me", UserId::new(42), None)
        .await
        .unwrap();
    assert_eq!(
        (me.status.as_u16(), me.json),
        (200, json!({ "id": "42", "bot": false }))
    );
    let bot = Caller::bot(UserId::new(77));
    let me = client
        .call("GET", "/api/v10/users/@me", &bot, None)
        .await
        .unwrap();
    assert_eq!(me.json["bot"], true);
    let name = "x".repeat(100_000);
    let echo = client
        .call("POST", "/v1/echo", (), json!({ "name": name }))
        .await
        .unwrap();
    assert_eq!(echo.json["name"], name);
    let text = client
        .call("GET", "/v1/me", "Bearer test:9", None)
        .await
        .unwrap();
    assert_eq!(text.json["id"], "9");
    let nobody = client.call("GET", "/v1/me", (), None).await.unwrap();
    assert_eq!(nobody.status, 401);
    assert_eq!(
        client
            .call("DELETE", "/v1/items/1", UserId::new(1), None)
            .await
            .unwrap()
            .status,
        204
    );
}
