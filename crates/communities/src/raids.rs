//! Raids: many who join at once shut the door, or raise what is asked of newcomers.

use contracts::communities::IncidentsData;
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{Caller, CommunityId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Communities;
use crate::change::{Action, Change, Reason};
use crate::error::{Error, Result};
use crate::events::{self, Told, intent};
use crate::model::{CommunitySettings, changes, guild_object};
use crate::requests::IncidentActions;
use crate::sql::{communities, emojis, members};

/// What a raid leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = communities::RaidAction)]
pub enum RaidAction {
    /// Nobody can join.
    PauseJoins,
    /// Newcomers are asked for what level 3 asks for.
    RaiseVerification,
}

/// When many joins are a raid, and what happens then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = communities::RaidProtection)]
pub struct RaidProtection {
    /// This many joins, 2 to 1,000 …
    #[schema(minimum = 2, maximum = 1000)]
    pub joins: i32,
    /// … within this many seconds, 5 to 3,600, are a raid.
    #[schema(minimum = 5, maximum = 3600)]
    pub seconds: i32,
    /// For how many minutes it is answered, 1 to 1,440.
    #[schema(minimum = 1, maximum = 1440)]
    pub minutes: i32,
    /// What happens.
    pub action: RaidAction,
}

/// What is done against raids, as moderators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::Incidents)]
pub struct Incidents {
    /// What is done now.
    #[serde(flatten)]
    pub now: IncidentsData,
    /// What counts as a raid, and what happens then.
    pub raid_protection: Option<RaidProtection>,
}

impl Incidents {
    fn of(settings: &CommunitySettings) -> Self {
        Incidents {
            now: settings.incidents().unwrap_or_default(),
            raid_protection: settings.raid_protection,
        }
    }
}

impl CommunitySettings {
    /// What is asked of members without a role at a moment.
    pub(crate) fn verification_at(&self, now: Timestamp) -> i32 {
        let raised = self
            .verification_raised_until
            .is_some_and(|until| until > now);
        if raised {
            self.verification_level.max(3)
        } else {
            self.verification_level
        }
    }

    /// Whether nobody can join at a moment.
    pub(crate) fn joins_paused(&self, now: Timestamp) -> bool {
        self.invites_disabled_until.is_some_and(|until| until > now)
    }

    /// What clients are told of it.
    pub(crate) fn incidents(&self) -> Option<IncidentsData> {
        let any = self
            .invites_disabled_until
            .or(self.raid_detected_at)
            .or(self.verification_raised_until);
        any.map(|_| IncidentsData {
            invites_disabled_until: self.invites_disabled_until,
            dms_disabled_until: None,
            raid_detected_at: self.raid_detected_at,
            verification_raised_until: self.verification_raised_until,
        })
    }
}

impl Communities {
    /// What is done against raids: `MANAGE_GUILD`.
    pub async fn incidents(&self, caller: &Caller, community: CommunityId) -> Result<Incidents> {
        let view = self.view(community, caller.user).await?;
        let rights = view.rights.base(&view.own, self.clock.now());
        if !rights.has(Chat::MANAGE_GUILD) {
            return Err(Error::MissingPermission(Chat::MANAGE_GUILD));
        }
        Ok(Incidents::of(&CommunitySettings::of(&view.community)))
    }

    /// Pauses joins by hand, or ends what a raid led to: `MANAGE_GUILD`.
    pub async fn set_incident_actions(
        &self,
        caller: &Caller,
        community: CommunityId,
        asked: IncidentActions,
        reason: Reason,
    ) -> Result<Incidents> {
        let until = asked.checked(self.clock.now())?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MANAGE_GUILD)?;
        let mut settings = CommunitySettings::of(&change.community);
        settings.invites_disabled_until = until;
        if until.is_none() {
            settings.raid_detected_at = None;
            settings.verification_raised_until = None;
        }
        let told = Incidents::of(&settings);
        if settings == CommunitySettings::of(&change.community) {
            change.drop_all().await?;
            return Ok(told);
        }
        write(&mut change, &settings, Action::CommunityUpdate).await?;
        change.finish().await?;
        Ok(told)
    }
}

/// Refuses whoever would join while nobody can.
pub(crate) fn check_open(change: &Change<'_>) -> Result<()> {
    if CommunitySettings::of(&change.community).joins_paused(change.at) {
        return Err(Error::JoinsPaused);
    }
    Ok(())
}

/// After somebody joined: are they too many?
pub(crate) async fn watch(change: &mut Change<'_>) -> Result<()> {
    let mut settings = CommunitySettings::of(&change.community);
    let Some(guard) = settings.raid_protection else {
        return Ok(());
    };
    let span =
        |seconds: i32| std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let answered = settings.verification_at(change.at) > settings.verification_level;
    if answered || settings.joins_paused(change.at) {
        return Ok(());
    }
    let since = change.at - span(guard.seconds);
    let most = i64::from(guard.joins);
    let id = change.community.id;
    if members::count_joined_since(&change.tx, id, since, most).await? < most {
        return Ok(());
    }
    let until = Some(change.at + span(guard.minutes.saturating_mul(60)));
    settings.raid_detected_at = Some(change.at);
    match guard.action {
        RaidAction::PauseJoins => settings.invites_disabled_until = until,
        RaidAction::RaiseVerification => settings.verification_raised_until = until,
    }
    write(change, &settings, Action::RaidDetected).await
}

async fn write(
    change: &mut Change<'_>,
    settings: &CommunitySettings,
    action: Action,
) -> Result<()> {
    let id = change.community.id;
    let emojis = emojis::list_emojis(&change.tx, &[id]).await?;
    let before = guild_object(&change.community, &change.rights.roles, &emojis);
    change.community.settings = settings.stored();
    let after = guild_object(&change.community, &change.rights.roles, &emojis);
    communities::update_community(&change.tx, &change.community).await?;
    change.audit(action, id, changes(&before, &after))?;
    change.tell(Told::all("GUILD_UPDATE", intent::GUILDS), &after)?;
    change.event(
        events::COMMUNITY_UPDATED,
        serde_json::json!({ "community_id": id }),
    )
}
