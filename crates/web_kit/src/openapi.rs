//! The OpenAPI 3.1 document, made from tables and nothing else.

use std::collections::BTreeMap;

use axum::http::Method;
use kernel::failure::{
    FORBIDDEN, IDEMPOTENCY_BUSY, IDEMPOTENCY_MISMATCH, INTERNAL, INVALID_REQUEST, RATE_LIMITED,
    STEP_UP_REQUIRED, UNAUTHENTICATED, UNAVAILABLE,
};
use kernel::{ErrorRow, PlatformRole};
use serde_json::json;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, Paths,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ComponentsBuilder, ObjectBuilder, Ref, Schema, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Content, ContentBuilder, HeaderBuilder, InfoBuilder, OpenApi, OpenApiBuilder, RefOr, Required,
    ResponseBuilder,
};

use crate::cookie::HOST_COOKIE;
use crate::demands::{Login, Policy};
use crate::fail::{BODY_TOO_LARGE, CSRF_FAILED, MALFORMED_JSON, STORAGE_FULL, UNSUPPORTED_TYPE};
use crate::render;
use crate::table::{Operation, Table, WhenFull};

/// Makes the document of several tables.
pub fn openapi(tables: &[&Table]) -> OpenApi {
    let mut paths = Paths::new();
    let mut components = ComponentsBuilder::new()
        .schema("Problem", problem_schema())
        .schema("DialectError", dialect_schema())
        .security_scheme("bearer", bearer())
        .security_scheme("session", session())
        .security_scheme("bot", bot())
        .security_scheme("apiKey", key());
    let mut tags = Vec::new();
    // Sorted, so that the document does not depend on the order of tables.
    let mut schemas = BTreeMap::new();
    for table in tables {
        tags.push(
            utoipa::openapi::tag::TagBuilder::new()
                .name(table.name())
                .build(),
        );
        for operation in table.operations() {
            schemas.extend(operation.doc.schemas.iter().cloned());
            let item = PathItem::new(http_method(&operation.method), describe(operation));
            match paths.paths.get_mut(operation.path) {
                Some(known) => known.merge_operations(item),
                None => {
                    paths.paths.insert(operation.path.to_owned(), item);
                }
            }
        }
    }
    components = components.schemas_from_iter(schemas);
    OpenApiBuilder::new()
        .info(InfoBuilder::new().title("Meydan").version("1").build())
        .paths(paths)
        .components(Some(components.build()))
        .tags(Some(tags))
        .build()
}

/// The schema of [`kernel::Page`].
pub(crate) fn page_of(items: RefOr<Schema>) -> RefOr<Schema> {
    let cursor = text("Give it as `cursor` to get the next page; absent on the last one.");
    ObjectBuilder::new()
        .property("items", ArrayBuilder::new().items(items))
        .required("items")
        .property("next_cursor", cursor)
        .into()
}

fn http_method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn describe(operation: &Operation) -> utoipa::openapi::path::Operation {
    let doc = &operation.doc;
    let mut built = OperationBuilder::new()
        .operation_id(Some(operation.id.clone()))
        .tag(operation.tag)
        .summary(Some(doc.summary))
        .description(description(operation));
    for name in path_parameters(operation.path) {
        built = built.parameter(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(path_schema(name))),
        );
    }
    for parameter in &doc.parameters {
        built = built.parameter(parameter.clone());
    }
    if doc.once {
        built = built.parameter(idempotency_key());
    }
    if doc.versioned {
        built = built.parameter(if_match());
    }
    if let Some((schema, example)) = &doc.body {
        let content = content(schema.clone(), example.clone());
        let body = RequestBodyBuilder::new()
            .required(Some(body_required(operation, schema)))
            .content("application/json", content);
        built = built.request_body(Some(body.build()));
    }
    built = built.securities(Some(securities(operation)));
    for (status, schema, example) in &doc.answers {
        let mut answer = ResponseBuilder::new().description(doc.summary);
        if let Some(schema) = schema {
            answer = answer.content("application/json", content(schema.clone(), example.clone()));
        }
        built = built.response(status.to_string(), answer.build());
    }
    for (status, rows) in errors(operation) {
        built = built.response(status.to_string(), error_answer(operation, status, &rows));
    }
    built.build()
}

/// Whether there has to be a body. On the chat surface an absent one of POST and PUT is `{}`, so it
/// may be absent where no field has to be there.
fn body_required(operation: &Operation, schema: &RefOr<Schema>) -> Required {
    let doc = &operation.doc;
    let lenient = operation.dialect && matches!(operation.method, Method::POST | Method::PUT);
    let named = |reference: &utoipa::openapi::Ref| {
        let name = reference.ref_location.rsplit('/').next()?;
        let found = doc.schemas.iter().find(|(known, _)| known == name);
        found.map(|(_, schema)| schema)
    };
    let schema = match schema {
        RefOr::Ref(reference) => named(reference),
        RefOr::T(_) => Some(schema),
    };
    match schema {
        Some(RefOr::T(Schema::Object(object))) if lenient && object.required.is_empty() => {
            Required::False
        }
        _ => doc.body_required.clone(),
    }
}

/// See [`crate::Table::clashes`].
pub(crate) fn clashes(tables: &[&Table]) -> Vec<String> {
    let operations = tables.iter().flat_map(|table| table.operations());
    let all = operations.flat_map(|operation| &operation.doc.schemas);
    let mut known = BTreeMap::new();
    let mut clashing = std::collections::BTreeSet::new();
    for (name, schema) in all {
        if *known.entry(name).or_insert(schema) != schema {
            clashing.insert(name.clone());
        }
    }
    clashing.into_iter().collect()
}

/// The credentials that an operation takes.
fn securities(operation: &Operation) -> Vec<SecurityRequirement> {
    let demands = &operation.demands;
    if demands.policy == Policy::Public {
        return vec![SecurityRequirement::default()];
    }
    let mut all = vec![
        SecurityRequirement::new("bearer", [""; 0]),
        SecurityRequirement::new("session", [""; 0]),
    ];
    if operation.dialect && demands.admits_programs() {
        all.push(SecurityRequirement::new("bot", [""; 0]));
    }
    if !operation.dialect && demands.admits_programs() {
        all.extend(
            demands
                .scope
                .map(|scope| SecurityRequirement::new("apiKey", [scope])),
        );
    }
    all
}

/// The text for people, with what is demanded of the caller behind it.
fn description(operation: &Operation) -> Option<String> {
    let demands = &operation.demands;
    let mut lines: Vec<String> = operation
        .doc
        .description
        .map(str::to_owned)
        .into_iter()
        .collect();
    if let Some(roles) = demands.roles() {
        let mut words: Vec<_> = roles.iter().map(|role| role.word()).collect();
        if !roles.contains(&PlatformRole::Superadmin) {
            words.push(PlatformRole::Superadmin.word());
        }
        lines.push(format!("For staff: {}.", words.join(", ")));
    }
    if demands.login == Login::Fresh {
        lines.push("Needs a login that was proved in the last five minutes.".to_owned());
    }
    if demands.policy != Policy::Public && !demands.admits_impersonation() {
        lines.push("Not while acting in a user's name.".to_owned());
    }
    (!lines.is_empty()).then(|| lines.join("\n\n"))
}

fn content(schema: RefOr<Schema>, example: Option<serde_json::Value>) -> Content {
    ContentBuilder::new()
        .schema(Some(schema))
        .example(example)
        .build()
}

fn path_parameters(template: &str) -> impl Iterator<Item = &str> {
    template
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_start_matches('*'))
}

/// Parameters named `…_id` hold identifiers.
fn path_schema(name: &str) -> RefOr<Schema> {
    if name.ends_with("_id") {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-8]?[0-9]{1,18}$"))
            .into()
    } else {
        ObjectBuilder::new().schema_type(Type::String).into()
    }
}

/// The operation's own errors and those every such operation has, by status.
fn errors(operation: &Operation) -> BTreeMap<u16, Vec<&'static ErrorRow>> {
    let doc = &operation.doc;
    let mut rows: Vec<&'static ErrorRow> = doc.errors.clone();
    let demands = &operation.demands;
    if demands.policy != Policy::Public {
        rows.extend([&UNAUTHENTICATED, &UNAVAILABLE]);
        // Keys are known everywhere outside the chat surface, and mostly refused.
        let some_refused = !demands.admits_programs() || !demands.admits_impersonation();
        if !operation.dialect || some_refused {
            rows.push(&FORBIDDEN);
        }
        if operation.method != Method::GET {
            rows.push(&CSRF_FAILED);
        }
    }
    if demands.login == Login::Fresh {
        rows.push(&STEP_UP_REQUIRED);
    }
    if doc.body.is_some() {
        rows.extend([
            &INVALID_REQUEST,
            &MALFORMED_JSON,
            &BODY_TOO_LARGE,
            &UNSUPPORTED_TYPE,
        ]);
    }
    if doc.once {
        rows.extend([&IDEMPOTENCY_MISMATCH, &IDEMPOTENCY_BUSY]);
    }
    if doc.once || !doc.parameters.is_empty() || operation.path.contains('{') {
        rows.push(&INVALID_REQUEST);
    }
    if operation.limit.is_some() || (operation.dialect && demands.policy == Policy::Caller) {
        rows.push(&RATE_LIMITED);
    }
    if operation.method != Method::GET && operation.doc.when_full == WhenFull::Refused {
        rows.push(&STORAGE_FULL);
    }
    rows.push(&INTERNAL);
    let mut by_status: BTreeMap<u16, Vec<&'static ErrorRow>> = BTreeMap::new();
    for row in rows {
        let list = by_status
            .entry(render::status(row.kind).as_u16())
            .or_default();
        if !list.iter().any(|known| known.code == row.code) {
            list.push(row);
        }
    }
    by_status
}

fn error_answer(
    operation: &Operation,
    status: u16,
    rows: &[&'static ErrorRow],
) -> utoipa::openapi::Response {
    let lines: Vec<String> = rows
        .iter()
        .map(|row| format!("`{}`: {}", row.code, row.en))
        .collect();
    let (kind, schema) = if operation.dialect {
        ("application/json", "DialectError")
    } else {
        ("application/problem+json", "Problem")
    };
    let schema = RefOr::Ref(Ref::from_schema_name(schema));
    let mut answer = ResponseBuilder::new()
        .description(lines.join("\n\n"))
        .content(kind, content(schema, None));
    if matches!(status, 429 | 503 | 507) {
        let seconds = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .build();
        let header = HeaderBuilder::new()
            .schema(Some(Schema::from(seconds)))
            .description(Some("Seconds to wait before trying again."));
        answer = answer.header("Retry-After", header.build());
    }
    answer.build()
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
}

fn idempotency_key() -> ParameterBuilder {
    let key = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[!-~]{1,64}$"))
        .examples([json!("5f0c2a9e-order-1")]);
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "A repetition with the same key within 24 hours gets the first answer again, with \
             `Idempotent-Replayed: true`, and has no second effect.",
        ))
        .schema(Some(key))
}

fn if_match() -> ParameterBuilder {
    let tag = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^\"[0-9]{1,9}\"$"))
        .examples([json!("\"3\"")]);
    ParameterBuilder::new()
        .name("If-Match")
        .parameter_in(ParameterIn::Header)
        .required(Required::True)
        .description(Some(
            "The `ETag` that was read: only that version is changed.",
        ))
        .schema(Some(tag))
}

fn problem_schema() -> Schema {
    let field = ObjectBuilder::new()
        .property(
            "pointer",
            text("RFC 6901 pointer into the body, `?name` for the query."),
        )
        .property("code", text("Stable code."))
        .property("detail", text("For people."))
        .required("pointer")
        .required("code")
        .required("detail");
    let status = ObjectBuilder::new().schema_type(Type::Integer);
    ObjectBuilder::new()
        .description(Some("Problem details as in RFC 9457."))
        .property("type", text("A URN that names the code."))
        .property("title", text("The status in words."))
        .property("status", status)
        .property("detail", text("What happened and what to do next."))
        .property("instance", text("The path of the request."))
        .property("code", text("Stable code; branch on this."))
        .property("errors", ArrayBuilder::new().items(field))
        .property("request_id", text("Quote it when you report the problem."))
        .required("type")
        .required("title")
        .required("status")
        .required("detail")
        .required("instance")
        .required("code")
        .required("request_id")
        .into()
}

fn dialect_schema() -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    let errors = ObjectBuilder::new().description(Some(
        "By field, nested as the body is: `{name: {_errors: [{code, message}]}}`.",
    ));
    ObjectBuilder::new()
        .description(Some("An error of the chat dialect."))
        .property("code", number)
        .property("message", text("For people."))
        .property("errors", errors)
        .property(
            "retry_after",
            ObjectBuilder::new().schema_type(Type::Number),
        )
        .property("global", ObjectBuilder::new().schema_type(Type::Boolean))
        .required("message")
        .into()
}

fn bearer() -> SecurityScheme {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("An access token."));
    SecurityScheme::Http(scheme.build())
}

fn bot() -> SecurityScheme {
    let value = ApiKeyValue::with_description("Authorization", "`Bot <token>`, chat surface only.");
    SecurityScheme::ApiKey(ApiKey::Header(value))
}

fn session() -> SecurityScheme {
    let value = ApiKeyValue::with_description(
        HOST_COOKIE,
        "The session of a page of this server, which sends `X-CSRF-Token` with everything but \
         GET. Ignored beside an `Authorization` header.",
    );
    SecurityScheme::ApiKey(ApiKey::Cookie(value))
}

fn key() -> SecurityScheme {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("myd_sk_…")
        .description(Some(
            "An API key that holds the scope, not on the chat surface.",
        ));
    SecurityScheme::Http(scheme.build())
}
