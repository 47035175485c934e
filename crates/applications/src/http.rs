//! The routes of applications, in the chat dialect.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use kernel::{ApplicationId, CommunityId, Rule};
use web_kit::{Caller, Created, Doc, Json, NoContent, Path, Result, Routes, Table};

use crate::Applications;
use crate::error::{
    APPLICATION_BOTS_ONLY, APPLICATION_PEOPLE_ONLY, TOO_MANY_APPLICATIONS, UNKNOWN_APPLICATION,
    UNKNOWN_INSTALL,
};
use crate::model::{ApplicationObject, Edit, Install, InstallRequest, NewApplication, TokenObject};

const CREATE: Rule = Rule::new("create_application", 10, Duration::from_secs(600));
const RESET: Rule = Rule::new("reset_bot_token", 10, Duration::from_secs(600));

type App = State<Arc<Applications>>;

/// The table.
pub(crate) fn routes(applications: Arc<Applications>) -> Table {
    let rows = Table::new("applications", applications)
        .post("/api/v10/applications", create, create_doc())
        .get(
            "/api/v10/applications",
            list,
            Doc::new("List your applications")
                .returns_list::<ApplicationObject>(200)
                .errors(&[&APPLICATION_PEOPLE_ONLY]),
        )
        .get("/api/v10/applications/@me", own, own_doc())
        .get("/api/v10/oauth2/applications/@me", own, own_doc())
        .get(
            "/api/v10/applications/{application_id}",
            find,
            Doc::new("Get one of your applications")
                .returns::<ApplicationObject>(200)
                .errors(&[&UNKNOWN_APPLICATION, &APPLICATION_PEOPLE_ONLY]),
        )
        .patch(
            "/api/v10/applications/{application_id}",
            edit,
            Doc::new("Change one of your applications")
                .body::<Edit>()
                .returns::<ApplicationObject>(200)
                .errors(&[&UNKNOWN_APPLICATION, &APPLICATION_PEOPLE_ONLY]),
        )
        .delete(
            "/api/v10/applications/{application_id}",
            delete,
            Doc::new("Delete one of your applications")
                .describe("Its token is void at once and its bot leaves every community.")
                .returns_nothing(204)
                .errors(&[&UNKNOWN_APPLICATION, &APPLICATION_PEOPLE_ONLY]),
        )
        .post(
            "/api/v10/applications/{application_id}/bot/reset-token",
            reset_token,
            Doc::new("Replace the bot's token")
                .describe("The new one is shown this once; sockets of the old one close.")
                .limit(RESET)
                .returns::<TokenObject>(200)
                .errors(&[&UNKNOWN_APPLICATION, &APPLICATION_PEOPLE_ONLY]),
        );
    installs(rows).build()
}

fn installs(rows: Routes<Arc<Applications>>) -> Routes<Arc<Applications>> {
    rows.get(
        "/api/v10/applications/{application_id}/installs/{guild_id}",
        find_install,
        Doc::new("See whether one of your applications is installed in a community")
            .returns::<Install>(200)
            .errors(&[
                &UNKNOWN_APPLICATION,
                &UNKNOWN_INSTALL,
                &APPLICATION_PEOPLE_ONLY,
            ]),
    )
    .put(
        "/api/v10/applications/{application_id}/installs/{guild_id}",
        install,
        Doc::new("Install an application, or change the rights of its bot")
            .describe("Needs MANAGE_GUILD in the community, and every right that is given.")
            .body::<InstallRequest>()
            .returns::<Install>(200)
            .errors(&[&UNKNOWN_APPLICATION, &APPLICATION_PEOPLE_ONLY]),
    )
    .delete(
        "/api/v10/applications/{application_id}/installs/{guild_id}",
        uninstall,
        Doc::new("Take an application out of a community")
            .describe("Needs MANAGE_GUILD in the community.")
            .returns_nothing(204)
            .errors(&[&UNKNOWN_APPLICATION, &APPLICATION_PEOPLE_ONLY]),
    )
}

fn create_doc() -> Doc {
    Doc::new("Make an application and its bot")
        .describe("`token` is shown in this answer only. An `Idempotency-Key` is ignored, because a stored answer would be a stored secret.")
        .limit(CREATE)
        .body::<NewApplication>()
        .returns::<ApplicationObject>(201)
        .errors(&[&TOO_MANY_APPLICATIONS, &APPLICATION_PEOPLE_ONLY])
}

fn own_doc() -> Doc {
    Doc::new("Get the calling bot's application")
        .returns::<ApplicationObject>(200)
        .errors(&[&APPLICATION_BOTS_ONLY])
}

async fn create(
    State(app): App,
    caller: Caller,
    Json(new): Json<NewApplication>,
) -> Result<Created<ApplicationObject>> {
    Ok(Created(app.create_application(&caller, new).await?))
}

async fn list(State(app): App, caller: Caller) -> Result<Json<Vec<ApplicationObject>>> {
    Ok(Json(app.list_applications(&caller).await?))
}

async fn own(State(app): App, caller: Caller) -> Result<Json<ApplicationObject>> {
    Ok(Json(app.own_application(&caller).await?))
}

async fn find(
    State(app): App,
    caller: Caller,
    Path(id): Path<ApplicationId>,
) -> Result<Json<ApplicationObject>> {
    Ok(Json(app.application(&caller, id).await?))
}

async fn edit(
    State(app): App,
    caller: Caller,
    Path(id): Path<ApplicationId>,
    Json(edit): Json<Edit>,
) -> Result<Json<ApplicationObject>> {
    Ok(Json(app.edit_application(&caller, id, edit).await?))
}

async fn delete(
    State(app): App,
    caller: Caller,
    Path(id): Path<ApplicationId>,
) -> Result<NoContent> {
    app.delete_application(&caller, id).await?;
    Ok(NoContent)
}

async fn reset_token(
    State(app): App,
    caller: Caller,
    Path(id): Path<ApplicationId>,
) -> Result<Json<TokenObject>> {
    Ok(Json(TokenObject {
        token: app.reset_token(&caller, id).await?,
    }))
}

async fn find_install(
    State(app): App,
    caller: Caller,
    Path((id, community)): Path<(ApplicationId, CommunityId)>,
) -> Result<Json<Install>> {
    Ok(Json(app.find_install(&caller, id, community).await?))
}

async fn install(
    State(app): App,
    caller: Caller,
    Path((id, community)): Path<(ApplicationId, CommunityId)>,
    Json(request): Json<InstallRequest>,
) -> Result<Json<Install>> {
    Ok(Json(
        app.install(&caller, id, community, request.permissions)
            .await?,
    ))
}

async fn uninstall(
    State(app): App,
    caller: Caller,
    Path((id, community)): Path<(ApplicationId, CommunityId)>,
) -> Result<NoContent> {
    app.uninstall(&caller, id, community).await?;
    Ok(NoContent)
}
