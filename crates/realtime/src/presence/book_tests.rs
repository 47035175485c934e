//! The book against a plain count of sockets, and its times at their edges.

use proptest::prelude::*;

use super::*;

const USER: UserId = UserId::new(1);

fn wish(status: Status) -> Wish {
    Wish {
        status,
        activities: String::new(),
    }
}

fn told(shown: Shown) -> Told {
    let sight = Sight {
        is_open: true,
        ..Sight::default()
    };
    Told { shown, sight }
}

/// What is told at `now`, and noted as told.
fn tell(book: &mut Book, now: Ms) -> Vec<Status> {
    let due = book.take_due(now, 10);
    due.into_iter()
        .map(|(user, shown)| {
            let status = shown.status;
            book.told(user, told(shown));
            status
        })
        .collect()
}

#[test]
fn best_status_of_all_sockets_is_told_and_changes_are_merged() {
    let mut book = Book::default();
    book.put(USER, (0, 1), "mobile", wish(Status::Idle), 0);
    assert_eq!(tell(&mut book, 0), [Status::Idle], "the first at once");
    book.put(USER, (0, 2), "desktop", wish(Status::Online), 100);
    book.put(USER, (1, 3), "desktop", wish(Status::Dnd), 200);
    assert_eq!(tell(&mut book, MERGE - 1), []);
    assert_eq!(tell(&mut book, MERGE), [Status::Online]);
    let shown = &book.status(USER).unwrap().shown;
    assert_eq!(
        shown.clients,
        [
            ("desktop".to_owned(), Status::Online),
            ("mobile".to_owned(), Status::Idle)
        ]
    );
    book.remove(USER, (0, 2), 20_000);
    assert_eq!(tell(&mut book, 20_000), [Status::Dnd]);
    book.put(USER, (1, 3), "desktop", wish(Status::Offline), 30_000);
    assert_eq!(
        tell(&mut book, 30_000),
        [Status::Offline],
        "invisible hides all"
    );
    assert!(book.status(USER).is_none());
}

#[test]
fn end_of_the_last_socket_is_told_fifteen_seconds_later() {
    let mut book = Book::default();
    book.put(USER, (0, 1), "desktop", wish(Status::Online), 0);
    tell(&mut book, 0);
    assert!(book.remove(USER, (0, 1), 10_000), "was seen until now");
    assert!(!book.remove(USER, (0, 1), 10_000));
    assert_eq!(tell(&mut book, 10_000 + LINGER - 1), []);
    assert!(book.status(USER).is_some());
    assert_eq!(tell(&mut book, 10_000 + LINGER), [Status::Offline]);
    assert!(book.locals.is_empty() && book.told.is_empty() && book.reach.is_empty());
    // Whoever comes back in time was never gone.
    book.put(USER, (0, 1), "desktop", wish(Status::Online), 50_000);
    tell(&mut book, 50_000);
    book.remove(USER, (0, 1), 60_000);
    book.put(
        USER,
        (0, 2),
        "desktop",
        wish(Status::Online),
        60_000 + LINGER - 1,
    );
    assert_eq!(tell(&mut book, 100_000), []);
}

#[test]
fn invisible_users_are_not_noted_as_seen() {
    let mut book = Book::default();
    book.put(USER, (0, 1), "desktop", wish(Status::Offline), 0);
    assert_eq!(tell(&mut book, 0), []);
    assert!(book.connected().is_empty());
    assert!(!book.remove(USER, (0, 1), 1_000));
    book.put(USER, (0, 1), "desktop", wish(Status::Online), 2_000);
    assert_eq!(book.connected(), [USER]);
}

#[test]
fn one_look_tells_of_some_and_the_others_stay_due() {
    let mut book = Book::default();
    for id in 0..25 {
        book.put(UserId::new(id), (0, 1), "web", wish(Status::Online), 0);
    }
    let sizes: Vec<_> = (0..4).map(|_| tell(&mut book, 0).len()).collect();
    assert_eq!(sizes, [10, 10, 5, 0]);
}

#[test]
fn who_may_see_changed_is_told_though_nothing_else_did() {
    let mut book = Book::default();
    book.put(USER, (0, 1), "desktop", wish(Status::Online), 0);
    tell(&mut book, 0);
    book.doubt(USER, 1);
    assert_eq!(tell(&mut book, 1), [Status::Online], "a block acts at once");
    book.retry(USER, 2);
    assert_eq!(tell(&mut book, 2 + MERGE - 1), []);
    assert_eq!(tell(&mut book, 2 + MERGE), [Status::Online]);
}

fn other(status: Status) -> Told {
    told(Shown {
        status,
        ..Shown::default()
    })
}

#[test]
fn users_of_a_dead_node_are_gone_in_one_sweep_but_for_those_elsewhere() {
    let mut book = Book::default();
    let (here, both, there) = (UserId::new(1), UserId::new(2), UserId::new(3));
    for user in [here, both] {
        book.put(user, (0, 1), "desktop", wish(Status::Idle), 0);
    }
    tell(&mut book, 0);
    let users = [both, there].map(|user| (user, other(Status::Online)));
    let third = [(there, other(Status::Idle))];
    assert!(book.hear(2, Some(users.into()), 10_000).is_empty());
    assert_eq!(
        tell(&mut book, 10_000),
        [Status::Online],
        "best of all nodes"
    );
    assert_eq!(book.status(there).unwrap().shown.status, Status::Online);
    assert_eq!(
        book.lease(10_000)
            .iter()
            .map(|(_, told)| told.shown.status)
            .collect::<Vec<_>>(),
        [Status::Idle, Status::Idle],
        "a lease says nothing that another node said"
    );
    book.hear(3, Some(third.into()), 20_000);
    assert_eq!(
        book.hear(2, None, 40_000),
        [],
        "who was there is on a third node"
    );
    assert_eq!(tell(&mut book, 40_000), [Status::Idle]);
    assert_eq!(book.hear(3, None, 50_000), [(there, other(Status::Idle))]);
    assert!(book.status(there).is_none() && book.status(here).is_some());
}

#[test]
fn invisible_on_another_node_hides_here() {
    let mut book = Book::default();
    book.put(USER, (0, 1), "desktop", wish(Status::Online), 0);
    tell(&mut book, 0);
    book.hear(2, Some([(USER, other(Status::Offline))].into()), 10_000);
    assert_eq!(tell(&mut book, 10_000), [Status::Offline]);
}

#[derive(Debug, Clone)]
enum Step {
    Put(u64, Status),
    Remove(u64),
    Wait(Ms),
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![
        Just(Status::Online),
        Just(Status::Idle),
        Just(Status::Dnd),
        Just(Status::Offline)
    ];
    prop_oneof![
        3 => (0u64..4, status).prop_map(|(key, status)| Step::Put(key, status)),
        3 => (0u64..4).prop_map(Step::Remove),
        4 => (0u64..9_000).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever devices come and go: at most one word in the merge time, and when nothing moves any
    /// more others see what the sockets that are left say.
    #[test]
    fn p_devices_come_and_go(steps in prop::collection::vec(step(), 1..80)) {
        let mut book = Book::default();
        let mut open: BTreeMap<u64, Status> = BTreeMap::new();
        let mut now = 0;
        let mut seen = Status::Offline;
        let mut words: Vec<(Ms, Status)> = Vec::new();
        for step in steps.into_iter().chain([Step::Wait(LINGER + MERGE)]) {
            match step {
                Step::Put(key, status) => {
                    open.insert(key, status);
                    book.put(USER, (0, key), "desktop", wish(status), now);
                }
                Step::Remove(key) => {
                    open.remove(&key);
                    book.remove(USER, (0, key), now);
                }
                Step::Wait(time) => {
                    for at in (now..=now + time).step_by(250) {
                        for status in tell(&mut book, at) {
                            prop_assert_ne!(status, seen, "nothing is said twice");
                            seen = status;
                            words.push((at, status));
                        }
                    }
                    now += time;
                    for status in tell(&mut book, now) {
                        seen = status;
                        words.push((now, status));
                    }
                }
            }
        }
        let hidden = open.values().any(|status| *status == Status::Offline);
        let best = open.values().copied().max().filter(|_| !hidden).unwrap_or_default();
        prop_assert_eq!(seen, best);
        prop_assert_eq!(book.status(USER).is_some(), best != Status::Offline);
        // Whoever was gone for fifteen seconds is told of at once when they come back.
        let apart = |pair: &[(Ms, Status)]| {
            pair[1].0 >= pair[0].0 + MERGE || pair[0].1 == Status::Offline
        };
        prop_assert!(words.windows(2).all(apart), "{:?}", words);
    }
}
