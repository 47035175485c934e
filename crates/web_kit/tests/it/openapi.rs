//! The document is made from the table.

use axum::http::Method;
use serde_json::{Value, json};
use web_kit::{Policy, Table};

use crate::app::table;

fn document() -> Value {
    serde_json::to_value(Table::openapi(&[&table()])).unwrap()
}

#[test]
fn every_operation_is_in_the_document() {
    let document = document();
    let table = table();
    for operation in table.operations() {
        let method = operation.method.as_str().to_lowercase();
        let entry = &document["paths"][operation.path][&method];
        assert_eq!(entry["summary"], operation.summary, "{operation:?}");
        assert!(entry["responses"]["500"].is_object(), "{operation:?}");
        let secured = entry["responses"]["401"].is_object();
        assert_eq!(secured, operation.policy != Policy::Public, "{operation:?}");
    }
    let first = &table.operations()[0];
    assert_eq!(
        (&first.method, first.id.as_str()),
        (&Method::GET, "sample.hello")
    );
}

#[test]
fn operation_shows_body_answer_key_errors_and_security() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let create = &document["paths"]["/v1/items"]["post"];
    assert_eq!(create["operationId"], "sample.create");
    let schema = &create["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(schema["$ref"], "#/components/schemas/NewItem");
    assert_eq!(
        create["security"],
        json!([{ "bearer": [] }, { "session": [] }])
    );
    let parameter = &create["parameters"][0];
    assert_eq!(
        (&parameter["name"], &parameter["in"]),
        (&json!("Idempotency-Key"), &json!("header"))
    );
    let invalid = create["responses"]["400"]["description"].as_str().unwrap();
    assert!(
        invalid.contains("INVALID_REQUEST") && invalid.contains("MALFORMED_JSON"),
        "{invalid}"
    );
    let problem = &create["responses"]["413"]["content"]["application/problem+json"]["schema"];
    assert_eq!(problem["$ref"], "#/components/schemas/Problem");
    let other = create["responses"]["422"]["description"].as_str().unwrap();
    assert!(other.contains("IDEMPOTENCY_MISMATCH"), "{other}");
    let me = &document["paths"]["/api/v10/users/@me"]["get"];
    assert_eq!(
        me["security"],
        json!([{ "bearer": [] }, { "session": [] }, { "bot": [] }])
    );
    let refused = &me["responses"]["401"]["content"]["application/json"]["schema"];
    assert_eq!(refused["$ref"], "#/components/schemas/DialectError");
    let find = &document["paths"]["/v1/items/{item_id}"]["get"];
    assert_eq!(find["parameters"][0]["in"], "path");
    assert_eq!(find["security"], json!([{}]));
    let limited = &document["paths"]["/v1/limited"]["get"]["responses"]["429"];
    assert!(limited["headers"]["Retry-After"].is_object());
    assert_eq!(create["requestBody"]["required"], true);
    let optional = &document["paths"]["/v1/optional"]["post"]["requestBody"];
    assert_eq!(optional["required"], false);
    // Whatever may write may meet a full disk; what reads does not.
    let full = &create["responses"]["507"];
    assert!(full["headers"]["Retry-After"].is_object());
    assert!(
        full["description"]
            .as_str()
            .unwrap()
            .contains("STORAGE_FULL")
    );
    assert!(find["responses"]["507"].is_null());
    let list = &document["paths"]["/v1/items"]["get"];
    assert_eq!(list["parameters"][1]["name"], "query");
    let page = &list["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(
        page["properties"]["items"]["items"]["$ref"],
        "#/components/schemas/Item"
    );
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let text = document.to_string();
    let mut references = 0;
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
        references += 1;
    }
    assert!(references > 20);
    for name in ["NewItem", "Tag", "Item", "Id", "Problem", "DialectError"] {
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name}"
        );
    }
    for scheme in ["bearer", "bot"] {
        assert!(
            document["components"]["securitySchemes"][scheme].is_object(),
            "{scheme}"
        );
    }
}

#[test]
fn operation_shows_what_it_demands_of_the_caller() {
    let document = document();
    let of = |path: &str| document["paths"][path]["get"].clone();
    let staff = of("/v1/staff");
    let text = staff["description"].as_str().unwrap();
    assert!(text.contains("support, superadmin"), "{text}");
    assert_eq!(
        staff["security"],
        json!([{ "bearer": [] }, { "session": [] }])
    );
    let scoped = of("/v1/scoped");
    let credentials = json!([{ "bearer": [] }, { "session": [] }, { "apiKey": ["items:read"] }]);
    assert_eq!(scoped["security"], credentials);
    let fresh = of("/v1/fresh")["responses"]["403"]["description"].clone();
    assert!(fresh.as_str().unwrap().contains("STEP_UP_REQUIRED"));
    for path in ["/v1/staff", "/v1/scoped", "/v1/people", "/api/v10/people"] {
        let forbidden = of(path)["responses"]["403"]["description"].clone();
        assert!(forbidden.as_str().unwrap().contains("FORBIDDEN"), "{path}");
    }
    assert!(of("/v1/public")["responses"]["403"].is_null());
    assert_eq!(
        of("/api/v10/people")["security"],
        json!([{ "bearer": [] }, { "session": [] }])
    );
}
