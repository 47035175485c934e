//! S9: whether a name is known shows neither in an answer nor in the work behind it. Work is
//! counted, statement by statement and hash by hash: a clock would only tell how busy the machine is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use identity::{EmailVerification, Settings};
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::harness::{House, PASSWORD, registration, settings};
use crate::otp::{handle, wrong};
use crate::post::{PHONE, Post};

/// Names of each form, of people and of nobody: the form is the asker's own.
const FORMS: [&[&str]; 3] = [
    &["ayse", "nobody", "can", "fatma", "no name at all"],
    &[
        "ayse@example.com",
        "nobody@example.com",
        "can@example.com",
        "fatma@example.com",
    ],
    &[PHONE, "+905399999999"],
];

/// What costs time and memory, and how often it was done.
type Work = BTreeMap<String, u64>;

/// Counts what this thread does; the runtime of each test has only one.
#[derive(Default)]
struct Counts(Mutex<BTreeMap<String, Arc<Count>>>);

#[derive(Default)]
struct Count(AtomicU64);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, SeqCst);
    }
    fn absolute(&self, value: u64) {
        self.0.store(value, SeqCst);
    }
}

impl HistogramFn for Count {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Counts {
    fn of(&self, key: &Key) -> Arc<Count> {
        let labels = key.labels().map(|label| format!("{} ", label.value()));
        let name = format!("{} {}", key.name(), labels.collect::<String>());
        let mut counts = self.0.lock().unwrap();
        counts.entry(name).or_default().clone()
    }

    /// Statements and hashes so far.
    fn work(&self) -> Work {
        const COSTLY: [&str; 2] = ["meydan_db_statement_seconds", "meydan_auth_passwords_total"];
        let counts = self.0.lock().unwrap();
        let costly = counts
            .iter()
            .filter(|(name, _)| COSTLY.iter().any(|costly| name.starts_with(costly)));
        costly
            .map(|(name, count)| (name.clone(), count.0.load(SeqCst)))
            .collect()
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.of(key))
    }
}

/// All that somebody sees of an answer, but for what differs in any two of them.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Value,
    bytes: usize,
}

impl Seen {
    fn of(reply: &Reply) -> Self {
        let mut body = reply.json.clone();
        // Random, and of one length.
        for name in ["request_id", "handle", "challenge_id"] {
            if let Some(value) = body.get_mut(name) {
                *value = json!(value.as_str().unwrap().len());
            }
        }
        if let Some(value) = body.pointer_mut("/public_key/challenge") {
            *value = json!(value.as_str().unwrap().len());
        }
        let headers = reply.headers.iter().map(|(name, value)| {
            let value = value.to_str().unwrap();
            let shown = match name.as_str() {
                "x-request-id" => value.len().to_string(),
                _ => value.to_owned(),
            };
            (name.to_string(), shown)
        });
        Seen {
            status: reply.status.as_u16(),
            headers: headers.collect(),
            body,
            bytes: reply.body.len(),
        }
    }
}

/// Asks the same of each name, and compares answers and work with those of the first.
async fn compare<'a>(what: &str, asks: Vec<(&str, BoxFuture<'a, Reply>)>) {
    let counts = Counts::default();
    let _counting = metrics::set_default_local_recorder(&counts);
    let mut first: Option<(Seen, Work)> = None;
    let mut before = counts.work();
    for (who, ask) in asks {
        let seen = Seen::of(&ask.await);
        let after = counts.work();
        let done = after.iter().map(|(name, count)| {
            let earlier = before.get(name).copied().unwrap_or_default();
            (name.clone(), count - earlier)
        });
        let work: Work = done.filter(|(_, count)| *count > 0).collect();
        before = after;
        match &first {
            None => {
                assert!(!work.is_empty(), "{what}: nothing was counted");
                first = Some((seen, work));
            }
            Some((like, as_much)) => {
                assert_eq!(&seen, like, "{what}: the answer to {who}");
                assert_eq!(&work, as_much, "{what}: the work for {who}");
            }
        }
    }
}

/// Ayşe is known in every way; Mehmet has a number alone, Fatma is disabled, Can's address is not
/// proved.
async fn house() -> (House, Arc<Post>) {
    let post = Post::new();
    let house = House::sending(settings(), post.senders()).await;
    for name in ["ayse", "fatma", "can"] {
        house.register(name).await;
    }
    house.prove_email("ayse").await;
    house.log_in_by_phone(&post, PHONE).await;
    house
        .script("UPDATE identity.users SET state = 'disabled' WHERE username = 'fatma'")
        .await;
    (house, post)
}

fn named<'a, F>(
    names: &[&'a str],
    ask: impl Fn(&'a str) -> F,
) -> Vec<(&'a str, BoxFuture<'a, Reply>)>
where
    F: Future<Output = Reply> + Send + 'a,
{
    let ask = |name: &&'a str| -> (&'a str, BoxFuture<'a, Reply>) { (*name, Box::pin(ask(name))) };
    names.iter().map(ask).collect()
}

#[tokio::test]
async fn s9_a_login_costs_and_says_the_same_for_known_and_unknown_names() {
    let (house, _post) = house().await;
    for password in ["a wrong password", "", &"x".repeat(300)] {
        for names in FORMS {
            let asks = named(names, |name| {
                let body = json!({"identifier": name, "password": password});
                house.post("/v1/auth/login", body)
            });
            compare("login", asks).await;
        }
        // Twenty different pairs in ten minutes are an attack.
        house.wait(601);
    }
    // Of an account that may not log in, the right password says no more.
    let right = named(&["nobody", "fatma"], |name| {
        let body = json!({"identifier": name, "password": PASSWORD});
        house.post("/v1/auth/login", body)
    });
    compare("login with the right password", right).await;
}

#[tokio::test]
async fn s9_a_sign_up_costs_and_says_the_same_for_free_and_taken_addresses() {
    let post = Post::new();
    let proving = Settings {
        email_verification: EmailVerification::Required,
        ..settings()
    };
    let house = House::sending(proving, post.senders()).await;
    house.sign_up("ayse").await;
    let token = post.next().await.token("confirm");
    house.confirm(&token).await.expect(201).unwrap();
    let asks = [
        "nobody@example.com",
        "ayse@example.com",
        "other@example.com",
    ];
    let asks = asks.iter().enumerate().map(|(index, email)| {
        let mut body = registration(&format!("person{index}"));
        body["email"] = json!(email);
        let ask: BoxFuture<'_, Reply> = Box::pin(house.post("/v1/auth/registrations", body));
        (*email, ask)
    });
    compare("sign-up", asks.collect()).await;
}

#[tokio::test]
async fn s9_letters_and_codes_cost_and_say_the_same_for_known_and_unknown_names() {
    let (house, _post) = house().await;
    for names in FORMS {
        compare("reset", named(names, |name| house.ask_reset(name))).await;
    }
    let [_, emails, numbers] = FORMS;
    compare("magic link", named(emails, |name| house.ask_magic(name))).await;
    // The second wish comes too soon, for all of them.
    for what in ["code by e-mail", "code again"] {
        compare(what, named(emails, |name| house.ask_by_email(name))).await;
    }
    house.wait(60);
    let asks = named(numbers, |number| house.ask_by_phone(number));
    compare("code by text", asks).await;
    let asks = named(&["ayse", "nobody"], |name| {
        house.post("/v1/auth/passkeys/options", json!({"identifier": name}))
    });
    // It looks nothing up, for whomever: its one answer is compared in `passkeys.rs`.
    for (_, ask) in asks {
        ask.await.expect(200).unwrap();
    }
}

#[tokio::test]
async fn s9_a_wrong_code_costs_and_says_the_same_for_known_and_unknown_names() {
    let (house, post) = house().await;
    let known = handle(&house.ask_by_email("ayse@example.com").await);
    let code = post.next().await.code();
    let unknown = handle(&house.ask_by_email("nobody@example.com").await);
    let handles = [known.as_str(), unknown.as_str()];
    let asks = named(&handles, |handle| house.try_code(handle, wrong(&code)));
    compare("wrong code", asks).await;
}
