//! The rows of automatic moderation, reports and raids.

use std::time::Duration;

use contracts::moderation::AutomodRule;
use kernel::Rule;
use serde_json::json;
use web_kit::Doc;

use super::{Build, automod, reports};
use crate::error::{
    AUTOMOD_RULE_UNKNOWN, AUTOMOD_RULES_MAX, COMMUNITY_CHANNEL_KIND, COMMUNITY_CHANNEL_UNKNOWN,
    COMMUNITY_PERMISSION_MISSING, COMMUNITY_UNKNOWN, REPORT_DECIDED, REPORT_UNKNOWN,
    ROLE_HIERARCHY, ROLE_UNKNOWN,
};
use crate::requests::{AppealReport, AutomodRuleRequest, DecideReport, IncidentActions};
use crate::{Incidents, Report};

const APPEAL: Rule = Rule::new("report_appeal", 5, Duration::from_secs(600));

pub(super) fn routes(routes: Build) -> Build {
    report_routes(automod_routes(routes))
}

fn automod_routes(routes: Build) -> Build {
    use automod as at;
    let change = |summary| {
        Doc::new(summary)
            .body::<AutomodRuleRequest>()
            .example(json!({
                "name": "Links",
                "event_type": 1,
                "trigger_type": 100,
                "trigger_metadata": {"keyword_filter": ["*"], "allow_list": ["example.com"]},
                "actions": [{"type": 1, "metadata": {"custom_message": "No links, please."}}],
                "enabled": true,
            }))
            .returns::<AutomodRule>(200)
            .errors(&[
                &COMMUNITY_UNKNOWN,
                &COMMUNITY_PERMISSION_MISSING,
                &COMMUNITY_CHANNEL_UNKNOWN,
                &COMMUNITY_CHANNEL_KIND,
                &ROLE_UNKNOWN,
            ])
    };
    routes
        .get(
            "/api/v10/guilds/{guild_id}/auto-moderation/rules",
            at::list_rules,
            Doc::new("List rules of automatic moderation")
                .returns_list::<AutomodRule>(200)
                .errors(&[&COMMUNITY_UNKNOWN, &COMMUNITY_PERMISSION_MISSING]),
        )
        .post(
            "/api/v10/guilds/{guild_id}/auto-moderation/rules",
            at::create_rule,
            change("Make a rule of automatic moderation")
                .describe(
                    "Words are compared folded, with `*` at their ends for the rest of a word. \
                     Members who manage the community are not judged.",
                )
                .errors(&[&AUTOMOD_RULES_MAX]),
        )
        .get(
            "/api/v10/guilds/{guild_id}/auto-moderation/rules/{rule_id}",
            at::get_rule,
            Doc::new("Read a rule of automatic moderation")
                .returns::<AutomodRule>(200)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &AUTOMOD_RULE_UNKNOWN,
                ]),
        )
        .patch(
            "/api/v10/guilds/{guild_id}/auto-moderation/rules/{rule_id}",
            at::update_rule,
            change("Change a rule of automatic moderation").errors(&[&AUTOMOD_RULE_UNKNOWN]),
        )
        .delete(
            "/api/v10/guilds/{guild_id}/auto-moderation/rules/{rule_id}",
            at::delete_rule,
            Doc::new("Delete a rule of automatic moderation")
                .returns_nothing(204)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &AUTOMOD_RULE_UNKNOWN,
                ]),
        )
}

fn report_routes(routes: Build) -> Build {
    use reports as at;
    routes
        .get(
            "/api/v10/guilds/{guild_id}/reports",
            at::list_reports,
            Doc::new("List reports, newest first")
                .query::<at::ReportPage>()
                .returns_list::<Report>(200)
                .errors(&[&COMMUNITY_UNKNOWN, &COMMUNITY_PERMISSION_MISSING]),
        )
        .get(
            "/api/v10/guilds/{guild_id}/reports/{report_id}",
            at::get_report,
            Doc::new("Read a report")
                .describe("The author of the message reads it too, once it was decided.")
                .returns::<Report>(200)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &REPORT_UNKNOWN,
                ]),
        )
        .patch(
            "/api/v10/guilds/{guild_id}/reports/{report_id}",
            at::decide_report,
            Doc::new("Decide a report")
                .body::<DecideReport>()
                .returns::<Report>(200)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &REPORT_UNKNOWN,
                    &REPORT_DECIDED,
                    &ROLE_HIERARCHY,
                ]),
        )
        .post(
            "/api/v10/guilds/{guild_id}/reports/{report_id}/appeal",
            at::appeal_report,
            Doc::new("Ask to look again at a decision about your message")
                .limit(APPEAL)
                .body::<AppealReport>()
                .returns::<Report>(200)
                .errors(&[&COMMUNITY_UNKNOWN, &REPORT_UNKNOWN, &REPORT_DECIDED]),
        )
        .get(
            "/api/v10/guilds/{guild_id}/incident-actions",
            at::get_incident_actions,
            Doc::new("Read what is done against raids")
                .returns::<Incidents>(200)
                .errors(&[&COMMUNITY_UNKNOWN, &COMMUNITY_PERMISSION_MISSING]),
        )
        .put(
            "/api/v10/guilds/{guild_id}/incident-actions",
            at::set_incident_actions,
            Doc::new("Pause joins, or end what a raid led to")
                .body::<IncidentActions>()
                .returns::<Incidents>(200)
                .errors(&[&COMMUNITY_UNKNOWN, &COMMUNITY_PERMISSION_MISSING]),
        )
}
