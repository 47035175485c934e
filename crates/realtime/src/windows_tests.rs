use contracts::communities::Role;
use contracts::identity::{AccountKind, User};
use jiff::Timestamp;
use kernel::perm::{Target, Trade};

use super::*;
use crate::presence::Status;

const COMMUNITY: CommunityId = CommunityId::new(1);
const CHANNEL: ChannelId = ChannelId::new(2);
const STAFF: RoleId = RoleId::new(30);
const VIP: RoleId = RoleId::new(31);

fn role(id: RoleId, position: i32, permissions: Chat) -> Role {
    Role {
        id,
        name: "role".to_owned(),
        permissions,
        trade_permissions: Trade::NONE,
        position,
        color: 0,
        hoist: position > 0,
        managed: false,
        mentionable: false,
    }
}

fn member(id: i64, name: &str, roles: &[RoleId]) -> Member {
    let display = name.to_owned();
    Member {
        user: Some(User::new(
            UserId::new(id),
            name.to_lowercase(),
            display,
            AccountKind::Person,
        )),
        nick: None,
        roles: roles.to_vec(),
        joined_at: Timestamp::UNIX_EPOCH,
        communication_disabled_until: None,
        flags: 0,
        mute: false,
        deaf: false,
    }
}

fn base(members: Vec<Member>) -> Base {
    let guild = serde_json::from_value(json!({
        "id": "1", "name": "square", "icon": null, "owner_id": "10", "emojis": [], "stickers": [],
        "features": [], "verification_level": 0, "default_message_notifications": 0,
        "explicit_content_filter": 0, "mfa_level": 0, "preferred_locale": "tr", "nsfw_level": 0,
        "premium_tier": 0, "afk_timeout": 300, "afk_channel_id": null, "system_channel_id": null,
        "system_channel_flags": 0, "rules_channel_id": null, "description": null,
        "roles": [],
    }));
    let mut guild: Guild = guild.unwrap();
    guild.roles = vec![
        role(COMMUNITY.cast(), 0, Chat::VIEW_CHANNEL),
        role(STAFF, 2, Chat::NONE),
        role(VIP, 1, Chat::NONE),
    ];
    Base {
        guild,
        member_count: i64::try_from(members.len()).unwrap(),
        members,
        overwrites: HashMap::new(),
    }
}

fn town() -> Base {
    base(vec![
        member(10, "Zeynep", &[STAFF, VIP]),
        member(11, "Çağla", &[]),
        member(12, "Ali", &[]),
        member(13, "Veli", &[VIP]),
        member(14, "Deniz", &[]),
    ])
}

fn here(ids: &[i64]) -> impl Fn(UserId) -> Option<Shown> + '_ {
    |user| {
        ids.contains(&user.get()).then(|| Shown {
            status: Status::Online,
            ..Shown::default()
        })
    }
}

fn names(list: &List<'_>, range: Range) -> Vec<String> {
    let items = list.items(range);
    items
        .iter()
        .map(|item| match item.get("group") {
            Some(group) => format!("{} {}", group["id"].as_str().unwrap(), group["count"]),
            None => format!(
                "{} {}",
                item["member"]["user"]["global_name"].as_str().unwrap(),
                item["member"]["presence"]["status"].as_str().unwrap()
            ),
        })
        .collect()
}

#[test]
fn groups_by_highest_hoisted_role_then_online_then_offline() {
    let base = town();
    let all = [true; 5];
    let list = List::new(&base, &all, Offline::Listed, here(&[10, 11, 12, 13]));
    assert_eq!(
        names(&list, (0, 99)),
        [
            "30 1",
            "Zeynep online",
            "31 1",
            "Veli online",
            "online 2",
            "Ali online",
            "Çağla online",
            "offline 1",
            "Deniz offline"
        ]
    );
    assert_eq!(names(&list, (3, 4)), ["Veli online", "online 2"]);
    assert_eq!(names(&list, (9, 99)), [""; 0]);
    let large = List::new(&base, &all, Offline::LeftOut, here(&[13]));
    assert_eq!(names(&large, (0, 99)), ["31 1", "Veli online"]);
}

#[test]
fn only_those_who_see_the_channel_are_listed() {
    let base = town();
    let hidden = |target| Overwrite {
        target,
        allow: Permissions::NONE,
        deny: Chat::VIEW_CHANNEL.into(),
    };
    let now = Timestamp::UNIX_EPOCH;
    assert_eq!(base.seeing(&[], now), [true; 5]);
    let staff_only = [
        hidden(Target::Role(COMMUNITY.cast())),
        Overwrite {
            target: Target::Role(VIP),
            allow: Chat::VIEW_CHANNEL.into(),
            deny: Permissions::NONE,
        },
        hidden(Target::Member(UserId::new(13))),
    ];
    let seeing = base.seeing(&staff_only, now);
    assert_eq!(
        seeing,
        [true, false, false, false, false],
        "the owner; 13 is hidden by name"
    );
    let list = List::new(&base, &seeing, Offline::Listed, here(&[]));
    assert_eq!(names(&list, (0, 99)), ["offline 1", "Zeynep offline"]);
}

#[test]
fn an_update_holds_the_windows_that_changed() {
    let base = town();
    let all = [true; 5];
    let mut window = Window::new(vec![(0, 1), (2, 99)]);
    let list = |ids| List::new(&base, &all, Offline::Listed, here(ids));
    let ranges = |update: &Value| -> Vec<Value> {
        let ops = update["ops"].as_array().unwrap();
        ops.iter().map(|op| op["range"].clone()).collect()
    };
    let first = list(&[10]).update(CHANNEL, &mut window).unwrap();
    assert_eq!(ranges(&first), [json!([0, 1]), json!([2, 99])]);
    assert_eq!(
        (&first["online_count"], &first["member_count"]),
        (&json!(1), &json!(5))
    );
    assert_eq!(
        list(&[10]).update(CHANNEL, &mut window),
        None,
        "nothing changed"
    );
    let second = list(&[10, 11]).update(CHANNEL, &mut window).unwrap();
    assert_eq!(ranges(&second), [json!([2, 99])]);
    assert_eq!(second["groups"][1], json!({"id": "online", "count": 1}));
    let mut subscriptions = Subscriptions::default();
    let windows = BTreeMap::from([(CHANNEL, window)]);
    let subscription = Subscription {
        windows,
        presence: true,
        ..Subscription::default()
    };
    subscriptions.put(COMMUNITY, subscription);
    assert!(subscriptions.shows(COMMUNITY, UserId::new(14)));
    assert!(
        !subscriptions.shows(COMMUNITY, UserId::new(99)),
        "not in a window"
    );
    assert_eq!(subscriptions.forget_sent(), [COMMUNITY]);
    let subscription = subscriptions.get_mut(COMMUNITY).unwrap();
    let window = subscription.windows.get_mut(&CHANNEL).unwrap();
    let again = list(&[10, 11]).update(CHANNEL, window).unwrap();
    assert_eq!(ranges(&again).len(), 2, "shown whole after a new socket");
}

#[test]
fn subscriptions_are_bounded_and_an_empty_one_ends_it() {
    let mut subscriptions = Subscriptions::default();
    let typing = || Subscription {
        typing: true,
        ..Subscription::default()
    };
    for id in 0..=i64::try_from(MAX_COMMUNITIES).unwrap() {
        subscriptions.put(CommunityId::new(id), typing());
    }
    assert!(
        subscriptions.get(CommunityId::new(0)).is_none(),
        "the oldest made room"
    );
    assert!(subscriptions.get(CommunityId::new(1)).is_some());
    subscriptions.put(CommunityId::new(1), Subscription::default());
    assert!(subscriptions.get(CommunityId::new(1)).is_none());
}
