//! The rows of templates.

use std::time::Duration;

use contracts::communities::Guild;
use kernel::Rule;
use serde_json::json;
use web_kit::Doc;

use super::{Build, CREATE, templates as at};
use crate::Template;
use crate::error::{
    COMMUNITIES_MAX, COMMUNITY_CHANNELS_MAX, COMMUNITY_PEOPLE_ONLY, COMMUNITY_PERMISSION_MISSING,
    COMMUNITY_UNKNOWN, ROLES_MAX, TEMPLATE_UNKNOWN, TEMPLATES_MAX,
};
use crate::requests::{CreateCommunity, CreateTemplate, UpdateTemplate};

/// A stranger's look at a code; slow enough that guessing is hopeless.
const LOOK: Rule = Rule::new("template_look", 60, Duration::from_secs(60));

pub(super) fn routes(routes: Build) -> Build {
    let routes = use_routes(routes);
    keep_routes(routes)
}

fn use_routes(routes: Build) -> Build {
    routes
        .get(
            "/api/v10/guilds/templates/{code}",
            at::get_template,
            Doc::new("See a template")
                .limit(LOOK)
                .returns::<Template>(200)
                .errors(&[&TEMPLATE_UNKNOWN]),
        )
        .post(
            "/api/v10/guilds/templates/{code}",
            at::use_template,
            Doc::new("Make a community from a template")
                .limit(CREATE)
                .once()
                .body::<CreateCommunity>()
                .example(json!({"name": "Galeri Meydanı"}))
                .returns::<Guild>(201)
                .errors(&[
                    &TEMPLATE_UNKNOWN,
                    &COMMUNITIES_MAX,
                    &COMMUNITY_PEOPLE_ONLY,
                    &ROLES_MAX,
                    &COMMUNITY_CHANNELS_MAX,
                ]),
        )
}

fn keep_routes(routes: Build) -> Build {
    let one = |summary| {
        Doc::new(summary).returns::<Template>(200).errors(&[
            &COMMUNITY_UNKNOWN,
            &COMMUNITY_PERMISSION_MISSING,
            &TEMPLATE_UNKNOWN,
        ])
    };
    routes
        .get(
            "/api/v10/guilds/{guild_id}/templates",
            at::list_templates,
            Doc::new("List templates")
                .returns_list::<Template>(200)
                .errors(&[&COMMUNITY_UNKNOWN, &COMMUNITY_PERMISSION_MISSING]),
        )
        .post(
            "/api/v10/guilds/{guild_id}/templates",
            at::create_template,
            Doc::new("Make a template of a community")
                .body::<CreateTemplate>()
                .returns::<Template>(200)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &TEMPLATES_MAX,
                ]),
        )
        .put(
            "/api/v10/guilds/{guild_id}/templates/{code}",
            at::sync_template,
            one("Bring a template up to date with its community"),
        )
        .patch(
            "/api/v10/guilds/{guild_id}/templates/{code}",
            at::update_template,
            one("Rename a template").body::<UpdateTemplate>(),
        )
        .delete(
            "/api/v10/guilds/{guild_id}/templates/{code}",
            at::delete_template,
            one("Delete a template"),
        )
}
