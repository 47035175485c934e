//! Judging what people are about to say: are they known well enough, and do the rules allow it.
//!
//! Rules are compiled once per change of them and kept in memory; a text is folded once and looked
//! through by one automaton per rule. What a rule does beyond refusing is written in one change.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contracts::moderation::{AutomodRule, Moderation, NewReport, action_kind, trigger_kind};
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{ChannelId, CommunityId, Failure, ReportId, UserId};
use serde::Serialize;
use serde_json::json;

use crate::Communities;
use crate::automod::matcher::{Hit, Links, Said, Test, Words};
use crate::automod::spam::{Limits, Recent};
use crate::change::{Action, Change, Reason};
use crate::error::{Error, Result};
use crate::events::{self, Told, intent};
use crate::model::CommunitySettings;
use crate::sql::automod::{self, JudgedRow};

/// Communities whose rules are kept compiled.
const COMPILED: u64 = 10_000;
/// Longest part of a refused text that is told to moderators, in characters.
const SHOWN: usize = 500;
const EXECUTED: Told = Told::all("AUTO_MODERATION_ACTION_EXECUTION", intent::AUTOMOD_ACTIONS)
    .needs(Chat::MANAGE_GUILD);

/// The rules of a community as of one change of them.
struct Compiled {
    epoch: i32,
    rules: Vec<(AutomodRule, Looks)>,
}

/// What a rule looks at.
enum Looks {
    AtText(Test),
    AtPace(Limits),
}

/// What this process remembers for judging.
pub(crate) struct Judge {
    compiled: moka::sync::Cache<CommunityId, Arc<Compiled>>,
    recent: Recent,
}

impl Judge {
    pub(crate) fn new() -> Self {
        Judge {
            compiled: moka::sync::Cache::new(COMPILED),
            recent: Recent::new(),
        }
    }
}

/// The payload of `AUTO_MODERATION_ACTION_EXECUTION`.
#[derive(Serialize)]
struct ExecutedPayload<'a> {
    guild_id: CommunityId,
    action: &'a contracts::moderation::AutomodAction,
    rule_id: kernel::AutomodRuleId,
    rule_trigger_type: i16,
    user_id: UserId,
    channel_id: ChannelId,
    content: &'a str,
    matched_keyword: Option<&'a str>,
    matched_content: Option<&'a str>,
}

/// A text that somebody is about to say.
struct Attempt<'a> {
    author: UserId,
    channel: ChannelId,
    community: CommunityId,
    text: &'a str,
}

#[async_trait]
impl Moderation for Communities {
    async fn judge(
        &self,
        author: UserId,
        channel: ChannelId,
        said: &str,
    ) -> std::result::Result<(), Failure> {
        Ok(self.judge_text(author, channel, said).await?)
    }

    async fn report(&self, report: NewReport) -> std::result::Result<ReportId, Failure> {
        Ok(self.take_report(report).await?)
    }
}

impl Communities {
    async fn judge_text(&self, author: UserId, channel: ChannelId, text: &str) -> Result<()> {
        let found = automod::find_judged(&self.db, channel, author).await?;
        // Whether there is such a channel for the author is asked elsewhere.
        let Some(row) = found else { return Ok(()) };
        if is_above_rules(&row, author) {
            return Ok(());
        }
        self.check_verified(author, &row).await?;
        if row.automod_epoch == 0 {
            return Ok(());
        }
        let attempt = Attempt {
            author,
            channel,
            community: row.community_id,
            text,
        };
        let compiled = self.compiled_rules(&row).await?;
        let broken = self.broken(&compiled, &row, &attempt);
        if broken.is_empty() {
            return Ok(());
        }
        self.execute(&attempt, &broken).await?;
        let blocks = broken.iter().flat_map(|(rule, _)| &rule.actions);
        let mut blocks = blocks.filter(|action| action.kind == action_kind::BLOCK);
        match blocks.next() {
            Some(action) => Err(Error::Blocked(action.metadata.custom_message.clone())),
            None => Ok(()),
        }
    }

    async fn compiled_rules(&self, row: &JudgedRow) -> Result<Arc<Compiled>> {
        let known = self.judge.compiled.get(&row.community_id);
        if let Some(known) = known.filter(|known| known.epoch == row.automod_epoch) {
            return Ok(known);
        }
        let rows = automod::list_rules(&self.db, row.community_id).await?;
        let mut rules = Vec::with_capacity(rows.len());
        for rule in rows.iter().filter(|rule| rule.enabled) {
            let rule = rule.object()?;
            if let Some(looks) = looks(&rule) {
                rules.push((rule, looks));
            }
        }
        let compiled = Arc::new(Compiled {
            epoch: row.automod_epoch,
            rules,
        });
        self.judge
            .compiled
            .insert(row.community_id, Arc::clone(&compiled));
        Ok(compiled)
    }

    /// The rules that an attempt breaks.
    fn broken<'a>(
        &self,
        compiled: &'a Compiled,
        row: &JudgedRow,
        attempt: &Attempt<'_>,
    ) -> Vec<(&'a AutomodRule, Hit)> {
        let counts = |rule: &AutomodRule| {
            !rule.exempt_channels.contains(&attempt.channel)
                && !rule
                    .exempt_roles
                    .iter()
                    .any(|role| row.role_ids.contains(role))
        };
        let said = Said::new(attempt.text);
        let mut broken = Vec::new();
        let mut paces = Vec::new();
        for (rule, looks) in compiled.rules.iter().filter(|(rule, _)| counts(rule)) {
            match looks {
                Looks::AtText(test) => broken.extend(test.find(&said).map(|hit| (rule, hit))),
                Looks::AtPace(limits) => paces.push((rule, *limits)),
            }
        }
        if !paces.is_empty() {
            let limits: Vec<Limits> = paces.iter().map(|(_, limits)| *limits).collect();
            let who = (attempt.community, attempt.author);
            let now = self.clock.now();
            let spam = self.judge.recent.judge(who, &said.folded, now, &limits);
            let hits = paces.into_iter().zip(spam).filter(|(_, spam)| *spam);
            broken.extend(hits.map(|((rule, _), _)| {
                let hit = Hit {
                    keyword: None,
                    content: None,
                };
                (rule, hit)
            }));
        }
        broken
    }

    /// Does what broken rules say besides refusing, and notes all of it.
    async fn execute(&self, attempt: &Attempt<'_>, broken: &[(&AutomodRule, Hit)]) -> Result<()> {
        let card = self.user_or_unknown(attempt.author).await?;
        let begun = Change::begin(self, attempt.author, attempt.community, Reason::default()).await;
        let mut change = match begun {
            // Left meanwhile.
            Err(Error::UnknownCommunity) => return Ok(()),
            other => other?,
        };
        let before = change.me()?.clone();
        let mut after = before.clone();
        for (rule, hit) in broken {
            for action in &rule.actions {
                match action.kind {
                    action_kind::TIMEOUT => {
                        let seconds = action.metadata.duration_seconds.unwrap_or(0);
                        let lasts = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
                        let until = Some(change.at + lasts);
                        after.timeout_until = after.timeout_until.max(until);
                    }
                    action_kind::QUARANTINE if after.quarantined_roles.is_none() => {
                        crate::quarantine::put_in(&mut after);
                    }
                    _ => {}
                }
                self.note(&mut change, attempt, (rule, hit), action)?;
            }
        }
        if after != before {
            let member = after.object(Some(card));
            crate::members::write(&mut change, &before, &mut after, &member).await?;
        }
        change.finish().await
    }

    fn note(
        &self,
        change: &mut Change<'_>,
        attempt: &Attempt<'_>,
        (rule, hit): (&AutomodRule, &Hit),
        action: &contracts::moderation::AutomodAction,
    ) -> Result<()> {
        let content: String = attempt.text.chars().take(SHOWN).collect();
        change.tell(
            EXECUTED,
            &ExecutedPayload {
                guild_id: attempt.community,
                action,
                rule_id: rule.id,
                rule_trigger_type: rule.trigger_type,
                user_id: attempt.author,
                channel_id: attempt.channel,
                content: &content,
                matched_keyword: hit.keyword.as_deref(),
                matched_content: hit.content.as_deref(),
            },
        )?;
        let options = json!({
            "auto_moderation_rule_name": rule.name,
            "auto_moderation_rule_trigger_type": rule.trigger_type.to_string(),
            "channel_id": attempt.channel,
        });
        let entry = match action.kind {
            action_kind::BLOCK => Action::AutomodBlock,
            action_kind::ALERT => Action::AutomodAlert,
            action_kind::TIMEOUT => Action::AutomodTimeout,
            _ => Action::AutomodQuarantine,
        };
        change.audit_with(entry, Some(attempt.author.cast()), None, Some(options))?;
        if let (action_kind::ALERT, Some(told)) = (action.kind, action.metadata.channel_id) {
            change.event(
                events::AUTOMOD_ALERTED,
                json!({
                    "community_id": attempt.community,
                    "alert_channel_id": told,
                    "channel_id": attempt.channel,
                    "user_id": attempt.author,
                    "rule_id": rule.id,
                    "rule_name": rule.name,
                    "content": content,
                }),
            )?;
        }
        Ok(())
    }

    /// Whether the author is known well enough for the community. Who has a role is.
    async fn check_verified(&self, author: UserId, row: &JudgedRow) -> Result<()> {
        let settings = CommunitySettings::read(&row.settings);
        let now = self.clock.now();
        let level = settings.verification_at(now);
        if level == 0 || !row.role_ids.is_empty() {
            return Ok(());
        }
        let older =
            |since: Timestamp, minutes: u64| now >= since + Duration::from_secs(60 * minutes);
        if level >= 2 && !older(author.made_at(), 5) {
            return Err(Error::NotVerified(Lacking::Account));
        }
        if level >= 3 && !older(row.joined_at, 10) {
            return Err(Error::NotVerified(Lacking::Membership));
        }
        let proved = self.identity.contact_proofs(author).await?;
        if level >= 4 && !proved.phone {
            return Err(Error::NotVerified(Lacking::Phone));
        }
        if !proved.email && !proved.phone {
            return Err(Error::NotVerified(Lacking::Contact));
        }
        Ok(())
    }
}

/// What somebody lacks to be known well enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// A confirmed address or number.
    Contact,
    /// An account that is five minutes old.
    Account,
    /// Ten minutes of membership.
    Membership,
    /// A confirmed number.
    Phone,
}

impl Lacking {
    /// As clients read it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Lacking::Contact => "contact",
            Lacking::Account => "account_age",
            Lacking::Membership => "membership_age",
            Lacking::Phone => "phone",
        }
    }
}

/// Rules are for those who cannot change them.
fn is_above_rules(row: &JudgedRow, author: UserId) -> bool {
    let all = row.chats.iter().copied().map(Chat::from_stored);
    let held = all.fold(Chat::NONE, |held, chat| held | chat);
    row.owner_id == author || held.has(Chat::ADMINISTRATOR) || held.has(Chat::MANAGE_GUILD)
}

fn looks(rule: &AutomodRule) -> Option<Looks> {
    let trigger = &rule.trigger_metadata;
    let number = |value: Option<i32>, usual: usize| {
        value
            .and_then(|value| usize::try_from(value).ok())
            .unwrap_or(usual)
    };
    Some(match rule.trigger_type {
        trigger_kind::WORDS => Looks::AtText(Test::Words(Words::new(
            &trigger.keyword_filter,
            &trigger.allow_list,
        )?)),
        trigger_kind::LINKS => Looks::AtText(Test::Links(Links {
            refused: trigger.keyword_filter.clone(),
            allowed: trigger.allow_list.clone(),
        })),
        trigger_kind::MENTIONS => {
            Looks::AtText(Test::Mentions(number(trigger.mention_total_limit, 50)))
        }
        trigger_kind::SPAM => Looks::AtPace(Limits {
            messages: number(trigger.message_limit, 5),
            seconds: i64::from(trigger.interval_seconds.unwrap_or(5)),
            similar: number(trigger.similar_limit, 3),
            similar_seconds: i64::from(trigger.similar_seconds.unwrap_or(60)),
        }),
        _ => return None,
    })
}
