//! The routes of subscriptions on events, the same for applications and communities.

use std::time::Duration;

use axum::extract::State;
use kernel::id::kind::{Application, Community};
use kernel::{DeliveryId, FieldError, Id, Rule, SubscriptionId};
use serde::Deserialize;
use serde_json::json;
use web_kit::{Caller, Created, Doc, Json, NoContent, Path, Query, Result};

use super::{App, Build};
use crate::error::{
    APPLICATION_COMMUNITY_UNKNOWN, APPLICATION_UNKNOWN, DELIVERY_UNKNOWN, DELIVERY_WAITS, Error,
    INSTALL_NOT_ALLOWED, SUBSCRIPTION_ADDRESS, SUBSCRIPTION_UNKNOWN, SUBSCRIPTIONS_MAX,
};
use crate::outgoing::delivery::{Delivery, WithAttempts};
use crate::outgoing::model::{
    CreateSubscription, Owns, Subscription, UpdateSubscription, WithSecret,
};

const CREATE: Rule = Rule::new("subscription_create", 10, Duration::from_secs(600));
const TEST: Rule = Rule::new("subscription_test", 10, Duration::from_secs(60));
const REPLAY: Rule = Rule::new("delivery_replay", 30, Duration::from_secs(60));

/// Which deliveries are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct Page {
    /// Rows; 50 when absent.
    #[param(minimum = 1, maximum = 100)]
    #[serde(default)]
    limit: Option<i64>,
    /// Those before this one.
    #[serde(default)]
    before: Option<DeliveryId>,
}

impl Page {
    fn part(&self) -> std::result::Result<(Option<DeliveryId>, u8), Error> {
        match u8::try_from(self.limit.unwrap_or(50)) {
            Ok(limit @ 1..=100) => Ok((self.before, limit)),
            _ => {
                let detail = "a number from 1 to 100";
                let error = FieldError::new("?limit", "NUMBER_TYPE_RANGE", detail);
                Err(Error::Invalid(vec![error]))
            }
        }
    }
}

fn of_owner(summary: &'static str) -> Doc {
    Doc::new(summary)
        .people_only()
        .not_while_impersonating()
        .errors(&[
            &APPLICATION_UNKNOWN,
            &APPLICATION_COMMUNITY_UNKNOWN,
            &INSTALL_NOT_ALLOWED,
        ])
}

fn of_one(summary: &'static str) -> Doc {
    of_owner(summary).errors(&[&SUBSCRIPTION_UNKNOWN])
}

/// The paths below one kind of owner.
struct Paths {
    all: &'static str,
    one: &'static str,
    rotate: &'static str,
    test: &'static str,
    deliveries: &'static str,
    delivery: &'static str,
    replay: &'static str,
}

const OF_APPLICATION: Paths = Paths {
    all: "/api/v10/applications/{application_id}/subscriptions",
    one: "/api/v10/applications/{application_id}/subscriptions/{subscription_id}",
    rotate: "/api/v10/applications/{application_id}/subscriptions/{subscription_id}/rotate-secret",
    test: "/api/v10/applications/{application_id}/subscriptions/{subscription_id}/test",
    deliveries: "/api/v10/applications/{application_id}/subscriptions/{subscription_id}/deliveries",
    delivery: "/api/v10/applications/{application_id}/deliveries/{delivery_id}",
    replay: "/api/v10/applications/{application_id}/deliveries/{delivery_id}/replay",
};

const OF_COMMUNITY: Paths = Paths {
    all: "/api/v10/guilds/{guild_id}/subscriptions",
    one: "/api/v10/guilds/{guild_id}/subscriptions/{subscription_id}",
    rotate: "/api/v10/guilds/{guild_id}/subscriptions/{subscription_id}/rotate-secret",
    test: "/api/v10/guilds/{guild_id}/subscriptions/{subscription_id}/test",
    deliveries: "/api/v10/guilds/{guild_id}/subscriptions/{subscription_id}/deliveries",
    delivery: "/api/v10/guilds/{guild_id}/deliveries/{delivery_id}",
    replay: "/api/v10/guilds/{guild_id}/deliveries/{delivery_id}/replay",
};

pub(super) fn of_applications(routes: Build) -> Build {
    deliveries::<Application>(
        subscriptions::<Application>(routes, &OF_APPLICATION),
        &OF_APPLICATION,
    )
}

pub(super) fn of_communities(routes: Build) -> Build {
    deliveries::<Community>(
        subscriptions::<Community>(routes, &OF_COMMUNITY),
        &OF_COMMUNITY,
    )
}

fn subscriptions<K: Owns + 'static>(routes: Build, paths: &Paths) -> Build {
    routes
        .post(
            paths.all,
            create_subscription::<K>,
            of_owner("Subscribe to events; the secret is shown once")
                .limit(CREATE)
                .body::<CreateSubscription>()
                .example(json!({
                    "url": "https://example.com/meydan", "events": ["message.created"],
                    "description": "our CRM"
                }))
                .returns::<WithSecret>(201)
                .errors(&[&SUBSCRIPTIONS_MAX, &SUBSCRIPTION_ADDRESS]),
        )
        .get(
            paths.all,
            list_subscriptions::<K>,
            of_owner("List subscriptions").returns_list::<Subscription>(200),
        )
        .get(
            paths.one,
            get_subscription::<K>,
            of_one("Read a subscription").returns::<Subscription>(200),
        )
        .patch(
            paths.one,
            update_subscription::<K>,
            of_one("Change a subscription, or switch it on or off")
                .body::<UpdateSubscription>()
                .example(json!({"enabled": true}))
                .returns::<Subscription>(200)
                .errors(&[&SUBSCRIPTION_ADDRESS]),
        )
        .delete(
            paths.one,
            delete_subscription::<K>,
            of_one("Delete a subscription with what waits for it").returns_nothing(204),
        )
        .post(
            paths.rotate,
            rotate_secret::<K>,
            of_one("Replace the secret; for a day the old one signs beside it")
                .limit(CREATE)
                .returns::<WithSecret>(200),
        )
}

fn deliveries<K: Owns + 'static>(routes: Build, paths: &Paths) -> Build {
    routes
        .post(
            paths.test,
            test_subscription::<K>,
            of_one("Send a test to the address")
                .limit(TEST)
                .returns::<Delivery>(202),
        )
        .get(
            paths.deliveries,
            list_deliveries::<K>,
            of_one("List deliveries, newest first")
                .query::<Page>()
                .returns_list::<Delivery>(200),
        )
        .get(
            paths.delivery,
            get_delivery::<K>,
            of_owner("Read a delivery with its attempts")
                .returns::<WithAttempts>(200)
                .errors(&[&DELIVERY_UNKNOWN]),
        )
        .post(
            paths.replay,
            replay_delivery::<K>,
            of_owner("Send a delivery again that has ended")
                .limit(REPLAY)
                .returns::<Delivery>(202)
                .errors(&[&DELIVERY_UNKNOWN, &DELIVERY_WAITS]),
        )
}

async fn create_subscription<K: Owns>(
    State(app): App,
    caller: Caller,
    Path(owner): Path<Id<K>>,
    Json(new): Json<CreateSubscription>,
) -> Result<Created<WithSecret>> {
    let made = app
        .create_subscription(&caller, K::owner(owner), new)
        .await?;
    Ok(Created(made))
}

async fn list_subscriptions<K: Owns>(
    State(app): App,
    caller: Caller,
    Path(owner): Path<Id<K>>,
) -> Result<Json<Vec<Subscription>>> {
    Ok(Json(
        app.list_subscriptions(&caller, K::owner(owner)).await?,
    ))
}

async fn get_subscription<K: Owns>(
    State(app): App,
    caller: Caller,
    Path((owner, id)): Path<(Id<K>, SubscriptionId)>,
) -> Result<Json<Subscription>> {
    Ok(Json(app.subscription(&caller, K::owner(owner), id).await?))
}

async fn update_subscription<K: Owns>(
    State(app): App,
    caller: Caller,
    Path((owner, id)): Path<(Id<K>, SubscriptionId)>,
    Json(patch): Json<UpdateSubscription>,
) -> Result<Json<Subscription>> {
    let owner = K::owner(owner);
    Ok(Json(
        app.update_subscription(&caller, owner, id, patch).await?,
    ))
}

async fn delete_subscription<K: Owns>(
    State(app): App,
    caller: Caller,
    Path((owner, id)): Path<(Id<K>, SubscriptionId)>,
) -> Result<NoContent> {
    app.delete_subscription(&caller, K::owner(owner), id)
        .await?;
    Ok(NoContent)
}

async fn rotate_secret<K: Owns>(
    State(app): App,
    caller: Caller,
    Path((owner, id)): Path<(Id<K>, SubscriptionId)>,
) -> Result<Json<WithSecret>> {
    let owner = K::owner(owner);
    Ok(Json(
        app.rotate_subscription_secret(&caller, owner, id).await?,
    ))
}

async fn test_subscription<K: Owns>(
    State(app): App,
    caller: Caller,
    Path((owner, id)): Path<(Id<K>, SubscriptionId)>,
) -> Result<Accepted> {
    let made = app.test_subscription(&caller, K::owner(owner), id).await?;
    Ok(accepted(made))
}

async fn list_deliveries<K: Owns>(
    State(app): App,
    caller: Caller,
    Path((owner, id)): Path<(Id<K>, SubscriptionId)>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Delivery>>> {
    let (owner, part) = (K::owner(owner), page.part()?);
    Ok(Json(app.list_deliveries(&caller, owner, id, part).await?))
}

async fn get_delivery<K: Owns>(
    State(app): App,
    caller: Caller,
    Path((owner, id)): Path<(Id<K>, DeliveryId)>,
) -> Result<Json<WithAttempts>> {
    Ok(Json(app.delivery(&caller, K::owner(owner), id).await?))
}

async fn replay_delivery<K: Owns>(
    State(app): App,
    caller: Caller,
    Path((owner, id)): Path<(Id<K>, DeliveryId)>,
) -> Result<Accepted> {
    let again = app.replay_delivery(&caller, K::owner(owner), id).await?;
    Ok(accepted(again))
}

type Accepted = (axum::http::StatusCode, Json<Delivery>);

/// It is on its way.
fn accepted(delivery: Delivery) -> Accepted {
    (axum::http::StatusCode::ACCEPTED, Json(delivery))
}
