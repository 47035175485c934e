//! The demo world: fills an empty installation, so that a stranger sees something at once.
//!
//! 1. It goes through the operations of the contexts, as clients do; no SQL here.
//! 2. Nobody can log in before the world is whole: giving the passwords is the last step and the
//!    mark of its end. A filling that was cut off goes on where it stopped.
//! 3. Where others have accounts and no demo person is, nothing is touched.
//!
//! Begin with [`plan`], then [`World::fill`]; the contents are in `demo/world.rs`.

mod world;

use std::collections::HashMap;

use communities::{CreateChannel, CreateCommunity, CreateInvite, Reason};
use communities::{UpdateChannel, UpdateCommunity};
use contracts::communities::{Channel, channel_kind};
use identity::{DemoPassword, DemoPerson, NewDemoPerson};
use kernel::failure::INTERNAL;
use kernel::{Caller, CallerKind, ChannelId, CommunityId, Failure, MessageId, UserId};
use messaging::{EditMessage, SendMessage, SentReference};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::config::{Config, Env};
use crate::parts::{Contents, Demo};
use world::{COMMUNITIES, Category, Community, Line, OPEN, PEOPLE, PRIVATE, PRIVATE_LINES};

/// The password of the people who can be logged in as; the first screen shows it.
pub(crate) const PASSWORD: &str = "meydan-demo";

/// Why the demo world is refused or unfinished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("env = prod: there are demo people here, and everybody knows their passwords")]
    InProduction,
    #[error("filling in the demo world")]
    Context(#[from] Failure),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing; this is how it stands.
    Leave(Demo),
    /// Make the world, or what is missing of it.
    Fill,
}

/// Looks what is there. Comes before anybody else is made: an administrator of the settings does
/// not make an installation less empty.
pub(crate) async fn plan(
    config: &Config,
    contents: Contents,
    identity: &identity::Identity,
) -> Result<Plan, Error> {
    let people = identity.demo_people().await.map_err(Failure::from)?;
    if config.env == Env::Prod && !people.is_empty() {
        return Err(Error::InProduction);
    }
    let is_whole = people
        .iter()
        .any(|person| person.password != DemoPassword::None);
    if is_whole {
        return Ok(Plan::Leave(shown(config, &people)));
    }
    match contents {
        Contents::AsIs => Ok(Plan::Leave(Demo::Absent)),
        Contents::Demo => {
            let others = identity.has_real_people().await.map_err(Failure::from)?;
            let left_out = people.is_empty() && others;
            Ok(if left_out {
                Plan::Leave(Demo::LeftOut)
            } else {
                Plan::Fill
            })
        }
    }
}

/// The people whose known password is good here.
fn shown(config: &Config, people: &[DemoPerson]) -> Demo {
    let known = people
        .iter()
        .filter(|person| person.password == DemoPassword::Known);
    let emails: Vec<String> = known.filter_map(|person| person.email.clone()).collect();
    if emails.is_empty() || !config.is_alone() {
        Demo::Absent
    } else {
        Demo::Here(emails)
    }
}

/// The contexts the world is made in.
pub(crate) struct World<'a> {
    identity: &'a identity::Identity,
    communities: &'a communities::Communities,
    messaging: &'a messaging::Messaging,
}

/// Demo people by username, as those who ask.
struct People(HashMap<&'static str, Caller>);

impl People {
    fn get(&self, username: &str) -> Result<&Caller, Failure> {
        self.0
            .get(username)
            .ok_or_else(|| broken("a demo person is not there"))
    }
}

fn broken(what: &'static str) -> Failure {
    INTERNAL.fail().because(what)
}

impl<'a> World<'a> {
    pub(crate) fn of(
        identity: &'a identity::Identity,
        communities: &'a communities::Communities,
        messaging: &'a messaging::Messaging,
    ) -> Self {
        World {
            identity,
            communities,
            messaging,
        }
    }

    /// Carries the plan out.
    pub(crate) async fn carry_out(&self, plan: Plan, config: &Config) -> Result<Demo, Error> {
        match plan {
            Plan::Leave(demo) => Ok(demo),
            Plan::Fill => {
                let begun = Instant::now();
                self.fill().await?;
                let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(duration_ms = took, "the demo world is filled in");
                let people = self.identity.demo_people().await.map_err(Failure::from)?;
                Ok(shown(config, &people))
            }
        }
    }

    async fn fill(&self) -> Result<(), Failure> {
        let people = self.people().await?;
        for community in COMMUNITIES {
            self.community(community, &people).await?;
        }
        let (one, other) = (people.get(PRIVATE.0)?, people.get(PRIVATE.1)?);
        let direct = self.messaging.open_dm(one, other.user).await?;
        self.talk(direct.id, PRIVATE_LINES, &people).await?;
        let mut open: Vec<UserId> = Vec::with_capacity(OPEN.len());
        for username in OPEN {
            open.push(people.get(username)?.user);
        }
        let password = SecretString::from(PASSWORD);
        Ok(self.identity.open_demo_people(&open, &password).await?)
    }

    async fn people(&self) -> Result<People, Failure> {
        let known = self.identity.demo_people().await?;
        let mut people = HashMap::with_capacity(PEOPLE.len());
        for person in PEOPLE {
            let found = known.iter().find(|it| it.username == person.username);
            let user = match found {
                Some(found) => found.id,
                None => {
                    let new = NewDemoPerson {
                        email: &format!("{}@example.com", person.username),
                        username: person.username,
                        display_name: person.display_name,
                        locale: person.locale,
                    };
                    self.identity.create_demo_person(new).await?
                }
            };
            people.insert(person.username, caller(user));
        }
        Ok(People(people))
    }

    async fn community(&self, wanted: &Community, people: &People) -> Result<(), Failure> {
        let owner = people.get(wanted.owner)?;
        let id = self.found(owner, wanted).await?;
        let known = self.communities.list_channels(owner, id).await?;
        // The oldest text channel is the one the community was born with: it becomes the first.
        let texts = known.iter().filter(|it| it.kind == channel_kind::TEXT);
        let mut born = texts.map(|channel| channel.id).min();
        let mut places = Vec::new();
        for category in wanted.categories {
            let parent = self.category(owner, id, category, &known).await?;
            for channel in category.channels {
                let there = known.iter().find(|it| it.name == channel.name);
                let there = born.take().or(there.map(|it| it.id));
                let place = self.channel(owner, (id, parent), channel, there).await?;
                places.push((place, channel.lines));
            }
        }
        if let Some((entrance, _)) = places.first() {
            self.gather(owner, id, *entrance, people).await?;
        }
        for (place, lines) in places {
            self.talk(place, lines, people).await?;
        }
        Ok(())
    }

    /// Makes a community, or finds it.
    async fn found(&self, owner: &Caller, wanted: &Community) -> Result<CommunityId, Failure> {
        let id = match self.find(owner, wanted.name).await? {
            Some(id) => id,
            None => {
                let name = wanted.name.to_owned();
                let new = CreateCommunity { name };
                self.communities.create_community(owner, new, None).await?;
                let made = self.find(owner, wanted.name).await?;
                made.ok_or_else(|| broken("a new community is not there"))?
            }
        };
        let about = UpdateCommunity {
            description: Some(Some(wanted.description.to_owned())),
            preferred_locale: Some(wanted.locale.to_owned()),
            ..UpdateCommunity::default()
        };
        let reason = Reason::default();
        self.communities
            .update_community(owner, id, about, reason)
            .await?;
        Ok(id)
    }

    async fn find(&self, owner: &Caller, name: &str) -> Result<Option<CommunityId>, Failure> {
        let most = u16::try_from(COMMUNITIES.len()).unwrap_or(u16::MAX);
        let own = self
            .communities
            .own_communities(owner, None, None, most)
            .await?;
        Ok(own.into_iter().find(|it| it.name == name).map(|it| it.id))
    }

    async fn category(
        &self,
        owner: &Caller,
        community: CommunityId,
        wanted: &Category,
        known: &[Channel],
    ) -> Result<ChannelId, Failure> {
        if let Some(there) = known.iter().find(|it| it.name == wanted.name) {
            return Ok(there.id);
        }
        let new = new_channel(wanted.name, channel_kind::CATEGORY);
        self.create_channel(owner, community, new).await
    }

    /// Makes a channel under a category, or gives the one that is there its name and place.
    async fn channel(
        &self,
        owner: &Caller,
        (community, parent): (CommunityId, ChannelId),
        wanted: &world::Channel,
        there: Option<ChannelId>,
    ) -> Result<ChannelId, Failure> {
        let Some(there) = there else {
            let new = CreateChannel {
                topic: Some(wanted.topic.to_owned()),
                parent_id: Some(parent),
                ..new_channel(wanted.name, channel_kind::TEXT)
            };
            return self.create_channel(owner, community, new).await;
        };
        let patch = UpdateChannel {
            name: Some(wanted.name.to_owned()),
            topic: Some(Some(wanted.topic.to_owned())),
            parent_id: Some(Some(parent)),
            ..UpdateChannel::default()
        };
        let reason = Reason::default();
        let changed = self
            .communities
            .update_channel(owner, there, patch, reason)
            .await?;
        Ok(changed.id)
    }

    async fn create_channel(
        &self,
        owner: &Caller,
        community: CommunityId,
        new: CreateChannel,
    ) -> Result<ChannelId, Failure> {
        let reason = Reason::default();
        let made = self
            .communities
            .create_channel(owner, community, new, reason)
            .await?;
        Ok(made.id)
    }

    /// Everybody joins by one invite of the owner.
    async fn gather(
        &self,
        owner: &Caller,
        community: CommunityId,
        entrance: ChannelId,
        people: &People,
    ) -> Result<(), Failure> {
        let known = self.communities.list_invites(owner, community).await?;
        let code = match known.into_iter().next() {
            Some(invite) => invite.code,
            None => {
                let new = CreateInvite {
                    max_age: Some(0),
                    ..CreateInvite::default()
                };
                let reason = Reason::default();
                self.communities
                    .create_invite(owner, entrance, new, reason)
                    .await?
                    .code
            }
        };
        // In the order of the page, so that the members' list is the same every time.
        for person in PEOPLE {
            let guest = people.get(person.username)?;
            self.communities.join(guest, &code).await?;
        }
        Ok(())
    }

    /// Says what was not said yet. The nonce of a line is its number.
    async fn talk(
        &self,
        channel: ChannelId,
        lines: &[Line],
        people: &People,
    ) -> Result<(), Failure> {
        let mut said: Vec<MessageId> = Vec::with_capacity(lines.len());
        for (at, line) in lines.iter().enumerate() {
            let author = people.get(line.who)?;
            let answered = line.answers.and_then(|to| said.get(to));
            let new = SendMessage {
                content: Some(line.text.to_owned()),
                nonce: Some(format!("demo-{at}").into()),
                enforce_nonce: Some(true),
                message_reference: answered.map(|id| reference(*id)),
                ..SendMessage::default()
            };
            let new = new.check(None)?;
            let sent = self.messaging.send_message(author, channel, new).await?;
            let message = sent.message;
            said.push(message.id);
            if let (Some(text), None) = (line.edited, message.edited_timestamp) {
                let edit = EditMessage {
                    content: Some(Some(text.to_owned())),
                    ..EditMessage::default()
                };
                let edit = edit.check()?;
                self.messaging
                    .edit_message(author, channel, message.id, edit)
                    .await?;
            }
        }
        Ok(())
    }
}

/// Somebody as the operations know them; no login stands behind it.
fn caller(user: UserId) -> Caller {
    Caller {
        kind: CallerKind::User,
        user,
        device: None,
        amr: Vec::new(),
        auth_time: None,
        scopes: Vec::new(),
        act: None,
    }
}

fn new_channel(name: &str, kind: i16) -> CreateChannel {
    CreateChannel {
        name: name.to_owned(),
        kind: Some(kind),
        topic: None,
        parent_id: None,
        nsfw: None,
        rate_limit_per_user: None,
        position: None,
        permission_overwrites: None,
        threads: communities::ThreadsRequest::default(),
    }
}

fn reference(message_id: MessageId) -> SentReference {
    SentReference {
        kind: None,
        message_id,
        channel_id: None,
        guild_id: None,
        fail_if_not_exists: None,
    }
}
