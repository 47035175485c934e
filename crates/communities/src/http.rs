//! The routes of communities, in the chat dialect.

mod audit_log;
mod automod;
mod bans;
mod channels;
mod communities;
mod discovery;
mod emojis;
mod expressions;
mod extract;
mod invites;
mod members;
mod moderation;
mod public;
mod reports;
mod roles;
mod safety;
mod statistics;
mod templates;
mod templating;

use std::sync::Arc;
use std::time::Duration;

use contracts::communities::{Channel, Guild, Member, Role};
use kernel::Rule;
use kernel::failure::STEP_UP_REQUIRED;
use web_kit::{Doc, Routes, Table};

use crate::error::{
    COMMUNITIES_MAX, COMMUNITY_CHANNEL_KIND, COMMUNITY_CHANNEL_UNKNOWN, COMMUNITY_CHANNELS_MAX,
    COMMUNITY_OWNER_ONLY, COMMUNITY_PEOPLE_ONLY, COMMUNITY_PERMISSION_MISSING, COMMUNITY_UNKNOWN,
    COMMUNITY_USER_UNKNOWN, MEMBER_QUARANTINED, MEMBER_UNKNOWN, OVERWRITE_UNKNOWN,
    OWNER_CANNOT_LEAVE, PERMISSION_NOT_HELD, ROLE_FIXED, ROLE_HIERARCHY, ROLE_UNKNOWN, ROLES_MAX,
};
use crate::requests::{
    CreateChannel, CreateCommunity, MoveRole, PutOverwrite, RoleRequest, TransferOwnership,
    UpdateChannel, UpdateCommunity, UpdateMember,
};
use crate::{Communities, CommunityCard};

const CREATE: Rule = Rule::new("community_create", 10, Duration::from_secs(600));
const SEARCH: Rule = Rule::new("member_search", 10, Duration::from_secs(10));
/// Walks all members.
const COUNT: Rule = Rule::new("member_count", 10, Duration::from_secs(10));
const STATE: &str = "communities";

type Build = Routes<Arc<Communities>>;

/// The table of routes.
pub fn table(this: Arc<Communities>) -> Table {
    let routes = Table::new(STATE, this);
    let routes = community_routes(routes);
    let routes = own_routes(routes);
    let routes = channel_routes(routes);
    let routes = overwrite_routes(routes);
    let routes = role_routes(routes);
    let routes = member_routes(routes);
    let routes = member_change_routes(routes);
    let routes = moderation::routes(routes);
    let routes = safety::routes(routes);
    let routes = expressions::routes(routes);
    let routes = templating::routes(routes);
    public::routes(routes).build()
}

fn community_routes(routes: Build) -> Build {
    use communities as at;
    routes
        .post(
            "/api/v10/guilds",
            at::create_community,
            Doc::new("Make a community")
                .limit(CREATE)
                .once()
                .body::<CreateCommunity>()
                .returns::<Guild>(201)
                .errors(&[&COMMUNITIES_MAX, &COMMUNITY_PEOPLE_ONLY]),
        )
        .get(
            "/api/v10/guilds/{guild_id}",
            at::get_community,
            Doc::new("Read a community")
                .query::<at::Counts>()
                .returns::<at::CountedGuild>(200)
                .errors(&[&COMMUNITY_UNKNOWN]),
        )
        .patch(
            "/api/v10/guilds/{guild_id}",
            at::update_community,
            Doc::new("Change a community, or hand it over")
                .max_body(crate::icons::MAX_BODY)
                .body::<UpdateCommunity>()
                .returns::<Guild>(200)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &COMMUNITY_OWNER_ONLY,
                    &MEMBER_UNKNOWN,
                    &COMMUNITY_USER_UNKNOWN,
                    &STEP_UP_REQUIRED,
                ]),
        )
        .delete(
            "/api/v10/guilds/{guild_id}",
            at::delete_community,
            Doc::new("Delete a community")
                .returns_nothing(204)
                .errors(&[&COMMUNITY_UNKNOWN, &COMMUNITY_OWNER_ONLY]),
        )
        .put(
            "/api/v10/guilds/{guild_id}/owner",
            at::transfer_community,
            Doc::new("Hand a community over")
                .step_up()
                .body::<TransferOwnership>()
                .returns::<Guild>(200)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &COMMUNITY_OWNER_ONLY,
                    &MEMBER_UNKNOWN,
                    &COMMUNITY_USER_UNKNOWN,
                ]),
        )
}

fn own_routes(routes: Build) -> Build {
    use communities as at;
    routes
        .get(
            "/api/v10/users/@me/guilds",
            at::list_own_communities,
            Doc::new("List the caller's communities")
                .query::<at::OwnPage>()
                .returns_list::<CommunityCard>(200),
        )
        .delete(
            "/api/v10/users/@me/guilds/{guild_id}",
            at::leave_community,
            Doc::new("Leave a community")
                .returns_nothing(204)
                .errors(&[&COMMUNITY_UNKNOWN, &OWNER_CANNOT_LEAVE]),
        )
}

fn channel_routes(routes: Build) -> Build {
    use channels as at;
    routes
        .get(
            "/api/v10/guilds/{guild_id}/channels",
            at::list_channels,
            Doc::new("List the channels the caller sees")
                .returns_list::<Channel>(200)
                .errors(&[&COMMUNITY_UNKNOWN]),
        )
        .post(
            "/api/v10/guilds/{guild_id}/channels",
            at::create_channel,
            Doc::new("Make a channel")
                .body::<CreateChannel>()
                .returns::<Channel>(201)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &PERMISSION_NOT_HELD,
                    &COMMUNITY_CHANNELS_MAX,
                ]),
        )
        .get(
            "/api/v10/channels/{channel_id}",
            at::get_channel,
            Doc::new("Read a channel of a community")
                .returns::<Channel>(200)
                .errors(&[&COMMUNITY_CHANNEL_UNKNOWN]),
        )
        .patch(
            "/api/v10/channels/{channel_id}",
            at::update_channel,
            Doc::new("Change a channel")
                .body::<UpdateChannel>()
                .returns::<Channel>(200)
                .errors(&[
                    &COMMUNITY_CHANNEL_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &PERMISSION_NOT_HELD,
                    &ROLE_HIERARCHY,
                    &COMMUNITY_CHANNEL_KIND,
                ]),
        )
        .delete(
            "/api/v10/channels/{channel_id}",
            at::delete_channel,
            Doc::new("Delete a channel")
                .returns::<Channel>(200)
                .errors(&[&COMMUNITY_CHANNEL_UNKNOWN, &COMMUNITY_PERMISSION_MISSING]),
        )
}

fn overwrite_routes(routes: Build) -> Build {
    use channels as at;
    routes
        .put(
            "/api/v10/channels/{channel_id}/permissions/{target_id}",
            at::put_overwrite,
            Doc::new("Set what a channel changes for a role or member")
                .body::<PutOverwrite>()
                .returns_nothing(204)
                .errors(&[
                    &COMMUNITY_CHANNEL_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &PERMISSION_NOT_HELD,
                    &ROLE_HIERARCHY,
                    &ROLE_UNKNOWN,
                    &MEMBER_UNKNOWN,
                ]),
        )
        .delete(
            "/api/v10/channels/{channel_id}/permissions/{target_id}",
            at::delete_overwrite,
            Doc::new("Take an overwrite away")
                .returns_nothing(204)
                .errors(&[
                    &COMMUNITY_CHANNEL_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &PERMISSION_NOT_HELD,
                    &ROLE_HIERARCHY,
                    &OVERWRITE_UNKNOWN,
                ]),
        )
}

fn role_routes(routes: Build) -> Build {
    use roles as at;
    routes
        .get(
            "/api/v10/guilds/{guild_id}/roles",
            at::list_roles,
            Doc::new("List roles")
                .returns_list::<Role>(200)
                .errors(&[&COMMUNITY_UNKNOWN]),
        )
        .get(
            "/api/v10/guilds/{guild_id}/roles/member-counts",
            at::count_members,
            Doc::new("Count the members of each role")
                .limit(COUNT)
                .returns::<at::RoleCounts>(200)
                .errors(&[&COMMUNITY_UNKNOWN]),
        )
        .post(
            "/api/v10/guilds/{guild_id}/roles",
            at::create_role,
            Doc::new("Make a role")
                .body::<RoleRequest>()
                .returns::<Role>(200)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &PERMISSION_NOT_HELD,
                    &ROLES_MAX,
                ]),
        )
        .patch(
            "/api/v10/guilds/{guild_id}/roles",
            at::move_roles,
            Doc::new("Order roles")
                .body::<Vec<MoveRole>>()
                .returns_list::<Role>(200)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &ROLE_UNKNOWN,
                    &ROLE_HIERARCHY,
                    &ROLE_FIXED,
                ]),
        )
        .patch(
            "/api/v10/guilds/{guild_id}/roles/{role_id}",
            at::update_role,
            Doc::new("Change a role")
                .body::<RoleRequest>()
                .returns::<Role>(200)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &ROLE_UNKNOWN,
                    &ROLE_HIERARCHY,
                    &PERMISSION_NOT_HELD,
                    &ROLE_FIXED,
                ]),
        )
        .delete(
            "/api/v10/guilds/{guild_id}/roles/{role_id}",
            at::delete_role,
            Doc::new("Delete a role").returns_nothing(204).errors(&[
                &COMMUNITY_UNKNOWN,
                &COMMUNITY_PERMISSION_MISSING,
                &ROLE_UNKNOWN,
                &ROLE_HIERARCHY,
                &ROLE_FIXED,
            ]),
        )
}

fn member_routes(routes: Build) -> Build {
    use members as at;
    let read = |summary| {
        Doc::new(summary)
            .returns::<Member>(200)
            .errors(&[&COMMUNITY_UNKNOWN, &MEMBER_UNKNOWN])
    };
    let list = |summary| {
        Doc::new(summary)
            .returns_list::<Member>(200)
            .errors(&[&COMMUNITY_UNKNOWN])
    };
    routes
        .get(
            "/api/v10/guilds/{guild_id}/members",
            at::list_members,
            list("List members by id").query::<at::MemberPage>(),
        )
        .get(
            "/api/v10/guilds/{guild_id}/members/search",
            at::search_members,
            list("Find members by the beginning of their names")
                .limit(SEARCH)
                .query::<at::MemberSearch>(),
        )
        .get(
            "/api/v10/guilds/{guild_id}/members/@me",
            at::get_own_member,
            read("Read the caller's own member"),
        )
        .get(
            "/api/v10/guilds/{guild_id}/members/{user_id}",
            at::get_member,
            read("Read a member"),
        )
}

fn member_change_routes(routes: Build) -> Build {
    use members as at;
    let change = |summary| {
        Doc::new(summary).errors(&[
            &COMMUNITY_UNKNOWN,
            &MEMBER_UNKNOWN,
            &COMMUNITY_PERMISSION_MISSING,
            &ROLE_HIERARCHY,
            &ROLE_UNKNOWN,
            &ROLE_FIXED,
            &MEMBER_QUARANTINED,
        ])
    };
    let update = |summary| {
        change(summary)
            .body::<UpdateMember>()
            .returns::<Member>(200)
    };
    routes
        .patch(
            "/api/v10/guilds/{guild_id}/members/@me",
            at::update_own_member,
            update("Change the caller's own nickname"),
        )
        .patch(
            "/api/v10/guilds/{guild_id}/members/{user_id}",
            at::update_member,
            update("Change a member's nickname, roles or time-out"),
        )
        .delete(
            "/api/v10/guilds/{guild_id}/members/{user_id}",
            at::kick_member,
            Doc::new("Remove a member").returns_nothing(204).errors(&[
                &COMMUNITY_UNKNOWN,
                &MEMBER_UNKNOWN,
                &COMMUNITY_PERMISSION_MISSING,
                &ROLE_HIERARCHY,
            ]),
        )
        .put(
            "/api/v10/guilds/{guild_id}/members/{user_id}/roles/{role_id}",
            at::add_role,
            change("Give a role").returns_nothing(204),
        )
        .delete(
            "/api/v10/guilds/{guild_id}/members/{user_id}/roles/{role_id}",
            at::remove_role,
            change("Take a role").returns_nothing(204),
        )
}
