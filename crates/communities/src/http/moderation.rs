//! The rows of what moderators do.

use std::time::Duration;

use kernel::Rule;
use web_kit::Doc;

use super::{Build, bans as at};
use crate::error::{
    BAN_UNKNOWN, COMMUNITY_PERMISSION_MISSING, COMMUNITY_UNKNOWN, COMMUNITY_USER_UNKNOWN,
    NOBODY_BANNED, ROLE_FIXED, ROLE_HIERARCHY, ROLE_UNKNOWN,
};
use crate::requests::{BulkBanRequest, PruneRequest};
use crate::{AuditLog, Ban, BulkBan, Pruned, Statistics};

const BULK_BAN: Rule = Rule::new("bulk_ban", 5, Duration::from_secs(60));
const STATISTICS: Rule = Rule::new("statistics", 10, Duration::from_secs(10));
const PRUNE: Rule = Rule::new("prune", 10, Duration::from_secs(60));

pub(super) fn routes(routes: Build) -> Build {
    let routes = ban_routes(routes);
    let routes = many_routes(routes);
    audit_log_routes(routes)
}

fn ban_routes(routes: Build) -> Build {
    routes
        .get(
            "/api/v10/guilds/{guild_id}/bans",
            at::list_bans,
            Doc::new("List bans, lowest user id first")
                .query::<at::BanPage>()
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

fn many_routes(routes: Build) -> Build {
    let prune = |summary| {
        Doc::new(summary)
            .limit(PRUNE)
            .returns::<Pruned>(200)
            .errors(&[
                &COMMUNITY_UNKNOWN,
                &COMMUNITY_PERMISSION_MISSING,
                &ROLE_UNKNOWN,
                &ROLE_HIERARCHY,
                &ROLE_FIXED,
            ])
    };
    routes
        .post(
            "/api/v10/guilds/{guild_id}/bulk-ban",
            at::ban_users,
            Doc::new("Ban up to 200 users")
                .limit(BULK_BAN)
                .body::<BulkBanRequest>()
                .returns::<BulkBan>(200)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &NOBODY_BANNED,
                ]),
        )
        .get(
            "/api/v10/guilds/{guild_id}/prune",
            at::count_prune,
            prune("Count whom a prune would remove").query::<at::PruneQuery>(),
        )
        .post(
            "/api/v10/guilds/{guild_id}/prune",
            at::prune,
            prune("Remove members who have not written for days")
                .describe(
                    "Members without a role, or with none but `include_roles`, who neither joined \
                     nor wrote in the last `days`. At most 1,000 at once: ask again while the \
                     number is 1,000.",
                )
                .optional_body::<PruneRequest>(),
        )
}

fn audit_log_routes(routes: Build) -> Build {
    routes
        .get(
            "/api/v10/guilds/{guild_id}/statistics",
            super::statistics::get_statistics,
            Doc::new("Read who came, went and wrote")
                .limit(STATISTICS)
                .query::<super::statistics::StatisticsQuery>()
                .returns::<Statistics>(200)
                .errors(&[&COMMUNITY_UNKNOWN, &COMMUNITY_PERMISSION_MISSING]),
        )
        .get(
            "/api/v10/guilds/{guild_id}/audit-logs",
            super::audit_log::get_audit_log,
            Doc::new("Read what moderators did")
                .describe(
                    "Newest first; with `after` oldest first. At most one of `before`, `after`.",
                )
                .query::<super::audit_log::AuditPage>()
                .returns::<AuditLog>(200)
                .errors(&[&COMMUNITY_UNKNOWN, &COMMUNITY_PERMISSION_MISSING]),
        )
}
