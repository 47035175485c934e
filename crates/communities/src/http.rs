//! The routes of communities, in the chat dialect.

mod audit_log;
mod channels;
mod communities;
mod extract;
mod invites;
mod members;
mod roles;

use std::sync::Arc;
use std::time::Duration;

use contracts::communities::{Channel, Guild, Member, Role};
use kernel::Rule;
use web_kit::{Doc, Policy, Routes, Table};

use crate::error::{
    BAN_UNKNOWN, COMMUNITIES_MAX, COMMUNITY_CHANNEL_KIND, COMMUNITY_CHANNEL_UNKNOWN,
    COMMUNITY_CHANNELS_MAX, COMMUNITY_OWNER_ONLY, COMMUNITY_PEOPLE_ONLY,
    COMMUNITY_PERMISSION_MISSING, COMMUNITY_UNKNOWN, COMMUNITY_USER_UNKNOWN, INVITE_UNKNOWN,
    INVITES_MAX, MEMBER_BANNED, MEMBER_UNKNOWN, OVERWRITE_UNKNOWN, OWNER_CANNOT_LEAVE,
    PERMISSION_NOT_HELD, ROLE_FIXED, ROLE_HIERARCHY, ROLE_UNKNOWN, ROLES_MAX,
};
use crate::requests::{
    CreateChannel, CreateCommunity, CreateInvite, MoveRole, PutOverwrite, RoleRequest,
    UpdateChannel, UpdateCommunity, UpdateMember,
};
use crate::{AuditLog, Ban, Communities, CommunityCard, Invite, Joined};

/// Joining is rare for people and the tool of spammers.
const JOIN: Rule = Rule::new("community_join", 10, Duration::from_secs(600));
const CREATE: Rule = Rule::new("community_create", 10, Duration::from_secs(600));
const INVITE: Rule = Rule::new("invite_create", 10, Duration::from_secs(60));
/// A stranger's look at a code; slow enough that guessing is hopeless.
const LOOK: Rule = Rule::new("invite_look", 60, Duration::from_secs(60));
const SEARCH: Rule = Rule::new("member_search", 10, Duration::from_secs(10));
const STATE: &str = "communities";

type Build = Routes<Arc<Communities>>;

/// The table of routes.
pub fn table(this: Arc<Communities>) -> Table {
    let routes = Table::new(STATE, this);
    let routes = community_routes(routes);
    let routes = channel_routes(routes);
    let routes = overwrite_routes(routes);
    let routes = role_routes(routes);
    let routes = member_routes(routes);
    let routes = member_change_routes(routes);
    let routes = ban_routes(routes);
    let routes = invite_routes(routes);
    audit_log_routes(routes).build()
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
                .body::<UpdateCommunity>()
                .returns::<Guild>(200)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &COMMUNITY_OWNER_ONLY,
                    &MEMBER_UNKNOWN,
                    &COMMUNITY_USER_UNKNOWN,
                ]),
        )
        .delete(
            "/api/v10/guilds/{guild_id}",
            at::delete_community,
            Doc::new("Delete a community")
                .returns_nothing(204)
                .errors(&[&COMMUNITY_UNKNOWN, &COMMUNITY_OWNER_ONLY]),
        )
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

fn ban_routes(routes: Build) -> Build {
    use members as at;
    routes
        .get(
            "/api/v10/guilds/{guild_id}/bans",
            at::list_bans,
            Doc::new("List bans by user id")
                .query::<at::MemberPage>()
                .returns_list::<Ban>(200)
                .errors(&[&COMMUNITY_UNKNOWN, &COMMUNITY_PERMISSION_MISSING]),
        )
        .get(
            "/api/v10/guilds/{guild_id}/bans/{user_id}",
            at::get_ban,
            Doc::new("Read a ban").returns::<Ban>(200).errors(&[
                &COMMUNITY_UNKNOWN,
                &COMMUNITY_PERMISSION_MISSING,
                &BAN_UNKNOWN,
            ]),
        )
        .put(
            "/api/v10/guilds/{guild_id}/bans/{user_id}",
            at::ban_user,
            Doc::new("Ban a user").returns_nothing(204).errors(&[
                &COMMUNITY_UNKNOWN,
                &COMMUNITY_PERMISSION_MISSING,
                &ROLE_HIERARCHY,
                &COMMUNITY_USER_UNKNOWN,
            ]),
        )
        .delete(
            "/api/v10/guilds/{guild_id}/bans/{user_id}",
            at::unban_user,
            Doc::new("Lift a ban").returns_nothing(204).errors(&[
                &COMMUNITY_UNKNOWN,
                &COMMUNITY_PERMISSION_MISSING,
                &BAN_UNKNOWN,
            ]),
        )
}

fn audit_log_routes(routes: Build) -> Build {
    routes.get(
        "/api/v10/guilds/{guild_id}/audit-logs",
        audit_log::get_audit_log,
        Doc::new("Read what moderators did")
            .describe("Newest first; with `after` oldest first. At most one of `before`, `after`.")
            .query::<audit_log::AuditPage>()
            .returns::<AuditLog>(200)
            .errors(&[&COMMUNITY_UNKNOWN, &COMMUNITY_PERMISSION_MISSING]),
    )
}

fn invite_routes(routes: Build) -> Build {
    use invites as at;
    routes
        .post(
            "/api/v10/channels/{channel_id}/invites",
            at::create_invite,
            Doc::new("Make an invite")
                .limit(INVITE)
                .body::<CreateInvite>()
                .returns::<Invite>(200)
                .errors(&[
                    &COMMUNITY_CHANNEL_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &COMMUNITY_CHANNEL_KIND,
                    &INVITES_MAX,
                ]),
        )
        .get(
            "/api/v10/channels/{channel_id}/invites",
            at::list_channel_invites,
            Doc::new("List the invites to a channel")
                .returns_list::<Invite>(200)
                .errors(&[&COMMUNITY_CHANNEL_UNKNOWN, &COMMUNITY_PERMISSION_MISSING]),
        )
        .get(
            "/api/v10/guilds/{guild_id}/invites",
            at::list_invites,
            Doc::new("List the invites of a community")
                .returns_list::<Invite>(200)
                .errors(&[&COMMUNITY_UNKNOWN, &COMMUNITY_PERMISSION_MISSING]),
        )
        .get(
            "/api/v10/invites/{code}",
            at::get_invite,
            Doc::new("See what an invite leads to")
                .policy(Policy::Public)
                .limit(LOOK)
                .returns::<Invite>(200)
                .errors(&[&INVITE_UNKNOWN]),
        )
        .post(
            "/api/v10/invites/{code}",
            at::join,
            Doc::new("Join a community by an invite")
                .limit(JOIN)
                .returns::<Joined>(200)
                .errors(&[
                    &INVITE_UNKNOWN,
                    &MEMBER_BANNED,
                    &COMMUNITIES_MAX,
                    &COMMUNITY_PEOPLE_ONLY,
                ]),
        )
        .delete(
            "/api/v10/invites/{code}",
            at::delete_invite,
            Doc::new("Delete an invite")
                .returns::<Invite>(200)
                .errors(&[&INVITE_UNKNOWN, &COMMUNITY_PERMISSION_MISSING]),
        )
}
