//! Nodes that are killed, and what their servers leave behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use db::data_dir::{DataDir, DataDirError};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use testkit::servers::{Scratch, eventually};

use crate::private_pg::{KEEP, KEPT, LIMIT, MAKE, pool, signal, start};

/// Set for the copy of this program that plays a node which is going to be killed.
const NODE: &str = "MEYDAN_TEST_NODE_DIR";

/// Starts a copy of this test as a node of its own and returns it with its server's pid.
fn node(test: &str, root: &Path) -> (Child, u32) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(NODE, root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid = lines
        .map_while(Result::ok)
        .find_map(|line| {
            line.split_once("server ")
                .and_then(|(_, pid)| pid.trim().parse().ok())
        })
        .expect("the node starts");
    (child, pid)
}

/// Plays the node, if this process is one: writes a row, says the server's pid, and waits to be
/// killed.
async fn play_node() {
    let Some(root) = std::env::var_os(NODE) else {
        return;
    };
    let (_data, postgres) = start(Path::new(&root)).await;
    let db = pool(&postgres);
    MAKE.execute(&db).await.unwrap();
    KEEP.bind(&1_i64).execute(&db).await.unwrap();
    println!("server {}", postgres.pid());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_node_killed_the_hard_way_takes_its_server_along_and_can_start_again() {
    play_node().await;
    let scratch = Scratch::new("kill").unwrap();
    let test =
        "private_nodes::a_node_killed_the_hard_way_takes_its_server_along_and_can_start_again";
    let (mut child, server) = node(test, scratch.path());
    assert!(matches!(
        DataDir::open(scratch.path()),
        Err(DataDirError::Locked { .. })
    ));
    child.kill().unwrap();
    child.wait().unwrap();
    let (_data, postgres) = start(scratch.path()).await;
    assert_ne!(postgres.pid(), server);
    assert_eq!(KEPT.scalar::<i64>(&pool(&postgres)).await.unwrap(), 1);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_zombie_server_and_its_stale_locks_do_not_stop_the_next_start() {
    play_node().await;
    let scratch = Scratch::new("zombie").unwrap();
    let test = "private_nodes::a_zombie_server_and_its_stale_locks_do_not_stop_the_next_start";
    let (mut child, server) = node(test, scratch.path());
    // The node is stopped, so nobody reaps its server: a zombie with live lock files.
    stop_whole(&child);
    signal(server, Signal::SIGKILL);
    let state = format!("/proc/{server}/stat");
    eventually("it is a zombie", LIMIT, || async {
        fs::read_to_string(&state).is_ok_and(|text| text.contains(") Z "))
    })
    .await
    .unwrap();
    assert!(scratch.path().join("pg/postmaster.pid").exists());
    assert!(scratch.path().join("run/pg/.s.PGSQL.5432.lock").exists());
    // The stopped node still holds the directory's lock; the cluster moves to another one.
    let moved = Scratch::new("zombie2").unwrap();
    for folder in ["pg", "secrets", "run"] {
        fs::rename(scratch.path().join(folder), moved.path().join(folder)).unwrap();
    }
    fs::remove_file(moved.path().join("run/lock")).unwrap();
    let (_data, postgres) = start(moved.path()).await;
    assert_eq!(KEPT.scalar::<i64>(&pool(&postgres)).await.unwrap(), 1);
    postgres.stop().await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Stops a process and waits until each of its threads stands still: until then the one that waits
/// for the server could still reap it.
fn stop_whole(child: &Child) {
    signal(child.id(), Signal::SIGSTOP);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGSTOP));
}
