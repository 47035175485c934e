//! The table of routes on top of every `http.rs`.
//!
//! One row says method, path, handler and everything a client, a guard or a test must know about
//! the operation. The router, the OpenAPI document and the authorization matrix are made from it.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use kernel::{ErrorRow, PlatformRole, Rule};
use serde_json::Value;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{Ref, Schema};
use utoipa::openapi::{RefOr, Required};
use utoipa::{IntoParams, ToSchema};

use crate::demands::{Acting, Demands, Login, Policy, Whom};
use crate::guard::{self, Guard};
use crate::render::is_dialect;

/// The schemas a document needs, by name.
pub(crate) type Schemas = Vec<(String, RefOr<Schema>)>;

/// What becomes of an operation that changes something while the disk is nearly full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// 507.
    Refused,
    /// It goes on.
    Served,
}

/// What the documentation and the guard know about one operation.
#[derive(Clone)]
pub struct Doc {
    pub(crate) summary: &'static str,
    pub(crate) description: Option<&'static str>,
    pub(crate) demands: Demands,
    pub(crate) rule: Option<Rule>,
    pub(crate) max_body: Option<usize>,
    pub(crate) when_full: WhenFull,
    pub(crate) body: Option<(RefOr<Schema>, Option<Value>)>,
    pub(crate) body_required: Required,
    pub(crate) answers: Vec<(u16, Option<RefOr<Schema>>, Option<Value>)>,
    pub(crate) errors: Vec<&'static ErrorRow>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) once: bool,
    pub(crate) versioned: bool,
    pub(crate) schemas: Schemas,
}

impl Doc {
    /// Begins with a summary; one must be logged in unless a policy says otherwise.
    pub fn new(summary: &'static str) -> Self {
        Self {
            summary,
            description: None,
            demands: Demands::new(),
            rule: None,
            max_body: None,
            when_full: WhenFull::Refused,
            body: None,
            body_required: Required::True,
            answers: Vec::new(),
            errors: Vec::new(),
            parameters: Vec::new(),
            once: false,
            versioned: false,
            schemas: Vec::new(),
        }
    }

    /// Goes on while the disk is nearly full: it writes next to nothing, and without it people could
    /// neither read on nor sign a stolen device out.
    #[must_use]
    pub fn served_when_full(mut self) -> Self {
        self.when_full = WhenFull::Served;
        self
    }

    /// Adds a longer text, in Markdown.
    #[must_use]
    pub fn describe(mut self, text: &'static str) -> Self {
        self.description = Some(text);
        self
    }

    /// Says who may call.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.demands.policy = policy;
        self
    }

    /// Lets only people with one of these platform roles call, as themselves; the handler takes
    /// [`crate::Staff`]. A superadmin is always one.
    #[must_use]
    pub fn staff(self, roles: &'static [PlatformRole]) -> Self {
        self.policy(Policy::Staff(roles))
    }

    /// Demands that the login was proved in the last five minutes. It shuts bots, keys and
    /// impersonation out: none of them can prove anything again.
    #[must_use]
    pub fn step_up(mut self) -> Self {
        self.demands.login = Login::Fresh;
        self
    }

    /// Lets API keys call that hold this scope. Without one no key may.
    #[must_use]
    pub fn scope(mut self, scope: &'static str) -> Self {
        self.demands.scope = Some(scope);
        self
    }

    /// Lets only people call: no bots, no keys.
    #[must_use]
    pub fn people_only(mut self) -> Self {
        self.demands.whom = Whom::People;
        self
    }

    /// Refuses a member of staff who acts in a user's name.
    #[must_use]
    pub fn not_while_impersonating(mut self) -> Self {
        self.demands.acting = Acting::Refused;
        self
    }

    /// Limits how often one user (or network of strangers) may call, per major parameter.
    #[must_use]
    pub fn limit(mut self, rule: Rule) -> Self {
        self.rule = Some(rule);
        self
    }

    /// Replaces the general limit of the body's size.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = Some(bytes);
        self
    }

    /// Says what the JSON body is.
    #[must_use]
    pub fn body<T: ToSchema>(mut self) -> Self {
        self.body = Some((self.schema::<T>(), None));
        self
    }

    /// Says what the JSON body is that may be absent; the handler takes [`crate::OptionalJson`].
    #[must_use]
    pub fn optional_body<T: ToSchema>(mut self) -> Self {
        self.body_required = Required::False;
        self.body::<T>()
    }

    /// Gives an example of the body; after [`Doc::body`].
    #[must_use]
    pub fn example(mut self, value: Value) -> Self {
        if let Some((_, example)) = &mut self.body {
            *example = Some(value);
        }
        self
    }

    /// Says what a success answers.
    #[must_use]
    pub fn returns<T: ToSchema>(mut self, status: u16) -> Self {
        let schema = self.schema::<T>();
        self.answers.push((status, Some(schema), None));
        self
    }

    /// Says that a success answers a JSON array.
    #[must_use]
    pub fn returns_list<T: ToSchema>(mut self, status: u16) -> Self {
        let items = self.schema::<T>();
        let list = utoipa::openapi::schema::ArrayBuilder::new()
            .items(items)
            .build();
        self.answers
            .push((status, Some(Schema::Array(list).into()), None));
        self
    }

    /// Says that a success answers a cursor page, [`kernel::Page`].
    #[must_use]
    pub fn returns_page<T: ToSchema>(mut self, status: u16) -> Self {
        let items = self.schema::<T>();
        self.answers
            .push((status, Some(crate::openapi::page_of(items)), None));
        self
    }

    /// Gives an example of the last answer; after [`Doc::returns`].
    #[must_use]
    pub fn answer_example(mut self, value: Value) -> Self {
        if let Some((_, _, example)) = self.answers.last_mut() {
            *example = Some(value);
        }
        self
    }

    /// Says that a success answers nothing, usually 204.
    #[must_use]
    pub fn returns_nothing(mut self, status: u16) -> Self {
        self.answers.push((status, None, None));
        self
    }

    /// Lists the operation's own errors; those of policy, body and limit are added by themselves.
    #[must_use]
    pub fn errors(mut self, rows: &[&'static ErrorRow]) -> Self {
        self.errors.extend_from_slice(rows);
        self
    }

    /// Says which query parameters there are.
    #[must_use]
    pub fn query<T: IntoParams>(mut self) -> Self {
        self.parameters
            .extend(T::into_params(|| Some(ParameterIn::Query)));
        self
    }

    /// Says that the operation takes `Idempotency-Key`; its handler takes [`crate::Once`].
    #[must_use]
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Says that the operation changes one version and demands `If-Match`.
    #[must_use]
    pub fn versioned(mut self) -> Self {
        self.versioned = true;
        self
    }

    fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let schema = T::schema();
        T::schemas(&mut self.schemas);
        match &schema {
            // Named objects stand once in the document; text, numbers and arrays stand in place.
            RefOr::T(Schema::Object(object))
                if object.properties.is_empty() && object.enum_values.is_none() =>
            {
                schema
            }
            RefOr::T(Schema::Array(_)) => schema,
            _ => {
                let name = T::name().into_owned();
                self.schemas.push((name.clone(), schema));
                RefOr::Ref(Ref::from_schema_name(name))
            }
        }
    }
}

/// One operation, as lists and tests see it.
#[derive(Clone)]
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The template, such as `/v1/users/{user_id}`.
    pub path: &'static str,
    /// `context.handler`, unique.
    pub id: String,
    /// The context it belongs to.
    pub tag: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Who may call.
    pub policy: Policy,
    /// The same with everything else that is demanded of the caller.
    pub demands: Demands,
    /// How often.
    pub limit: Option<Rule>,
    /// Whether it speaks the chat dialect.
    pub dialect: bool,
    pub(crate) doc: Doc,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({:?})", self.method, self.path, self.policy)
    }
}

/// The finished table of a context: its router and what is known about it.
#[derive(Clone, Debug)]
pub struct Table {
    name: &'static str,
    router: Router,
    operations: Vec<Operation>,
}

impl Table {
    /// Begins the table of a context whose handlers take `State<S>`.
    #[expect(
        clippy::new_ret_no_self,
        reason = "a table is finished by `Routes::build`"
    )]
    pub fn new<S>(name: &'static str, state: S) -> Routes<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        Routes {
            name,
            state,
            router: Router::new(),
            operations: Vec::new(),
        }
    }

    /// Returns the context's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the router, to be merged with others and wrapped by [`crate::stack`].
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Returns all operations, in the order of the table.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Names of schemas that stand for different things in these tables. The document has one of
    /// them for all, so there may be none.
    pub fn clashes(tables: &[&Self]) -> Vec<String> {
        crate::openapi::clashes(tables)
    }

    /// Makes the OpenAPI document of several tables.
    pub fn openapi(tables: &[&Self]) -> utoipa::openapi::OpenApi {
        crate::openapi::openapi(tables)
    }
}

/// A table while its rows are being written.
#[derive(Debug)]
pub struct Routes<S> {
    name: &'static str,
    state: S,
    router: Router<S>,
    operations: Vec<Operation>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// Adds a GET; HEAD comes with it.
    #[must_use]
    pub fn get<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        doc: Doc,
    ) -> Self {
        self.add(Method::GET, MethodFilter::GET, path, handler, doc)
    }

    /// Adds a POST.
    #[must_use]
    pub fn post<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        doc: Doc,
    ) -> Self {
        self.add(Method::POST, MethodFilter::POST, path, handler, doc)
    }

    /// Adds a PUT.
    #[must_use]
    pub fn put<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        doc: Doc,
    ) -> Self {
        self.add(Method::PUT, MethodFilter::PUT, path, handler, doc)
    }

    /// Adds a PATCH.
    #[must_use]
    pub fn patch<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        doc: Doc,
    ) -> Self {
        self.add(Method::PATCH, MethodFilter::PATCH, path, handler, doc)
    }

    /// Adds a DELETE.
    #[must_use]
    pub fn delete<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        doc: Doc,
    ) -> Self {
        self.add(Method::DELETE, MethodFilter::DELETE, path, handler, doc)
    }

    /// Finishes the table.
    pub fn build(self) -> Table {
        Table {
            name: self.name,
            router: self.router.with_state(self.state),
            operations: self.operations,
        }
    }

    fn add<H: Handler<T, S>, T: 'static>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &'static str,
        handler: H,
        doc: Doc,
    ) -> Self {
        let guard = Guard::new(&method, path, &doc);
        let guard = axum::middleware::from_fn_with_state(Arc::new(guard), guard::run);
        self.router = self
            .router
            .route(path, on(filter, handler).route_layer(guard));
        self.operations.push(Operation {
            method,
            path,
            id: format!("{}.{}", self.name, function_name::<H>()),
            tag: self.name,
            summary: doc.summary,
            policy: doc.demands.policy,
            demands: doc.demands,
            limit: doc.rule,
            dialect: is_dialect(path),
            doc,
        });
        self
    }
}

impl<S: Clone + Send + Sync + 'static> From<Routes<S>> for Table {
    fn from(routes: Routes<S>) -> Self {
        routes.build()
    }
}

/// The last part of a handler's type name, which for a function is its name.
fn function_name<H>() -> &'static str {
    let name = std::any::type_name::<H>();
    name.rsplit("::")
        .find(|part| !part.starts_with('{'))
        .unwrap_or(name)
}
