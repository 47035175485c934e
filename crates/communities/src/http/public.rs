//! The rows of ways in: invites, and communities that anybody may find.

use std::time::Duration;

use kernel::Rule;
use web_kit::{Doc, Policy};

use super::{Build, discovery, invites};
use crate::error::{
    COMMUNITIES_MAX, COMMUNITY_CHANNEL_KIND, COMMUNITY_CHANNEL_UNKNOWN, COMMUNITY_PEOPLE_ONLY,
    COMMUNITY_PERMISSION_MISSING, COMMUNITY_UNKNOWN, INVITE_UNKNOWN, INVITES_MAX, JOINS_PAUSED,
    MEMBER_BANNED,
};
use crate::requests::CreateInvite;
use crate::{CommunityPreview, Discovered, Invite, Joined, JoinedPublic};

/// Joining is rare for people and the tool of spammers.
const JOIN: Rule = Rule::new("community_join", 10, Duration::from_secs(600));
const INVITE: Rule = Rule::new("invite_create", 10, Duration::from_secs(60));
/// A stranger's look at a code; slow enough that guessing is hopeless.
const LOOK: Rule = Rule::new("invite_look", 60, Duration::from_secs(60));
const DISCOVER: Rule = Rule::new("community_discover", 20, Duration::from_secs(10));

pub(super) fn routes(routes: Build) -> Build {
    discovery_routes(invite_routes(routes))
}

fn discovery_routes(routes: Build) -> Build {
    use discovery as at;
    routes
        .get(
            "/api/v10/discoverable-guilds",
            at::discover,
            Doc::new("Find public communities")
                .limit(DISCOVER)
                .query::<at::DiscoveryPage>()
                .returns::<Discovered>(200),
        )
        .get(
            "/api/v10/guilds/{guild_id}/preview",
            at::get_preview,
            Doc::new("See a public community from outside")
                .returns::<CommunityPreview>(200)
                .errors(&[&COMMUNITY_UNKNOWN]),
        )
        .put(
            "/api/v10/guilds/{guild_id}/members/@me",
            at::join_public,
            Doc::new("Join a public community")
                .limit(JOIN)
                .returns::<JoinedPublic>(200)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &MEMBER_BANNED,
                    &JOINS_PAUSED,
                    &COMMUNITIES_MAX,
                    &COMMUNITY_PEOPLE_ONLY,
                ]),
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
                    &JOINS_PAUSED,
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
