//! Whole runs.

use serde_json::Value;

use crate::server::{Faults, Server};

pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) lines: Vec<Value>,
    talk: String,
}

fn run(args: &str) -> anyhow::Result<Outcome> {
    let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let code = bench::run_to(&args, &mut out, &mut talk)?;
    Ok(Outcome {
        code,
        lines: String::from_utf8(out)?
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect(),
        talk: String::from_utf8(talk)?,
    })
}

/// Runs a scenario against a server with these faults; the server's process is this one.
pub(crate) fn against(faults: Faults, args: &str) -> anyhow::Result<Outcome> {
    let server = Server::start(faults);
    let pid = std::process::id();
    run(&format!(
        "{args} --url {} --pid {pid} --warm 0 --drain 1",
        server.url
    ))
}

const FAN: &str = "realtime fan1k-w1 --sockets 60 --senders 3 --seconds 0.3";
const FAN16: &str = "realtime fan1k-w16 --sockets 60 --senders 3 --seconds 0.3";
const DURABLE: &str = "write durable --users 3 --channels 7 --connections 8 --seconds 0.3";

const UNREAD: &str = "read unread200 --users 3 --connections 4 --seconds 0.3";
const HISTORY: &str = "read history --users 3 --connections 4 --seconds 0.3";

pub(crate) fn number(line: &Value, field: &str) -> u64 {
    line[field]
        .as_u64()
        .unwrap_or_else(|| panic!("{field} is {}", line[field]))
}

#[test]
fn a_faultless_channel_is_reported_whole() {
    for (args, in_flight) in [(FAN, 1), (FAN16, 16)] {
        let outcome = against(Faults::default(), &format!("{args} --rounds 2")).unwrap();
        assert_eq!(outcome.code, 0);
        assert_eq!(outcome.lines.len(), 2);
        for line in &outcome.lines {
            let messages = number(line, "messages");
            assert!(messages > 1, "{line}");
            assert_eq!(number(line, "deliveries"), messages * 60);
            assert_eq!((number(line, "lost"), number(line, "dup")), (0, 0));
            assert_eq!((number(line, "n"), number(line, "window")), (60, in_flight));
            assert!(line["p50_us"].as_f64() > Some(0.0));
            assert!(line["max_us"].as_f64() >= line["p99_us"].as_f64());
            assert!(line["frame_bytes"].as_f64() > Some(96.0));
            assert!(line["srv_cpu_us_per_deliv"].as_f64().is_some());
            assert!(line["frames_per_read"].as_f64() > Some(0.0));
        }
    }
}

#[test]
fn a_lost_delivery_fails_the_run() {
    for args in [FAN, FAN16] {
        let faults = Faults {
            lose_delivery: Some(70),
            ..Faults::default()
        };
        let outcome = against(faults, args).unwrap();
        assert_eq!(outcome.code, 6);
        let line = &outcome.lines[0];
        assert!(number(line, "lost") > 0);
        assert_eq!(number(line, "dup"), 0);
    }
}

#[test]
fn a_doubled_delivery_fails_the_run() {
    let faults = Faults {
        double_delivery: Some(70),
        ..Faults::default()
    };
    let outcome = against(faults, FAN).unwrap();
    assert_eq!(outcome.code, 6);
    let line = &outcome.lines[0];
    assert!(number(line, "dup") > 0);
    assert_eq!(number(line, "lost"), 0);
}

#[test]
fn acknowledged_messages_are_found_again() {
    let outcome = against(Faults::default(), DURABLE).unwrap();
    assert_eq!(outcome.code, 0);
    let line = &outcome.lines[0];
    assert!(number(line, "messages") > 10, "{line}");
    assert_eq!((number(line, "lost"), number(line, "dup")), (0, 0));
    assert_eq!((number(line, "n"), number(line, "rooms")), (8, 7));
    assert!(line["p99_us"].as_f64() > Some(0.0));
}

#[test]
fn an_acknowledged_message_that_is_not_stored_is_lost() {
    let faults = Faults {
        forget_message: Some(10),
        ..Faults::default()
    };
    let outcome = against(faults, DURABLE).unwrap();
    assert_eq!(outcome.code, 6);
    let line = &outcome.lines[0];
    assert!(number(line, "lost") > 0);
    assert_eq!(number(line, "lost"), number(line, "messages") / 10);
    assert_eq!(number(line, "dup"), 0);
}

#[test]
fn reads_are_looked_at() {
    for (args, rooms) in [(UNREAD, 199), (HISTORY, 20)] {
        let outcome = against(Faults::default(), args).unwrap();
        assert_eq!(outcome.code, 0, "{args}");
        let line = &outcome.lines[0];
        assert!(number(line, "messages") > 4, "{line}");
        assert_eq!((number(line, "n"), number(line, "rooms")), (4, rooms));
        assert_eq!(number(line, "lost"), 0);
        assert!(line["p99_us"].as_f64() > Some(0.0));
        let faults = Faults {
            forget_message: Some(10),
            ..Faults::default()
        };
        let outcome = against(faults, args).unwrap();
        assert_eq!(outcome.code, 6, "{args}");
        assert!(number(&outcome.lines[0], "lost") > 0, "{args}");
    }
}

#[test]
fn a_message_stored_twice_is_doubled() {
    let faults = Faults {
        store_twice: Some(10),
        ..Faults::default()
    };
    let outcome = against(faults, DURABLE).unwrap();
    assert_eq!(outcome.code, 6);
    let line = &outcome.lines[0];
    assert_eq!(number(line, "dup"), number(line, "messages") / 10);
    assert_eq!(number(line, "lost"), 0);
}

#[test]
fn a_cut_connection_sends_the_same_nonce_again() {
    let faults = Faults {
        hang_up: Some(5),
        ..Faults::default()
    };
    for args in [FAN, DURABLE] {
        let outcome = against(faults, args).unwrap();
        assert_eq!(outcome.code, 0, "{args}");
        assert!(number(&outcome.lines[0], "messages") > 10);
    }
}

#[test]
fn rate_limits_are_told_and_lose_nothing() {
    let faults = Faults {
        throttle: Some(4),
        ..Faults::default()
    };
    for args in [FAN, FAN16, DURABLE] {
        let outcome = against(faults, args).unwrap();
        assert_eq!(outcome.code, 0, "{args}");
        let line = &outcome.lines[0];
        assert!(number(line, "throttled") > 0);
        assert_eq!((number(line, "lost"), number(line, "dup")), (0, 0));
        assert!(line["reason"].as_str().unwrap().contains("rate limit"));
    }
}

#[test]
fn senders_rest_before_they_are_told_to() {
    let faults = Faults {
        in_a_row: Some(2),
        ..Faults::default()
    };
    for (args, senders) in [(FAN, 3), (FAN16, 3), (DURABLE, 21)] {
        let outcome = against(faults, &format!("{args} --seconds 1")).unwrap();
        assert_eq!(outcome.code, 0, "{args}");
        let line = &outcome.lines[0];
        assert_eq!(number(line, "throttled"), 0, "{line}");
        // Two each; the third would have had to wait for longer than the window.
        assert_eq!(number(line, "messages"), 2 * senders, "{line}");
        assert!(
            line["reason"].as_str().unwrap().contains("--senders"),
            "{line}"
        );
    }
}

#[test]
fn idle_sockets_are_counted_and_kept_alive() {
    let args = "realtime idle --sockets 120 --seconds 0.4 --rounds 2";
    let outcome = against(Faults::default(), args).unwrap();
    assert_eq!(outcome.code, 0);
    let first = &outcome.lines[0];
    assert_eq!((number(first, "n"), number(first, "lost")), (120, 0));
    assert!(first["rss_per_conn_b"].as_f64().is_some());
    assert!(first["srv_cpu_us_per_socket"].as_f64().is_some());
    // Only the first window holds the connecting.
    assert!(outcome.lines[1]["rss_per_conn_b"].is_null());
    // Heartbeats were answered.
    assert!(outcome.lines[1]["frames_per_read"].as_f64() > Some(0.0));
}

#[test]
fn a_socket_that_ends_while_idle_is_lost() {
    let faults = Faults {
        drop_sockets: Some(20),
        ..Faults::default()
    };
    let outcome = against(faults, "realtime idle --sockets 20 --seconds 1").unwrap();
    assert_eq!(outcome.code, 6);
    assert_eq!(number(&outcome.lines[0], "lost"), 20);
}

#[test]
fn a_refused_identify_tells_the_close_code() {
    let faults = Faults {
        refuse: true,
        ..Faults::default()
    };
    let error = against(faults, FAN).err().unwrap();
    assert!(
        format!("{error:#}").contains("4004: bad token"),
        "{error:#}"
    );
}

#[test]
fn a_debug_build_is_never_judged_and_strict_says_so() {
    let outcome = against(Faults::default(), FAN).unwrap();
    assert_eq!(
        (outcome.code, &outcome.lines[0]["judged"]),
        (0, &Value::Bool(false))
    );
    let reason = outcome.lines[0]["reason"].as_str().unwrap();
    assert!(reason.contains("debug build"), "{reason}");
    let outcome = against(Faults::default(), &format!("{FAN} --strict")).unwrap();
    assert_eq!(outcome.code, 4);
}

#[test]
fn the_process_is_found_in_the_data_directory() {
    let data = std::env::temp_dir().join(format!("meydan-bench-it-{}", std::process::id()));
    std::fs::create_dir_all(data.join("run")).unwrap();
    let node = format!(r#"{{"pid": {}}}"#, std::process::id());
    std::fs::write(data.join("run/node.json"), node).unwrap();
    let server = Server::start(Faults::default());
    let args = format!(
        "{FAN} --warm 0 --url {} --data {}",
        server.url,
        data.display()
    );
    let outcome = run(&args).unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    assert!(number(&outcome.lines[0], "rss_after") > 0);
    let missing = run(&args).err().unwrap();
    assert!(format!("{missing:#}").contains("node.json"), "{missing:#}");
}

#[test]
fn tables_and_limits_are_printed() {
    let outcome = run("limits --sockets 40").unwrap();
    assert_eq!(outcome.code, 0);
    let whats: Vec<_> = outcome
        .lines
        .iter()
        .map(|row| row["what"].as_str().unwrap())
        .collect();
    assert_eq!(whats.len(), 8);
    assert!(whats.contains(&"writev of 16"));
    assert!(
        outcome
            .lines
            .iter()
            .all(|row| row["us_per_frame"].as_f64() >= Some(0.0))
    );
    let server = Server::start(Faults::default());
    let mut out = Vec::new();
    let args: Vec<String> = format!("{FAN} --warm 0 --url {} -o table", server.url)
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    assert_eq!(bench::run_to(&args, &mut out, &mut Vec::new()).unwrap(), 0);
    let table = String::from_utf8(out).unwrap();
    assert!(table.contains("deliv_s"), "{table}");
    assert!(table.contains("process is not known"), "{table}");
}

#[test]
fn a_core_that_does_not_exist_is_refused_by_every_command() {
    for args in ["limits --sockets 2", FAN] {
        let error = against(Faults::default(), &format!("{args} --pin 1000"))
            .err()
            .unwrap();
        assert!(
            format!("{error:#}").contains("pinning to core 1000"),
            "{error:#}"
        );
    }
}

#[test]
fn wrong_usage_is_two_and_a_missing_server_an_error() {
    let outcome = run("realtime fan2k").unwrap();
    assert_eq!(outcome.code, 2);
    assert!(outcome.talk.contains("unknown scenario"));
    // Bound and closed at once: nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = run(&format!("{FAN} --url http://{address}")).err().unwrap();
    assert!(format!("{error:#}").contains("registrations"), "{error:#}");
}
