use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::node::Home;

/// Who is meant is told by a refresh token in the body or by the header; with neither there is
/// nobody to log out.
const TOLD_BY_EITHER: [&str; 2] = ["/v1/auth/logout", "/v1/auth/logout-all"];

/// Every operation of the document, with its parameters filled in.
pub(crate) fn operations(document: &Value) -> Result<Vec<(String, String, bool)>> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().context("paths")? {
        for (method, operation) in methods.as_object().context("methods")? {
            // An empty requirement among them means that nobody has to log in.
            let requirements = operation["security"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let is_asked = |r: &Value| r.as_object().is_some_and(|r| !r.is_empty());
            let secured = !requirements.is_empty() && requirements.iter().all(is_asked);
            let mut filled = path.clone();
            while let (Some(from), Some(to)) = (filled.find('{'), filled.find('}')) {
                filled.replace_range(from..=to, "4194304");
            }
            all.push((method.to_uppercase(), filled, secured));
        }
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_every_documented_operation_asks_for_who_it_says() -> Result<()> {
    let home = Home::new("surface")?;
    let node = home.start().await?;
    let document = node
        .client
        .call("GET", "/openapi.json", (), Value::Null)
        .await?
        .expect(200)?;
    let operations = operations(&document.json)?;
    assert!(operations.len() > 60, "{} operations", operations.len());
    let mut secured_count = 0;
    for (method, path, secured) in operations {
        let secured = secured || TOLD_BY_EITHER.contains(&path.as_str());
        let reply = node.client.call(&method, &path, (), json!({})).await?;
        let refused = reply.status == 401;
        // Login answers 401 to nobody's password; it says so with a code of its own.
        let own_401 =
            !secured && reply.json["code"] != "UNAUTHENTICATED" && reply.json["code"] != 0;
        assert!(
            refused == secured || (refused && own_401),
            "{method} {path}: {} {}",
            reply.status,
            reply.json
        );
        assert!(
            reply.status != 404 || reply.json["code"] != 0,
            "{method} {path} does not exist"
        );
        assert!(
            !reply.status.is_server_error(),
            "{method} {path}: {}",
            reply.status
        );
        secured_count += usize::from(secured);
    }
    assert!(
        secured_count > 45,
        "{secured_count} operations ask for a caller"
    );
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_all_documented() -> Result<()> {
    let home = Home::new("metrics")?;
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let (_, channel) = node.community(&ayse).await?;
    let (gateway, _) = node.connect(&ayse).await?;
    let path = format!("/channels/{channel}/messages");
    node.done(&ayse, "POST", &path, json!({"content": "x"}))
        .await?;
    let scraped = node
        .client
        .call("GET", "/metrics", (), Value::Null)
        .await?
        .expect(200)?;
    let scraped = String::from_utf8(scraped.body.to_vec())?;
    let documented = String::from_utf8(home.run(&["metrics"])?.stdout)?;
    for line in scraped
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
    {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(documented.contains(name), "{name} is not documented");
    }
    assert!(
        scraped.contains("meydan_realtime_connections{transport=\"gateway\"} 1"),
        "{scraped}"
    );
    drop(gateway);
    node.stop()
}
