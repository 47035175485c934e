//! Twilio's published interface, and a server that answers only what fits it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

pub(crate) const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
pub(crate) const SERVICE: &str = "VA0123456789abcdef0123456789abcdef";
pub(crate) const TOKEN: &str = "a token:of twilio";

/// The interface as JSON.
pub(crate) struct Contract(Value);

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) form: BTreeMap<String, String>,
}

impl Contract {
    pub(crate) fn read() -> Self {
        let text = include_str!("../../contracts/twilio.json");
        Contract(serde_json::from_str(text).unwrap())
    }

    /// The operation that a request means, if it fits its description in every point.
    pub(crate) fn operation(&self, asked: &Asked) -> Result<String, String> {
        let operations = self.0["operations"].as_object().unwrap();
        for (name, operation) in operations {
            let Some(parameters) = matched(operation["path"].as_str().unwrap(), &asked.path) else {
                continue;
            };
            if operation["method"] != asked.method.as_str() {
                return Err(format!("{name}: method {}", asked.method));
            }
            for (parameter, value) in parameters {
                self.fits(&operation["path_parameters"][&parameter], &json!(value))?;
            }
            if asked.kind != "application/x-www-form-urlencoded" {
                return Err(format!("{name}: content type {}", asked.kind));
            }
            self.fits(&operation["form"], &json!(asked.form))?;
            return Ok(name.clone());
        }
        Err(format!("no operation at {}", asked.path))
    }

    /// Whether an answer of an operation fits its description.
    pub(crate) fn answer(&self, operation: &str, status: u16, body: &Value) -> Result<(), String> {
        let answers = &self.0["operations"][operation]["answers"];
        let schema = answers
            .get(status.to_string())
            .ok_or_else(|| format!("{operation} never answers {status}"))?;
        self.fits(schema, body)
    }

    fn fits(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let mut whole = match schema {
            Value::Object(schema) => schema.clone(),
            _ => Map::from_iter([("allOf".to_owned(), json!([schema]))]),
        };
        whole.insert("$defs".to_owned(), self.0["$defs"].clone());
        let validator = jsonschema::validator_for(&Value::Object(whole)).unwrap();
        validator.validate(value).map_err(|error| error.to_string())
    }
}

/// The values of `{names}` in a path, if the rest is the same.
fn matched(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let (wanted, found): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    if wanted.len() != found.len() {
        return None;
    }
    let mut values = Vec::new();
    for (wanted, found) in wanted.iter().zip(found) {
        match wanted
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some(name) => values.push((name.to_owned(), found.to_owned())),
            None if *wanted == found => {}
            None => return None,
        }
    }
    Some(values)
}

/// What the stub answers in place of what the interface says.
type Instead = (u16, String);

struct Inner {
    contract: Contract,
    asked: Mutex<Vec<Asked>>,
    violations: Mutex<Vec<String>>,
    instead: Mutex<Option<Instead>>,
    right_code: Mutex<Option<String>>,
}

/// A server that speaks the published interface and nothing else.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
}

impl Stub {
    pub(crate) async fn start() -> Stub {
        let inner = Arc::new(Inner {
            contract: Contract::read(),
            asked: Mutex::default(),
            violations: Mutex::default(),
            instead: Mutex::default(),
            right_code: Mutex::default(),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inner));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a server of the test")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Stub { address, inner }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked, the oldest first.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// Fails the test if any request did not fit.
    pub(crate) fn assert_all_fit(&self) {
        let violations = self.inner.violations.lock().unwrap();
        assert!(violations.is_empty(), "{violations:?}");
    }

    /// From now on every answer is this one.
    pub(crate) fn answer_instead(&self, status: u16, body: &str) {
        *self.inner.instead.lock().unwrap() = Some((status, body.to_owned()));
    }

    /// From now on this code is right.
    pub(crate) fn set_code(&self, code: &str) {
        *self.inner.right_code.lock().unwrap() = Some(code.to_owned());
    }
}

async fn answer(
    State(stub): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = asked(&method, &uri, &headers, &body);
    stub.asked.lock().unwrap().push(asked.clone());
    let credential = format!("Basic {}", STANDARD.encode(format!("{ACCOUNT}:{TOKEN}")));
    if headers
        .get(header::AUTHORIZATION)
        .and_then(|h| h.to_str().ok())
        != Some(&credential)
    {
        return reply(
            401,
            json!({"code": 20003, "message": "Authenticate", "status": 401}),
        );
    }
    let operation = match stub.contract.operation(&asked) {
        Ok(operation) => operation,
        Err(violation) => {
            stub.violations.lock().unwrap().push(violation);
            return reply(400, json!({"code": 20001, "message": "no", "status": 400}));
        }
    };
    if let Some((status, body)) = stub.instead.lock().unwrap().clone() {
        let kind = [(header::CONTENT_TYPE, "application/json")];
        return (StatusCode::from_u16(status).unwrap(), kind, body).into_response();
    }
    let right = stub.right_code.lock().unwrap().clone();
    let (status, body) = good(&operation, &asked, right.as_deref());
    stub.contract.answer(&operation, status, &body).unwrap();
    reply(status, body)
}

fn asked(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Asked {
    let text = std::str::from_utf8(body).unwrap();
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            if byte == b'%' {
                let hex = std::str::from_utf8(&after[..2]).unwrap();
                bytes.push(u8::from_str_radix(hex, 16).unwrap());
                rest = &after[2..];
            } else {
                bytes.push(byte);
                rest = after;
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    let fields = text.split('&').filter(|field| !field.is_empty());
    let kind = headers
        .get(header::CONTENT_TYPE)
        .map_or("", |kind| kind.to_str().unwrap());
    Asked {
        method: method.to_string(),
        path: uri.path().to_owned(),
        kind: kind.to_owned(),
        form: fields
            .map(|field| field.split_once('=').unwrap())
            .map(|(name, value)| (decode(name), decode(value)))
            .collect(),
    }
}

/// An answer that fits.
pub(crate) fn good(operation: &str, asked: &Asked, right: Option<&str>) -> (u16, Value) {
    let field = |name: &str| asked.form.get(name).cloned();
    let sid = |kind: &str| format!("{kind}fedcba9876543210fedcba9876543210");
    match operation {
        "CreateMessage" => (
            201,
            json!({
                "sid": sid("SM"), "account_sid": ACCOUNT, "status": "queued",
                "to": field("To"), "from": field("From"), "body": field("Body"),
                "messaging_service_sid": field("MessagingServiceSid"),
                "num_segments": "1", "num_media": "0", "price": null, "price_unit": null,
                "error_code": null, "error_message": null, "api_version": "2010-04-01",
                "date_created": "Sun, 01 Mar 2026 12:00:00 +0000", "date_sent": null,
            }),
        ),
        "CreateVerification" => (
            201,
            json!({
                "sid": sid("VE"), "service_sid": SERVICE, "account_sid": ACCOUNT,
                "to": field("To"), "channel": "sms", "status": "pending", "valid": false,
                "lookup": {}, "amount": null, "payee": null, "send_code_attempts": [],
                "date_created": "2026-03-01T12:00:00Z",
            }),
        ),
        _ => {
            let valid = right.is_some() && field("Code").as_deref() == right;
            let status = if valid { "approved" } else { "pending" };
            (
                200,
                json!({
                    "sid": sid("VE"), "service_sid": SERVICE, "account_sid": ACCOUNT,
                    "to": field("To"), "channel": "sms", "status": status, "valid": valid,
                    "amount": null, "payee": null, "sna_attempts_error_codes": [],
                }),
            )
        }
    }
}

fn reply(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}
