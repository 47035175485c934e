//! Puts events on their way: a delivery for each subscription that wants one, in the transaction that
//! takes the event in. An event that nobody wants costs one read.

use std::sync::Arc;

use async_trait::async_trait;
use db::Tx;
use db::inbox::TxHandler;
use kernel::event::{Handler, Handling};
use kernel::{ApplicationId, CommunityId, DeliveryId, Event, Failure, SubscriptionId};

use super::kinds::{self, Kind, Sight};
use super::model::{Off, Owner};
use crate::error::Result;
use crate::sql::deliveries::{self, Wanting};
use crate::{Applications, SCHEMA};

const NAME: &str = "applications.outgoing";

/// What an event is about.
#[derive(Clone, Copy)]
struct About {
    kind: &'static Kind,
    community: Option<CommunityId>,
    /// The application alone that may know.
    own: Option<ApplicationId>,
}

impl About {
    /// None when it is about nothing that is told: private conversations are not.
    fn of(event: &Event) -> Option<Self> {
        let kind = kinds::by_source(&event.kind)?;
        let id = |name: &str| event.data.get(name)?.as_str()?.parse::<i64>().ok();
        let community = id("community_id").map(CommunityId::new);
        let own = id("application_id").map(ApplicationId::new);
        let own = own.filter(|_| kind.sight == Sight::Own);
        let community = community.filter(|_| kind.sight != Sight::Own);
        (community.is_some() || own.is_some()).then_some(About {
            kind,
            community,
            own,
        })
    }
}

/// Writes the deliveries.
struct Writer(Arc<Applications>);

#[async_trait]
impl TxHandler for Writer {
    async fn handle(&self, tx: &Tx, event: &Event) -> std::result::Result<(), Failure> {
        Ok(self.0.put_on_the_way(tx, event).await?)
    }
}

/// Looks first whether anybody wants the event: most are wanted by nobody.
struct Follower {
    app: Arc<Applications>,
    written: db::inbox::Consumer,
}

impl Handler for Follower {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(async move {
            if self.app.is_wanted(event).await? {
                self.written.handle(event).await?;
                self.app.outgoing.wake();
            }
            Ok(())
        })
    }
}

/// The subscription on what happens elsewhere.
pub(crate) fn consumer(this: &Arc<Applications>) -> runtime::Consumer {
    let writer = Arc::new(Writer(Arc::clone(this)));
    let written = db::inbox::Consumer::new(this.db.clone(), SCHEMA, NAME, writer);
    runtime::Consumer {
        name: NAME,
        kinds: kinds::SOURCES,
        handler: Arc::new(Follower {
            app: Arc::clone(this),
            written,
        }),
    }
}

impl Applications {
    async fn wanting(&self, source: impl db::Source, about: About) -> Result<Vec<Wanting>> {
        let (community, own) = (about.community, about.own);
        let bound = self.settings.deliveries_waiting;
        Ok(deliveries::list_wanting(source, about.kind.name, community, own, bound).await?)
    }

    async fn is_wanted(&self, event: &Event) -> Result<bool> {
        let Some(about) = About::of(event) else {
            return Ok(false);
        };
        Ok(!self.wanting(&self.db, about).await?.is_empty())
    }

    async fn put_on_the_way(&self, tx: &Tx, event: &Event) -> Result<()> {
        let Some(about) = About::of(event) else {
            return Ok(());
        };
        let bound = self.settings.deliveries_waiting;
        let wanting = self.wanting(tx, about).await?;
        let (open, full): (Vec<Wanting>, Vec<Wanting>) =
            wanting.into_iter().partition(|one| one.waiting < bound);
        // Full means off, with a notice: an address that loses events unseen is worse than one
        // that is known to get none.
        for one in full {
            if let Some(owner) = Owner::of(one.application_id, one.community_id) {
                self.switch_off(tx, (owner, one.id, one.creator_id), Off::Backlog)
                    .await?;
            }
        }
        let subscriptions: Vec<SubscriptionId> = open.iter().map(|one| one.id).collect();
        let mut ids: Vec<DeliveryId> = Vec::with_capacity(subscriptions.len());
        for _ in &subscriptions {
            ids.push(self.ids.next()?);
        }
        let (now, name) = (self.clock.now(), about.kind.name);
        deliveries::insert_deliveries(tx, (&ids, &subscriptions), name, event, now).await?;
        Ok(())
    }
}
