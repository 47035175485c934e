//! Whom the private PostgreSQL runs as, and what it owes the processes around it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use db::data_dir::DataDir;
use db::private::{Options, PrivateError, PrivatePostgres, Programs};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use testkit::servers::{Scratch, eventually};
use tokio_util::sync::CancellationToken;

use crate::private_pg::{LIMIT, pool, signal, start};

/// Set for the copy of this program that plays a part; the value is its folder.
const PART: &str = "MEYDAN_TEST_PART_DIR";

/// The folder of PostgreSQL's programs, for a part that cannot search for them.
const BIN: &str = "MEYDAN_TEST_PART_BIN";

/// Runs a test of this program again, by itself and in its other part.
fn play(test: &str, folder: &Path, mut with: Command) {
    let output = with
        .args(["--exact", test, "--nocapture"])
        .env(PART, folder)
        .env(BIN, Programs::find(None, None).unwrap().bin)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let cried = String::from_utf8_lossy(&output.stderr);
    // A test of another name would succeed by doing nothing.
    assert!(said.contains("1 passed"), "{said}\n{cried}");
}

async fn refused(root: &Path, options: Options) -> PrivateError {
    let data = DataDir::open(root).unwrap();
    PrivatePostgres::start(&data, options)
        .await
        .map(|_| ())
        .unwrap_err()
}

#[tokio::test]
async fn without_any_way_left_the_error_says_what_would_help() {
    let Some(root) = std::env::var_os(PART) else {
        let scratch = Scratch::new("noway").unwrap();
        let test = "private_ways::without_any_way_left_the_error_says_what_would_help";
        // No helping program is found: namespaces might as well be forbidden.
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.env("PATH", scratch.path());
        play(test, scratch.path(), again);
        return;
    };
    let root = Path::new(&root).join("data");
    let options = |user: &str| Options {
        pg_bin: std::env::var_os(BIN).map(PathBuf::from),
        pg_user: Some(user.to_owned()),
        ..Options::default()
    };
    let error = refused(&root, options("nobody")).await;
    assert!(matches!(error, PrivateError::NoSetpriv), "{error}");
    for part in ["setpriv", "util-linux", "database.url"] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    if geteuid().is_root() {
        let error = refused(&root, options("meydan-no-such-user")).await;
        assert!(matches!(error, PrivateError::NoUser { .. }), "{error}");
        for part in [
            "refuses to run as root",
            "user namespaces",
            "meydan-no-such-user",
            "an ordinary user",
            "database.pg_user",
            "--data /var/lib/meydan",
        ] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    }
    // Nothing was begun that a better start would trip over.
    assert!(!root.join("pg").exists() && !root.join("pg.new").exists());
}

#[tokio::test]
async fn process_one_reaps_what_a_killed_server_leaves_behind() {
    let Some(root) = std::env::var_os(PART) else {
        let scratch = Scratch::new("one").unwrap();
        let test = "private_ways::process_one_reaps_what_a_killed_server_leaves_behind";
        let mut again = Command::new("unshare");
        again
            .args(["-U", "-r", "-p", "-f", "--mount-proc", "--kill-child", "--"])
            .arg(std::env::current_exe().unwrap());
        play(test, scratch.path(), again);
        return;
    };
    assert_eq!(std::process::id(), 1);
    let (_data, postgres) = start(Path::new(&root)).await;
    // A child of ours that has ended and that we have not yet asked.
    let mut own = Command::new("true").spawn().unwrap();
    let server = postgres.pid();
    let workers = children_of(server);
    assert!(workers.len() > 2, "{workers:?}");
    let soft = CancellationToken::new();
    let killing = async {
        signal(server, Signal::SIGKILL);
        eventually("the orphans are gone", LIMIT, || async {
            !workers
                .iter()
                .any(|pid| Path::new(&format!("/proc/{pid}")).exists())
        })
        .await
        .unwrap();
        let db = pool(&postgres);
        eventually("it is back", LIMIT, || async { db.ping().await.is_ok() })
            .await
            .unwrap();
        soft.cancel();
    };
    tokio::join!(postgres.supervise(soft.clone()), killing);
    assert!(own.wait().unwrap().success());
    postgres.stop().await.unwrap();
}

fn children_of(parent: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    text.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}
