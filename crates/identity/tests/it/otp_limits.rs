//! How many codes are sent and how many guesses are judged.

use futures::future::join_all;
use serde_json::json;

use crate::harness::{House, Session, refusal, settings};
use crate::otp::{handle, house, wrong};
use crate::post::{PHONE, Post};

const DAY_S: u64 = 24 * 3600;

/// Sets the clock to the first second of the next day in UTC.
fn begin_a_day(house: &House) {
    let now = kernel::Clock::now(&*house.clock).as_second();
    let into_the_day = u64::try_from(now).unwrap() % DAY_S;
    house.wait(DAY_S - into_the_day);
}

async fn judged(house: &House) -> i64 {
    house
        .count("SELECT coalesce(sum(failures), 0)::bigint FROM identity.otp_targets")
        .await
}

#[tokio::test]
async fn s5_fifty_guesses_at_once_judge_five() {
    let (house, post) = house().await;
    let sent = handle(&house.ask_by_phone(PHONE).await);
    let code = post.next().await.code();
    let guesses = (0..50).map(|_| house.try_code(&sent, wrong(&code)));
    for reply in join_all(guesses).await {
        assert_eq!(refusal(&reply), (401, "OTP_INVALID"));
    }
    assert_eq!(judged(&house).await, 5);
    // The right code comes too late.
    let reply = house.try_code(&sent, &code).await;
    assert_eq!(refusal(&reply), (401, "OTP_INVALID"));
}

#[tokio::test]
async fn s5_four_challenges_of_one_target_judge_ten() {
    let (house, post) = house().await;
    begin_a_day(&house);
    let mut challenges = Vec::new();
    for _ in 0..4 {
        let sent = handle(&house.ask_by_phone(PHONE).await);
        challenges.push((sent, post.next().await.code()));
        house.wait(60);
    }
    let guesses = challenges
        .iter()
        .flat_map(|(sent, code)| (0..12).map(|_| house.try_code(sent, wrong(code))));
    join_all(guesses).await;
    assert_eq!(judged(&house).await, 10);
    for (sent, code) in &challenges {
        let reply = house.try_code(sent, code).await;
        assert_eq!(refusal(&reply), (401, "OTP_INVALID"));
    }
}

#[tokio::test]
async fn s5_fifty_wishes_at_once_send_one_code() {
    let (house, post) = house().await;
    let replies = join_all((0..50).map(|_| house.ask_by_phone(PHONE))).await;
    let sent = replies.iter().filter(|reply| reply.status == 202).count();
    assert_eq!(sent, 1);
    let refused = |reply: &&testkit::http::Reply| refusal(reply) == (429, "RATE_LIMITED");
    assert_eq!(replies.iter().filter(refused).count(), 49);
    let waits = replies
        .iter()
        .filter_map(|reply| reply.headers.get("retry-after"));
    assert!(waits.into_iter().all(|wait| wait == "60"));
    post.next().await;
    house.ask_by_phone("+905331234567").await;
    assert!(post.next().await.text().contains("code"));
    assert_eq!(
        house
            .count("SELECT count(*) FROM identity.otp_challenges")
            .await,
        2
    );
}

#[tokio::test]
async fn a_right_code_takes_its_failure_back() {
    let (house, post) = house().await;
    begin_a_day(&house);
    for _ in 0..4 {
        house.log_in_by_phone(&post, PHONE).await;
        house.wait(3_600);
    }
    assert_eq!(judged(&house).await, 0);
    let used = "SELECT sum(attempts)::bigint FROM identity.otp_challenges";
    assert_eq!(house.count(used).await, 4);
}

#[tokio::test]
async fn a_target_gets_one_code_a_minute_five_an_hour_ten_a_day() {
    let (house, _post) = house().await;
    begin_a_day(&house);
    handle(&house.ask_by_phone(PHONE).await);
    house.wait(59);
    let reply = house.ask_by_phone(PHONE).await;
    assert_eq!(refusal(&reply), (429, "RATE_LIMITED"));
    assert_eq!(reply.headers["retry-after"], "1");
    house.wait(1);
    for _ in 0..4 {
        handle(&house.ask_by_phone(PHONE).await);
        house.wait(60);
    }
    // The first was five minutes ago.
    let reply = house.ask_by_phone(PHONE).await;
    assert_eq!(refusal(&reply), (429, "RATE_LIMITED"));
    assert_eq!(reply.headers["retry-after"], "3300");
    house.wait(3_300);
    for _ in 0..5 {
        handle(&house.ask_by_phone(PHONE).await);
        house.wait(3_600);
    }
    let reply = house.ask_by_phone(PHONE).await;
    assert_eq!(refusal(&reply), (429, "RATE_LIMITED"));
    // Until midnight: 24 hours less the 6 hours and 300 seconds so far.
    let left = DAY_S - 300 - 3_300 - 5 * 3_600;
    assert_eq!(reply.headers["retry-after"], left.to_string().as_str());
    house.wait(left);
    handle(&house.ask_by_phone(PHONE).await);
    // Another target was never concerned.
    handle(&house.ask_by_phone("+905331234567").await);
}

#[tokio::test]
async fn a_failure_of_yesterday_does_not_count() {
    let (house, post) = house().await;
    begin_a_day(&house);
    for _ in 0..2 {
        let sent = handle(&house.ask_by_phone(PHONE).await);
        let code = post.next().await.code();
        for _ in 0..5 {
            house.try_code(&sent, wrong(&code)).await;
        }
        house.wait(60);
    }
    house.wait(DAY_S - 120);
    let sent = handle(&house.ask_by_phone(PHONE).await);
    let code = post.next().await.code();
    house.try_code(&sent, wrong(&code)).await;
    assert_eq!(judged(&house).await, 1);
    house.try_code(&sent, &code).await.expect(200).unwrap();
}

#[tokio::test]
async fn a_failure_after_midnight_begins_the_new_day() {
    let (house, post) = house().await;
    begin_a_day(&house);
    house.wait(DAY_S - 10);
    let sent = handle(&house.ask_by_phone(PHONE).await);
    let code = post.next().await.code();
    house.try_code(&sent, wrong(&code)).await;
    house.wait(10);
    house.try_code(&sent, wrong(&code)).await;
    assert_eq!(judged(&house).await, 1);
    // Nothing was sent on the new day so far.
    let sends = "SELECT sum(sends)::bigint FROM identity.otp_targets t
                  WHERE EXISTS (SELECT 1 FROM identity.otp_challenges c WHERE c.target_hmac = t.target_hmac)";
    assert_eq!(house.count(sends).await, 0);
}

#[tokio::test]
async fn strangers_do_not_close_the_path_of_known_devices() {
    let (house, post) = house().await;
    begin_a_day(&house);
    let mine = Session::of(&house.log_in_by_phone(&post, PHONE).await);
    let spent = mine.refresh.clone();
    let renewed = house.refresh(&mine.refresh, None).await;
    let ask = |token: Option<String>| json!({"channel": "sms", "phone_number": PHONE, "purpose": "login", "refresh_token": token});
    let proof = |sent: &str, code: &str, token: Option<&str>| json!({"handle": sent, "otp_code": code, "refresh_token": token});
    // Strangers use up the number's failures and codes of the day.
    for round in 0..9 {
        house.wait(if round % 4 == 0 { 3_600 } else { 60 });
        let sent = handle(&house.ask_by_phone(PHONE).await);
        let code = post.next().await.code();
        house.try_code(&sent, wrong(&code)).await;
        house.try_code(&sent, wrong(&code)).await;
    }
    house.wait(3_600);
    let reply = house.ask_by_phone(PHONE).await;
    assert_eq!(refusal(&reply), (429, "RATE_LIMITED"));
    // A device of somebody else is a stranger too.
    let other = Session::of(&house.log_in_by_phone(&post, "+905331234567").await);
    let reply = house.post("/v1/auth/otp", ask(Some(other.refresh))).await;
    assert_eq!(refusal(&reply), (429, "RATE_LIMITED"));
    // Their own device, even with a token that was exchanged long ago.
    let sent = handle(&house.post("/v1/auth/otp", ask(Some(spent.clone()))).await);
    let code = post.next().await.code();
    let reply = house
        .post("/v1/auth/otp/verify", proof(&sent, &code, None))
        .await;
    assert_eq!(refusal(&reply), (401, "OTP_INVALID"));
    for _ in 0..3 {
        let body = proof(&sent, wrong(&code), Some(&spent));
        house.post("/v1/auth/otp/verify", body).await;
    }
    house
        .post("/v1/auth/otp/verify", proof(&sent, &code, Some(&spent)))
        .await
        .expect(200)
        .unwrap();
    // They too get five a day, and a device that was thrown out gets none.
    house.wait(60);
    let sent = handle(&house.post("/v1/auth/otp", ask(Some(spent.clone()))).await);
    let code = post.next().await.code();
    for _ in 0..2 {
        let body = proof(&sent, wrong(&code), Some(&spent));
        house.post("/v1/auth/otp/verify", body).await;
    }
    let body = proof(&sent, &code, Some(&spent));
    let reply = house.post("/v1/auth/otp/verify", body).await;
    assert_eq!(refusal(&reply), (401, "OTP_INVALID"));
    house.wait(60);
    house
        .script(
            "UPDATE identity.user_devices SET revoked_at = now(), revoke_reason = 'refresh_reuse'",
        )
        .await;
    let reply = house.post("/v1/auth/otp", ask(Some(spent))).await;
    assert_eq!(refusal(&reply), (429, "RATE_LIMITED"));
    drop(renewed);
}

#[tokio::test]
async fn an_address_block_asks_for_so_many_codes_an_hour() {
    let mut settings = settings();
    settings.otp.address_per_hour = 3;
    let post = Post::new();
    let house = House::sending(settings, post.senders()).await;
    let ask = |ip: &'static str, number: String| {
        let body = json!({"channel": "sms", "phone_number": number, "purpose": "login"});
        house.post_from(ip, "/v1/auth/otp", body)
    };
    for index in 0..3 {
        let reply = ask("203.0.113.7", format!("+90532123450{index}")).await;
        assert_eq!(reply.status, 202);
    }
    let reply = ask("203.0.113.8", "+905321234509".to_owned()).await;
    assert_eq!(refusal(&reply), (429, "RATE_LIMITED"));
    assert_eq!(reply.headers["retry-after"], "1200");
    let elsewhere = ask("203.0.114.7", "+905321234509".to_owned()).await;
    assert_eq!(elsewhere.status, 202);
}

#[tokio::test]
async fn a_countrys_budget_closes_it_until_midnight() {
    let mut settings = settings();
    settings.otp.country_per_day = 3;
    settings.otp.countries = vec!["TR".parse().unwrap(), "DE".parse().unwrap()];
    let post = Post::new();
    let house = House::sending(settings, post.senders()).await;
    begin_a_day(&house);
    let wishes = (0..9).map(|index| format!("+90532123450{index}"));
    let wishes: Vec<String> = wishes.collect();
    let replies = join_all(wishes.iter().map(|number| house.ask_by_phone(number))).await;
    assert_eq!(
        replies.iter().filter(|reply| reply.status == 202).count(),
        3
    );
    let refused = replies.iter().find(|reply| reply.status == 429).unwrap();
    assert_eq!(refused.headers["retry-after"], DAY_S.to_string().as_str());
    // What was refused took nothing from its number's budget.
    let stored = "SELECT count(*) FROM identity.otp_challenges";
    assert_eq!(house.count(stored).await, 3);
    handle(&house.ask_by_phone("+49 1512 3456789").await);
    house.wait(DAY_S);
    handle(&house.ask_by_phone(&wishes[8]).await);
}

#[tokio::test]
async fn a_full_queue_answers_busy_and_counts_nothing() {
    let mut settings = settings();
    settings.otp.queue = 1;
    let post = Post::new();
    let house = House::sending(settings.clone(), post.senders()).await;
    // A node whose sender does not run: its queue fills up.
    let node = house.sibling_sending(settings, post.senders());
    let ask = async |number: &str| {
        node.send_code(identity::CodeWish {
            channel: identity::Channel::Sms,
            to: number,
            purpose: identity::Purpose::Login,
            caller: None,
            locale: None,
            asked_in: kernel::Locale::Tr,
            known_device: None,
            ip: "198.51.100.7".parse().unwrap(),
        })
        .await
    };
    ask(PHONE).await.unwrap();
    let error = ask("+905331234567").await.unwrap_err();
    let failure = kernel::Failure::from(error);
    assert_eq!(failure.row.code, "BUSY");
    assert_eq!(failure.retry_after.map(|wait| wait.as_secs()), Some(1));
    assert_eq!(
        house
            .count("SELECT count(*) FROM identity.otp_targets")
            .await,
        2,
        "one number and its country"
    );
}

#[tokio::test]
async fn old_codes_and_unused_budgets_are_forgotten() {
    let (house, _post) = house().await;
    handle(&house.ask_by_phone(PHONE).await);
    house.wait(DAY_S);
    let status = house.identity.purge().await.unwrap();
    assert!(status.ends_with("and 0 codes"), "{status}");
    house.wait(301);
    let status = house.identity.purge().await.unwrap();
    assert!(status.ends_with("and 1 codes"), "{status}");
    let budgets = "SELECT count(*) FROM identity.otp_targets";
    assert_eq!(house.count(budgets).await, 2);
    house.wait(31 * DAY_S);
    house.identity.purge().await.unwrap();
    assert_eq!(house.count(budgets).await, 0);
}
