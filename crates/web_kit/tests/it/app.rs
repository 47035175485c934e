//! A small context in both trees, with one operation per rule.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use kernel::failure::{FORBIDDEN, INTERNAL, NOT_FOUND, RATE_LIMITED, UNAVAILABLE};
use kernel::{ErrorKind, ErrorRow, FieldError, ManualClock, Page, PlatformRole, Rule, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use web_kit::{
    Caller, Created, Doc, Json, Meta, NoContent, Once, OptionalJson, Path, Policy, Public, Query,
    Replayed, Result, Routes, Staff, Table,
};

pub(crate) const SLOWMODE: ErrorRow = ErrorRow {
    code: "SLOWMODE",
    kind: ErrorKind::RateLimited,
    dialect: 20016,
    en: "this channel is in slow mode",
    tr: "bu kanal yavaş modda",
};

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewItem {
    /// Its name.
    name: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Tag {
    weight: u8,
}

#[derive(Debug, Serialize, ToSchema)]
struct Item {
    id: UserId,
    name: String,
}

#[derive(Debug, Deserialize, IntoParams)]
struct Search {
    /// At most this many.
    limit: Option<u8>,
    query: String,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
struct Message {
    #[serde(default)]
    content: String,
}

type Context = State<Arc<()>>;

pub(crate) fn table() -> Table {
    let public = || Doc::new("Public").policy(Policy::Public);
    let caller = || Doc::new("For callers").policy(Policy::Caller);
    let two = Rule::new("two", 2, Duration::from_secs(10));
    let five = Rule::new("send", 5, Duration::from_secs(5));
    let routes = Table::new("sample", Arc::new(()))
        .get("/v1/public", hello, public().returns::<Value>(200))
        .get("/v1/me", me, caller().returns::<Item>(200))
        .post(
            "/v1/items",
            create,
            caller().body::<NewItem>().once().returns::<Item>(201),
        )
        .get(
            "/v1/items",
            list,
            public().query::<Search>().returns_page::<Item>(200),
        )
        .get(
            "/v1/items/{item_id}",
            find,
            public().errors(&[&NOT_FOUND]).returns::<Item>(200),
        )
        .delete("/v1/items/{item_id}", remove, caller().returns_nothing(204))
        .post(
            "/v1/echo",
            echo,
            public().body::<NewItem>().returns::<NewItem>(200),
        )
        .post(
            "/v1/small",
            echo,
            public()
                .max_body(64)
                .body::<NewItem>()
                .returns::<NewItem>(200),
        )
        .post("/v1/always", echo, public().served_when_full())
        .post(
            "/v1/optional",
            optional,
            public().optional_body::<Message>().returns::<Value>(200),
        )
        .get("/v1/fields", fields, public())
        .get("/v1/panics", panics, public())
        .get("/v1/breaks", breaks, public())
        .get("/v1/away", away, public())
        .get("/v1/limited", hello, public().limit(two))
        .get("/v1/limited-caller", me, caller().limit(two))
        .get("/v1/disagrees", me, public())
        .get("/v1/meta", meta, public())
        .get("/v1/large", large, public())
        .get("/v1/undeclared", me, Doc::new("No policy given"))
        .get("/api/v10/users/@me", me, caller().returns::<Item>(200))
        .post(
            "/api/v10/channels/{channel_id}/messages",
            send,
            caller().limit(five).body::<Message>(),
        )
        .put(
            "/api/v10/channels/{channel_id}/pins/{message_id}",
            pin,
            caller(),
        )
        .get("/api/v10/fields", fields, public())
        .get("/api/v10/panics", panics, public())
        .get("/api/v10/forbidden", forbidden, public())
        .get("/api/v10/slowmode", slowmode, public())
        .get("/api/v10/away", away, public());
    demanding(routes).build()
}

/// Operations that demand more of their callers than to be logged in.
fn demanding(routes: Routes<Arc<()>>) -> Routes<Arc<()>> {
    let caller = || Doc::new("For some callers");
    routes
        .get(
            "/v1/staff",
            staff,
            Doc::new("For support").staff(&[PlatformRole::Support]),
        )
        .get(
            "/v1/staff-disagrees",
            me,
            Doc::new("For support").staff(&[PlatformRole::Support]),
        )
        .get("/v1/caller-disagrees", staff, caller())
        .get("/v1/fresh", me, caller().step_up())
        .get("/v1/scoped", me, caller().scope("items:read"))
        .get("/v1/people", me, caller().people_only())
        .get("/v1/themselves", me, caller().not_while_impersonating())
        .get("/api/v10/people", me, caller().people_only())
}

pub(crate) fn clock() -> Arc<ManualClock> {
    ManualClock::new("2026-11-20T07:00:00Z".parse().unwrap())
}

pub(crate) fn router() -> Router {
    testkit::http::app(table().router(), clock()).unwrap()
}

async fn hello(_: Public, _: Context) -> Json<Value> {
    Json(json!({ "hello": "world" }))
}

async fn me(caller: Caller, _: Context) -> Json<Value> {
    Json(json!({ "id": caller.user, "bot": caller.is_bot() }))
}

async fn staff(staff: Staff, _: Context) -> Json<Value> {
    let roles: Vec<_> = staff.roles().iter().map(|role| role.word()).collect();
    Json(json!({ "id": staff.user, "roles": roles, "finance": staff.is(PlatformRole::Finance) }))
}

async fn create(_: Caller, once: Once<NewItem>) -> Replayed<Value> {
    let hash = once
        .once
        .as_ref()
        .map(|once| once.request_hash.map(|b| format!("{b:02x}")).concat());
    let key = once.once.map(|once| once.key);
    let replayed = key.as_deref() == Some("again");
    let body = json!({ "id": "1", "name": once.body.name, "key": key, "hash": hash });
    Replayed {
        status: StatusCode::CREATED,
        body,
        replayed,
    }
}

async fn list(_: Public, Query(search): Query<Search>) -> Json<Page<Value>> {
    let items = vec![json!({ "limit": search.limit, "query": search.query })];
    Json(Page {
        items,
        next_cursor: None,
    })
}

async fn find(_: Public, Path(id): Path<UserId>) -> Result<Created<Item>> {
    if id.get() == 404 {
        return Err(NOT_FOUND.fail().into());
    }
    Ok(Created(Item {
        id,
        name: "found".to_owned(),
    }))
}

async fn remove(_: Caller, Path(_): Path<UserId>) -> NoContent {
    NoContent
}

async fn echo(_: Public, Json(item): Json<NewItem>) -> Json<NewItem> {
    Json(item)
}

async fn optional(_: Public, OptionalJson(message): OptionalJson<Message>) -> Json<Value> {
    Json(json!({ "content": message.content }))
}

async fn fields(_: Public) -> Result<NoContent> {
    let fields = vec![
        FieldError::new(
            "/content",
            "BASE_TYPE_MAX_LENGTH",
            "at most 4000 characters",
        ),
        FieldError::new("/embeds/0/title", "BASE_TYPE_REQUIRED", "required"),
    ];
    Err(kernel::failure::INVALID_REQUEST
        .fail()
        .fields(fields)
        .extra("hint", "shorten")
        .into())
}

async fn panics(_: Public) -> NoContent {
    panic!("secret-of-the-panic")
}

async fn breaks(_: Public) -> Result<NoContent> {
    Err(INTERNAL.fail().because("secret-of-the-database").into())
}

async fn away(_: Public) -> Result<NoContent> {
    let wait = Duration::from_millis(1_200);
    Err(UNAVAILABLE
        .fail()
        .retry_after(wait)
        .because("secret-address:5432")
        .into())
}

async fn meta(_: Public, meta: Meta) -> Json<Value> {
    Json(json!({ "id": meta.request_id, "ip": meta.ip, "agent": meta.user_agent }))
}

async fn large(_: Public) -> Vec<u8> {
    vec![b'x'; 32 * 1024 * 1024]
}

async fn send(
    _: Caller,
    Path(channel): Path<UserId>,
    Json(message): Json<Message>,
) -> Result<Json<Value>> {
    Ok(Json(
        json!({ "channel_id": channel, "content": message.content }),
    ))
}

async fn pin(_: Caller, Path((_, _)): Path<(UserId, UserId)>, Json(_): Json<Message>) -> NoContent {
    NoContent
}

async fn forbidden(_: Public) -> Result<NoContent> {
    Err(FORBIDDEN.fail().into())
}

async fn slowmode(_: Public) -> Result<NoContent> {
    let wait = Duration::from_millis(850);
    assert_ne!(SLOWMODE.code, RATE_LIMITED.code);
    Err(SLOWMODE.fail().retry_after(wait).into())
}
