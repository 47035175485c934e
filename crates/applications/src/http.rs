//! The routes of applications, in the chat dialect. Those of webhooks stand in a file of their own.

mod subscriptions;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use kernel::{ApplicationId, CommunityId, Rule};
use web_kit::{Caller, Created, Doc, Json, NoContent, Path, Result, Routes, Table};

use crate::Applications;
use crate::error::{
    APPLICATION_BOTS_ONLY, APPLICATION_COMMUNITY_UNKNOWN, APPLICATION_PEOPLE_ONLY,
    APPLICATION_UNKNOWN, APPLICATIONS_MAX, INSTALL_NOT_ALLOWED, INSTALL_UNKNOWN,
};
use crate::model::{
    Application, CreateApplication, Install, NewToken, NewlyMade, PutInstall, UpdateApplication,
};

const CREATE: Rule = Rule::new("application_create", 10, Duration::from_secs(600));
const RESET: Rule = Rule::new("bot_token_reset", 10, Duration::from_secs(600));

type App = State<Arc<Applications>>;
type Build = Routes<Arc<Applications>>;

/// The table of routes.
pub fn table(this: Arc<Applications>) -> Table {
    let routes = Table::new("applications", this);
    let routes = application_routes(routes);
    let routes = bot_routes(routes);
    let routes = install_routes(routes);
    let routes = webhooks::managed(routes);
    let routes = webhooks::by_token(routes);
    let routes = webhooks::executing(routes);
    let routes = webhooks::messages(routes);
    let routes = subscriptions::of_applications(routes);
    subscriptions::of_communities(routes).build()
}

fn application_routes(routes: Build) -> Build {
    let own = |summary| Doc::new(summary).errors(&[&APPLICATION_UNKNOWN, &APPLICATION_PEOPLE_ONLY]);
    routes
        .post(
            "/api/v10/applications",
            create_application,
            Doc::new("Make an application with its bot; the token is shown once")
                .limit(CREATE)
                .body::<CreateApplication>()
                .returns::<NewlyMade>(201)
                .errors(&[&APPLICATIONS_MAX, &APPLICATION_PEOPLE_ONLY]),
        )
        .get(
            "/api/v10/applications",
            list_applications,
            Doc::new("List the caller's applications")
                .returns_list::<Application>(200)
                .errors(&[&APPLICATION_PEOPLE_ONLY]),
        )
        .get(
            "/api/v10/applications/{application_id}",
            get_application,
            own("Read an application").returns::<Application>(200),
        )
        .patch(
            "/api/v10/applications/{application_id}",
            update_application,
            own("Change an application, or switch its privileged intents")
                .body::<UpdateApplication>()
                .returns::<Application>(200),
        )
        .delete(
            "/api/v10/applications/{application_id}",
            delete_application,
            own("Delete an application and its bot").returns_nothing(204),
        )
}

fn bot_routes(routes: Build) -> Build {
    let mine = |summary| {
        Doc::new(summary)
            .returns::<Application>(200)
            .errors(&[&APPLICATION_BOTS_ONLY])
    };
    routes
        .post(
            "/api/v10/applications/{application_id}/bot/reset-token",
            reset_token,
            Doc::new("Replace a bot's token; it is shown once")
                .limit(RESET)
                .returns::<NewToken>(200)
                .errors(&[&APPLICATION_UNKNOWN, &APPLICATION_PEOPLE_ONLY]),
        )
        .get(
            "/api/v10/applications/@me",
            get_own_application,
            mine("Read the application of the calling bot"),
        )
        .get(
            "/api/v10/oauth2/applications/@me",
            get_current_application,
            mine("The same, under the path some libraries use"),
        )
}

fn install_routes(routes: Build) -> Build {
    let there = |summary| {
        Doc::new(summary).errors(&[
            &APPLICATION_UNKNOWN,
            &APPLICATION_COMMUNITY_UNKNOWN,
            &INSTALL_NOT_ALLOWED,
            &APPLICATION_PEOPLE_ONLY,
        ])
    };
    routes
        .get(
            "/api/v10/applications/{application_id}/installs/{guild_id}",
            get_install,
            there("Read how an application is installed")
                .returns::<Install>(200)
                .errors(&[&INSTALL_UNKNOWN]),
        )
        .put(
            "/api/v10/applications/{application_id}/installs/{guild_id}",
            put_install,
            there("Install an application, or change its rights")
                .body::<PutInstall>()
                .returns::<Install>(200),
        )
        .delete(
            "/api/v10/applications/{application_id}/installs/{guild_id}",
            delete_install,
            there("Take an application out of a community")
                .returns_nothing(204)
                .errors(&[&INSTALL_UNKNOWN]),
        )
}

async fn create_application(
    State(app): App,
    caller: Caller,
    Json(new): Json<CreateApplication>,
) -> Result<Created<NewlyMade>> {
    Ok(Created(app.create_application(&caller, new).await?))
}

async fn list_applications(State(app): App, caller: Caller) -> Result<Json<Vec<Application>>> {
    Ok(Json(app.list_applications(&caller).await?))
}

async fn get_application(
    State(app): App,
    caller: Caller,
    Path(id): Path<ApplicationId>,
) -> Result<Json<Application>> {
    Ok(Json(app.application(&caller, id).await?))
}

async fn update_application(
    State(app): App,
    caller: Caller,
    Path(id): Path<ApplicationId>,
    Json(patch): Json<UpdateApplication>,
) -> Result<Json<Application>> {
    Ok(Json(app.update_application(&caller, id, patch).await?))
}

async fn delete_application(
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
) -> Result<Json<NewToken>> {
    Ok(Json(app.reset_token(&caller, id).await?))
}

async fn get_own_application(State(app): App, caller: Caller) -> Result<Json<Application>> {
    Ok(Json(app.application_of_bot(&caller).await?))
}

async fn get_current_application(State(app): App, caller: Caller) -> Result<Json<Application>> {
    Ok(Json(app.application_of_bot(&caller).await?))
}

async fn get_install(
    State(app): App,
    caller: Caller,
    Path((id, community)): Path<(ApplicationId, CommunityId)>,
) -> Result<Json<Install>> {
    Ok(Json(app.install(&caller, id, community).await?))
}

async fn put_install(
    State(app): App,
    caller: Caller,
    Path((id, community)): Path<(ApplicationId, CommunityId)>,
    Json(put): Json<PutInstall>,
) -> Result<Json<Install>> {
    Ok(Json(app.put_install(&caller, id, community, put).await?))
}

async fn delete_install(
    State(app): App,
    caller: Caller,
    Path((id, community)): Path<(ApplicationId, CommunityId)>,
) -> Result<NoContent> {
    app.delete_install(&caller, id, community).await?;
    Ok(NoContent)
}
