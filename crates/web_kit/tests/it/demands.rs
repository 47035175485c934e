//! What operations demand of callers who are known: roles, scopes, fresh logins, no impersonation.

use jiff::{SignedDuration, Timestamp};
use kernel::{Caller, Clock as _, PlatformRole, UserId};
use serde_json::json;
use testkit::http::{call, caller, grant};

use crate::app::{clock, router};

const USER: UserId = UserId::new(42);
const STAFF: UserId = UserId::new(900);

fn now() -> Timestamp {
    clock().now()
}

fn acting() -> Caller {
    Caller {
        act: Some(STAFF),
        ..caller(USER)
    }
}

fn logged_in_ago(seconds: i64) -> Caller {
    Caller {
        auth_time: Some(now() - SignedDuration::from_secs(seconds)),
        ..caller(USER)
    }
}

fn key(scope: &str) -> Caller {
    Caller::api_key(USER, vec![scope.to_owned()])
}

async fn status(path: &str, who: Caller) -> (u16, String) {
    let reply = call(&router(), "GET", path, who, None).await.unwrap();
    let code = reply.json["code"].as_str().unwrap_or_default().to_owned();
    (reply.status.as_u16(), code)
}

#[tokio::test]
async fn staff_need_one_of_the_roles() {
    for (id, roles, expected) in [
        (901, &[][..], 403),
        (902, &[PlatformRole::Moderator], 403),
        (903, &[PlatformRole::Finance], 403),
        (904, &[PlatformRole::Support], 200),
        (905, &[PlatformRole::Superadmin], 200),
        (906, &[PlatformRole::Moderator, PlatformRole::Support], 200),
    ] {
        let user = UserId::new(id);
        grant(user, roles);
        let (status, _) = status("/v1/staff", caller(user)).await;
        assert_eq!(status, expected, "{roles:?}");
    }
    let staff = UserId::new(904);
    let reply = call(&router(), "GET", "/v1/staff", staff, None)
        .await
        .unwrap();
    let expected = json!({ "id": "904", "roles": ["support"], "finance": false });
    assert_eq!(reply.json, expected);
}

#[tokio::test]
async fn a_role_that_was_taken_away_is_gone_with_the_next_request() {
    let (router, user) = (router(), UserId::new(910));
    for (roles, expected) in [(&[PlatformRole::Support][..], 200), (&[], 403)] {
        grant(user, roles);
        let reply = call(&router, "GET", "/v1/staff", user, None).await.unwrap();
        assert_eq!(reply.status, expected);
    }
}

#[tokio::test]
async fn whoever_acts_in_the_name_of_staff_is_no_staff() {
    let user = UserId::new(911);
    grant(user, &[PlatformRole::Superadmin]);
    let acting = Caller {
        act: Some(STAFF),
        ..caller(user)
    };
    assert_eq!(status("/v1/staff", acting).await.0, 403);
    let program = Caller::api_key(user, vec!["staff".to_owned()]);
    assert_eq!(status("/v1/staff", program).await.0, 403);
}

#[tokio::test]
async fn stale_login_has_to_be_proved_again() {
    for (age, expected) in [(0, 200), (300, 200), (301, 403)] {
        let who = logged_in_ago(age);
        let reply = call(&router(), "GET", "/v1/fresh", who, None)
            .await
            .unwrap();
        assert_eq!(reply.status, expected, "{age}");
        if expected == 403 {
            assert_eq!(reply.json["code"], "STEP_UP_REQUIRED");
            assert_eq!(reply.json["methods"], json!(["password"]));
            assert_eq!(
                reply.header("www-authenticate"),
                Some("Bearer error=\"insufficient_user_authentication\", max_age=300")
            );
        }
    }
    // Who can prove nothing is not told to.
    let acting = Caller {
        act: Some(STAFF),
        ..logged_in_ago(0)
    };
    for who in [acting, key("items:read")] {
        let forbidden = (403, "FORBIDDEN".to_owned());
        assert_eq!(status("/v1/fresh", who).await, forbidden);
    }
}

#[tokio::test]
async fn keys_open_only_what_names_their_scope() {
    for (path, scope, expected) in [
        ("/v1/scoped", "items:read", 200),
        ("/v1/scoped", "items:write", 403),
        ("/v1/scoped", "items:read:all", 403),
        ("/v1/me", "items:read", 403),
        ("/v1/people", "items:read", 403),
        ("/api/v10/users/@me", "items:read", 401),
    ] {
        let (status, _) = status(path, key(scope)).await;
        assert_eq!(status, expected, "{path} {scope}");
    }
    let none = Caller::api_key(USER, Vec::new());
    assert_eq!(status("/v1/scoped", none).await.0, 403);
}

#[tokio::test]
async fn people_only_means_no_bots() {
    let bot = Caller::bot(UserId::new(77));
    assert_eq!(status("/api/v10/people", bot.clone()).await.0, 403);
    assert_eq!(status("/api/v10/users/@me", bot).await.0, 200);
    assert_eq!(status("/api/v10/people", caller(USER)).await.0, 200);
}

#[tokio::test]
async fn impersonation_shows_on_every_answer_and_stops_where_told() {
    for (path, expected) in [("/v1/me", 200), ("/v1/themselves", 403), ("/v1/fresh", 403)] {
        let reply = call(&router(), "GET", path, acting(), None).await.unwrap();
        assert_eq!(reply.status, expected, "{path}");
        assert_eq!(reply.header("x-impersonated-by"), Some("900"), "{path}");
    }
    let reply = call(&router(), "GET", "/v1/me", USER, None).await.unwrap();
    assert_eq!(reply.header("x-impersonated-by"), None);
}

#[tokio::test]
async fn handler_and_staff_policy_that_disagree_are_our_mistake() {
    let staff = UserId::new(912);
    grant(staff, &[PlatformRole::Support]);
    for path in ["/v1/staff-disagrees", "/v1/caller-disagrees"] {
        assert_eq!(status(path, caller(staff)).await.0, 500, "{path}");
    }
}
