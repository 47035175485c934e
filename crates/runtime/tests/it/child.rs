//! What belongs to a whole process runs in a child: this test binary again, for one test.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use runtime::telemetry::{self, Format};
use runtime::{Drain, Lifecycle, signals, spawn};

const CHILD: &str = "MEYDAN_TEST_CHILD";

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1");
    command
}

fn run(mut command: Command) -> Output {
    let output = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn service_manager_is_told() {
    if is_child() {
        telemetry::notify_ready();
        telemetry::notify_stopping();
        return;
    }
    let path = std::env::temp_dir().join(format!("meydan-notify-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut command = child("child::service_manager_is_told");
    command.env("NOTIFY_SOCKET", &path);
    run(command);
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        told.push(String::from_utf8_lossy(&buffer[..length]).trim().to_owned());
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(told, ["READY=1", "STOPPING=1"]);
}

#[test]
fn panic_is_one_log_line_with_task_and_place() {
    if is_child() {
        telemetry::init_as("test", Format::Json, "info").unwrap();
        assert!(
            telemetry::init(Format::Json, "info").is_err(),
            "a second start is refused"
        );
        let lifecycle = Lifecycle::new();
        let task = async { spawn(&lifecycle, "breaks", async { panic!("on purpose") }).await };
        assert!(runtime().block_on(task).is_err());
        return;
    }
    let output = run(child("child::panic_is_one_log_line_with_task_and_place"));
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert_eq!(lines.len(), 1, "{text}");
    let line = &lines[0];
    assert_eq!(line["level"], "error");
    assert_eq!(line["message"], "panicked: on purpose");
    assert_eq!(line["task.name"], "breaks");
    assert!(
        line["panic.location"]
            .as_str()
            .unwrap()
            .contains("child.rs"),
        "{line}"
    );
}

#[test]
fn first_signal_drains_and_second_leaves() {
    use nix::sys::signal::{Signal, raise};
    if !is_child() {
        run(child("child::first_signal_drains_and_second_leaves"));
        return;
    }
    runtime().block_on(async {
        let lifecycle = Lifecycle::new();
        let (soft, hard) = (lifecycle.soft().clone(), lifecycle.hard().clone());
        let stubborn = spawn(&lifecycle, "stubborn", async move {
            soft.cancelled().await;
            assert!(!hard.is_cancelled());
            raise(Signal::SIGINT).unwrap();
            hard.cancelled().await;
        });
        let end = async { signals(&lifecycle, Duration::from_secs(60)).await.unwrap() };
        let ask = async {
            // `signals` was polled first, so its handlers stand.
            raise(Signal::SIGTERM).unwrap();
        };
        let (drain, ()) = tokio::join!(biased; end, ask);
        assert_eq!(drain, Drain::TimedOut);
        stubborn.await.unwrap();

        let lifecycle = Lifecycle::new();
        let soft = lifecycle.soft().clone();
        drop(spawn(&lifecycle, "obedient", async move {
            soft.cancelled().await
        }));
        let end = async { signals(&lifecycle, Duration::from_secs(60)).await.unwrap() };
        let (drain, ()) = tokio::join!(biased; end, async { raise(Signal::SIGTERM).unwrap() });
        assert_eq!(drain, Drain::Drained);
    });
}

#[test]
fn a_closed_terminal_drains() {
    use nix::sys::signal::{Signal, raise};
    if !is_child() {
        run(child("child::a_closed_terminal_drains"));
        return;
    }
    runtime().block_on(async {
        let lifecycle = Lifecycle::new();
        let end = async { signals(&lifecycle, Duration::from_secs(60)).await.unwrap() };
        // Without a handler the signal ends this process.
        let (drain, ()) = tokio::join!(biased; end, async { raise(Signal::SIGHUP).unwrap() });
        assert_eq!(drain, Drain::Drained);
    });
}

#[test]
fn nohup_is_respected() {
    use nix::sys::signal::{Signal, raise};
    if !is_child() {
        let test = child("child::nohup_is_respected");
        let mut nohup = Command::new("nohup");
        nohup.arg(test.get_program()).args(test.get_args());
        nohup.env(CHILD, "1");
        run(nohup);
        return;
    }
    let is_ignored = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let mut lines = status.lines();
        let mask = lines.find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1
    };
    assert!(is_ignored(), "nohup does what it is for");
    runtime().block_on(async {
        let lifecycle = Lifecycle::new();
        let end = async { signals(&lifecycle, Duration::from_secs(60)).await.unwrap() };
        let ask = async {
            assert!(is_ignored(), "no handler took its place");
            raise(Signal::SIGTERM).unwrap();
        };
        let (drain, ()) = tokio::join!(biased; end, ask);
        assert_eq!(drain, Drain::Drained);
    });
}
