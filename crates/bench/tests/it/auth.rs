//! Runs of the scenarios about logins.

use serde_json::Value;

use crate::accounts::AccountFaults;
use crate::runs::{Outcome, against, number};
use crate::server::Faults;

fn run(accounts: AccountFaults, args: &str) -> anyhow::Result<Outcome> {
    let faults = Faults {
        accounts,
        ..Faults::default()
    };
    against(faults, &format!("auth {args} --users 5 --seconds 0.2"))
}

fn fine(args: &str) -> Vec<Value> {
    let outcome = run(AccountFaults::default(), args).unwrap();
    assert_eq!(outcome.code, 0);
    outcome.lines
}

fn whats(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line["what"].as_str().unwrap())
        .collect()
}

#[test]
fn verification_is_measured_in_process_and_over_http() {
    let lines = fine("verify --connections 2");
    let expected = [
        "EdDSA, in process",
        "HS256, in process",
        "bot token, remembered",
        "API key, remembered",
        "public route",
        "own profile",
        "own profile, no token",
        "own profile, forged token",
    ];
    assert_eq!(whats(&lines), expected);
    let (inside, http) = lines.split_at(4);
    for line in inside {
        assert!(number(line, "verifications") >= 64, "{line}");
        assert!(line["cpu_us"].as_f64() > Some(0.0), "{line}");
    }
    for line in http {
        assert!(number(line, "calls") > 2, "{line}");
        assert_eq!((number(line, "n"), number(line, "lost")), (2, 0));
        assert!(line["p99_us"].as_f64() >= line["p50_us"].as_f64());
    }
    assert_eq!(http[0]["cpu_ratio"].as_f64(), Some(1.0));
    assert!(http[1]["cpu_ratio"].as_f64() > Some(0.0));
}

#[test]
fn every_exchange_has_one_successor() {
    let lines = fine("refresh --rounds 2");
    let expected = ["one at a time", "32 at a time"].repeat(2);
    assert_eq!(whats(&lines), expected);
    for (line, (lanes, round)) in lines.iter().zip([(1, 1), (32, 1), (1, 2), (32, 2)]) {
        assert_eq!((number(line, "n"), number(line, "round")), (lanes, round));
        assert!(number(line, "calls") > lanes, "{line}");
        assert_eq!((number(line, "lost"), number(line, "dup")), (0, 0));
    }
}

#[test]
fn a_successor_nobody_got_and_one_too_many_fail_the_run() {
    let skip = AccountFaults {
        skip_successor: Some(10),
        ..AccountFaults::default()
    };
    let repeat = AccountFaults {
        repeat_generation: Some(10),
        ..AccountFaults::default()
    };
    for (faults, wrong, right) in [(skip, "lost", "dup"), (repeat, "dup", "lost")] {
        let outcome = run(faults, "refresh --connections 4").unwrap();
        assert_eq!(outcome.code, 6);
        let line = &outcome.lines[0];
        assert!(number(line, wrong) > 0, "{line}");
        assert_eq!(number(line, right), 0, "{line}");
    }
    let second = AccountFaults {
        second_successor: true,
        ..AccountFaults::default()
    };
    let outcome = run(second, "refresh --connections 4").unwrap();
    assert_eq!(outcome.code, 6);
    assert_eq!(number(&outcome.lines[0], "dup"), 4, "one for each chain");
}

#[test]
fn logins_are_compared_and_overload_is_counted() {
    let full = AccountFaults {
        full: Some(7),
        ..AccountFaults::default()
    };
    let outcome = run(full, "login --connections 3").unwrap();
    assert_eq!(outcome.code, 0);
    let expected = [
        "known name, wrong password",
        "unknown name",
        "right password",
        "more than there is room for",
    ];
    assert_eq!(whats(&outcome.lines), expected);
    for (line, lanes) in outcome.lines.iter().zip([3, 3, 3, 160]) {
        assert_eq!(number(line, "n"), lanes);
        assert!(number(line, "calls") > 3, "{line}");
        assert!(number(line, "refused") > 0, "{line}");
        let told = line["reason"].as_str().unwrap().contains("were refused");
        assert_eq!(told, lanes != 160, "{line}");
    }
}

#[test]
fn a_server_that_takes_any_password_ends_the_run() {
    let faults = AccountFaults {
        any_password: true,
        ..AccountFaults::default()
    };
    let error = run(faults, "login").err().unwrap();
    assert!(
        format!("{error:#}").contains("expected 401, got 200"),
        "{error:#}"
    );
}

#[test]
fn every_code_logs_somebody_else_in() {
    let lines = fine("otp --rounds 2 --connections 2");
    assert_eq!(whats(&lines), ["right code", "right code"]);
    for line in &lines {
        assert_eq!((number(line, "calls"), number(line, "dup")), (5, 0));
    }
    let faults = AccountFaults {
        one_person: true,
        ..AccountFaults::default()
    };
    let outcome = run(faults, "otp --connections 2").unwrap();
    assert_eq!((outcome.code, number(&outcome.lines[0], "dup")), (6, 4));
}

#[test]
fn limits_of_logins_are_told() {
    let faults = AccountFaults {
        throttle: Some(4),
        ..AccountFaults::default()
    };
    for args in ["refresh --connections 2", "login --connections 2"] {
        let outcome = run(faults, args).unwrap();
        let line = &outcome.lines[0];
        assert!(number(line, "throttled") > 0, "{line}");
        assert!(line["reason"].as_str().unwrap().contains("rate limit"));
    }
}
