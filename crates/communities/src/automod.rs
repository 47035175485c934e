//! Rules of automatic moderation: list, read, make, change, delete.
//!
//! [`crate::judge`] applies them.

pub(crate) mod matcher;
pub(crate) mod spam;

use contracts::communities::channel_kind;
use contracts::moderation::{AutomodRule, AutomodTrigger, action_kind};
use kernel::perm::Chat;
use kernel::{AutomodRuleId, Caller, ChannelId, CommunityId};
use serde::Deserialize;
use serde_json::json;

use crate::Communities;
use crate::change::{Action, Change, Reason};
use crate::error::{Error, Result};
use crate::events::{Told, intent};
use crate::model::changes;
use crate::requests::{AutomodRuleRequest, checked_trigger};
use crate::sql::automod::{self, RuleRow};
use crate::sql::channels;

const MADE: Told = told("AUTO_MODERATION_RULE_CREATE");
const CHANGED: Told = told("AUTO_MODERATION_RULE_UPDATE");
const GONE: Told = told("AUTO_MODERATION_RULE_DELETE");

const fn told(name: &'static str) -> Told {
    Told::all(name, intent::AUTOMOD_RULES).needs(Chat::MANAGE_GUILD)
}

impl RuleRow {
    /// In the dialect's form.
    pub(crate) fn object(&self) -> Result<AutomodRule> {
        Ok(AutomodRule {
            id: self.id,
            guild_id: self.community_id,
            name: self.name.clone(),
            creator_id: self.creator_id,
            event_type: 1,
            trigger_type: self.trigger_kind,
            trigger_metadata: AutomodTrigger::deserialize(&self.trigger)?,
            actions: serde_json::from_value(self.actions.clone())?,
            enabled: self.enabled,
            exempt_roles: self.exempt_role_ids.clone(),
            exempt_channels: self.exempt_channel_ids.clone(),
        })
    }
}

impl Communities {
    /// The rules of a community: `MANAGE_GUILD`.
    pub async fn list_automod_rules(
        &self,
        caller: &Caller,
        community: CommunityId,
    ) -> Result<Vec<AutomodRule>> {
        self.check_right(caller, community, Chat::MANAGE_GUILD)
            .await?;
        let rows = automod::list_rules(&self.db, community).await?;
        rows.iter().map(RuleRow::object).collect()
    }

    /// One rule: `MANAGE_GUILD`.
    pub async fn automod_rule(
        &self,
        caller: &Caller,
        community: CommunityId,
        id: AutomodRuleId,
    ) -> Result<AutomodRule> {
        let rules = self.list_automod_rules(caller, community).await?;
        let mut rules = rules.into_iter();
        rules.find(|rule| rule.id == id).ok_or(Error::UnknownRule)
    }

    /// Makes a rule: `MANAGE_GUILD`; one that times out or puts in quarantine `MODERATE_MEMBERS` too.
    pub async fn create_automod_rule(
        &self,
        caller: &Caller,
        community: CommunityId,
        request: AutomodRuleRequest,
        reason: Reason,
    ) -> Result<AutomodRule> {
        let request = request.checked()?;
        let missing = |field| Error::field(field, "REQUIRED", "must be there");
        let kind = request
            .trigger_type
            .ok_or_else(|| missing("/trigger_type"))?;
        let trigger = checked_trigger(kind, request.trigger_metadata.clone().unwrap_or_default())?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MANAGE_GUILD)?;
        let known = automod::list_rules(&change.tx, community).await?;
        let most = self.limits.automod_rules;
        if known.len() >= most {
            return Err(Error::TooManyRules(most));
        }
        let mut row = RuleRow {
            id: self.ids.next()?,
            community_id: community,
            creator_id: caller.user,
            name: request.name.clone().ok_or_else(|| missing("/name"))?,
            trigger_kind: kind,
            trigger: serde_json::to_value(&trigger)?,
            actions: json!([]),
            exempt_role_ids: Vec::new(),
            exempt_channel_ids: Vec::new(),
            enabled: false,
        };
        if request.actions.is_none() {
            return Err(missing("/actions"));
        }
        apply(&change, &mut row, request).await?;
        automod::insert_rule(&change.tx, &row).await?;
        let rule = row.object()?;
        write(
            &mut change,
            MADE,
            Action::AutomodRuleCreate,
            (&json!({}), &rule),
        )
        .await?;
        change.finish().await?;
        Ok(rule)
    }

    /// Changes a rule; the same rights.
    pub async fn update_automod_rule(
        &self,
        caller: &Caller,
        community: CommunityId,
        id: AutomodRuleId,
        request: AutomodRuleRequest,
        reason: Reason,
    ) -> Result<AutomodRule> {
        let mut request = request.checked()?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MANAGE_GUILD)?;
        let mut row = find(&change, id).await?;
        let before = row.object()?;
        if request
            .trigger_type
            .is_some_and(|kind| kind != row.trigger_kind)
        {
            let detail = "a rule keeps its kind; make another one";
            return Err(Error::field("/trigger_type", "INVALID", detail));
        }
        if let Some(trigger) = request.trigger_metadata.take() {
            let trigger = checked_trigger(row.trigger_kind, trigger)?;
            row.trigger = serde_json::to_value(&trigger)?;
        }
        if let Some(name) = request.name.take() {
            row.name = name;
        }
        apply(&change, &mut row, request).await?;
        let rule = row.object()?;
        if rule == before {
            change.drop_all().await?;
            return Ok(rule);
        }
        if automod::update_rule(&change.tx, &row).await? != 1 {
            return Err(Error::Broken("a rule found under the lock is gone"));
        }
        write(
            &mut change,
            CHANGED,
            Action::AutomodRuleUpdate,
            (&before, &rule),
        )
        .await?;
        change.finish().await?;
        Ok(rule)
    }

    /// Deletes a rule: `MANAGE_GUILD`.
    pub async fn delete_automod_rule(
        &self,
        caller: &Caller,
        community: CommunityId,
        id: AutomodRuleId,
        reason: Reason,
    ) -> Result<()> {
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MANAGE_GUILD)?;
        let rule = find(&change, id).await?.object()?;
        automod::delete_rule(&change.tx, community, id).await?;
        automod::raise_epoch(&change.tx, community).await?;
        change.audit(Action::AutomodRuleDelete, id, changes(&rule, &json!({})))?;
        change.tell(GONE, &rule)?;
        change.finish().await
    }
}

async fn find(change: &Change<'_>, id: AutomodRuleId) -> Result<RuleRow> {
    let rows = automod::list_rules(&change.tx, change.community.id).await?;
    rows.into_iter()
        .find(|row| row.id == id)
        .ok_or(Error::UnknownRule)
}

/// What both making and changing take over, checked against what there is.
async fn apply(change: &Change<'_>, row: &mut RuleRow, request: AutomodRuleRequest) -> Result<()> {
    row.enabled = request.enabled.unwrap_or(row.enabled);
    if let Some(roles) = request.exempt_roles {
        for role in &roles {
            change.rights.role(*role)?;
        }
        row.exempt_role_ids = roles;
    }
    let known = channels::list_channels(&change.tx, &[change.community.id]).await?;
    let exists = |id: ChannelId| known.iter().find(|channel| channel.id == id);
    if let Some(list) = request.exempt_channels {
        if list.iter().any(|id| exists(*id).is_none()) {
            return Err(Error::UnknownChannel);
        }
        row.exempt_channel_ids = list;
    }
    if let Some(actions) = request.actions {
        for action in &actions {
            if [action_kind::TIMEOUT, action_kind::QUARANTINE].contains(&action.kind) {
                change.require(Chat::MODERATE_MEMBERS)?;
            }
            let told = action.metadata.channel_id.map(exists);
            match told {
                Some(Some(channel)) if channel_kind::holds_messages(channel.kind) => {}
                Some(Some(_)) => return Err(Error::ChannelKind),
                Some(None) => return Err(Error::UnknownChannel),
                None => {}
            }
        }
        row.actions = serde_json::to_value(&actions)?;
    }
    Ok(())
}

async fn write(
    change: &mut Change<'_>,
    told: Told,
    action: Action,
    (before, after): (&impl serde::Serialize, &AutomodRule),
) -> Result<()> {
    automod::raise_epoch(&change.tx, change.community.id).await?;
    change.audit(action, after.id, changes(before, after))?;
    change.tell(told, after)
}
