use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use db::data_dir::{DataDir, DataDirError, Node};
use db::private::{Options, PrivateError, PrivatePostgres, Programs, Way};
use db::{Db, Settings, Sql};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid, getpgid};
use testkit::servers::{Scratch, Server, eventually, unprivileged};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);
pub(crate) const MAKE: Sql = Sql::new("test.make", "CREATE TABLE kept (n bigint)");
pub(crate) const KEEP: Sql = Sql::new("test.keep", "INSERT INTO kept VALUES ($1)");
pub(crate) const KEPT: Sql = Sql::new("test.kept", "SELECT count(*) FROM kept");

pub(crate) async fn start(root: &Path) -> (DataDir, PrivatePostgres) {
    let data = DataDir::open(root).unwrap();
    let postgres = PrivatePostgres::start(&data, Options::default())
        .await
        .unwrap();
    (data, postgres)
}

pub(crate) fn pool(postgres: &PrivatePostgres) -> Db {
    Db::connect(&postgres.settings()).unwrap()
}

async fn show(db: &Db, name: &'static str) -> String {
    Sql::new("test.show", "SELECT current_setting($1)")
        .bind(&name)
        .scalar(db)
        .await
        .unwrap()
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_cold_start_makes_a_safe_cluster_and_a_warm_one_finds_its_data() {
    let scratch = Scratch::new("cold").unwrap();
    let root = scratch.path().join("data");
    let began = Instant::now();
    let (data, postgres) = start(&root).await;
    let cold = began.elapsed();
    let db = pool(&postgres);
    MAKE.execute(&db).await.unwrap();
    KEEP.bind(&1_i64).execute(&db).await.unwrap();
    for (name, value) in [
        ("fsync", "on"),
        ("listen_addresses", ""),
        ("wal_level", "replica"),
        ("data_checksums", "on"),
    ] {
        assert_eq!(show(&db, name).await, value, "{name}");
    }
    assert_eq!(
        postgres.version().split('.').next(),
        show(&db, "server_version").await.split('.').next()
    );
    for folder in ["", "pg", "secrets", "run", "run/pg"] {
        assert_eq!(mode(&root.join(folder)), 0o700, "{folder}");
    }
    assert_eq!(mode(&root.join("secrets/pg.password")), 0o600);
    assert!(!root.join("pg.word").exists() && !root.join("pg.new").exists());
    if geteuid().is_root() {
        assert_ne!(*postgres.way(), Way::Ourselves);
    }
    // Ctrl+C reaches our group, not its.
    let pid = Pid::from_raw(i32::try_from(postgres.pid()).unwrap());
    assert_eq!(getpgid(Some(pid)).unwrap(), pid);
    db.close();
    postgres.stop().await.unwrap();
    drop((postgres, data));
    let began = Instant::now();
    let (_data, postgres) = start(&root).await;
    let warm = began.elapsed();
    assert_eq!(KEPT.scalar::<i64>(&pool(&postgres)).await.unwrap(), 1);
    println!("cold {cold:?}, warm {warm:?}");
    assert!(warm < cold, "cold {cold:?}, warm {warm:?}");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_gets_in_without_the_password() {
    let scratch = Scratch::new("word").unwrap();
    let (_data, postgres) = start(scratch.path()).await;
    let wrong = postgres.url("meydan", &"guess".to_owned().into());
    let settings = Settings {
        url: wrong,
        ..Settings::new("")
    };
    assert!(Db::connect(&settings).unwrap().ping().await.is_err());
    pool(&postgres).ping().await.unwrap();
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_owner_is_refused_by_the_name_of_the_first() {
    let scratch = Scratch::new("two").unwrap();
    let first = DataDir::open(scratch.path()).unwrap();
    let node = Node {
        pid: 7,
        socket: Some("/run/x".into()),
        version: "0.0.0".into(),
    };
    assert_eq!(DataDir::read_node(scratch.path()).unwrap(), None);
    first.write_node(&node).unwrap();
    let refused = DataDir::open(scratch.path()).unwrap_err();
    assert!(matches!(refused, DataDirError::Locked { .. }));
    let own = format!("process {}", std::process::id());
    assert!(refused.to_string().contains(&own), "{refused}");
    assert_eq!(DataDir::read_node(scratch.path()).unwrap(), Some(node));
    drop(first);
    DataDir::open(scratch.path()).unwrap();
}

#[tokio::test]
async fn a_long_path_gets_its_socket_elsewhere() {
    let scratch = Scratch::new("long").unwrap();
    let root = scratch.path().join("x".repeat(120));
    let data = DataDir::open(&root).unwrap();
    let runtime_dir = scratch.path().join("rt");
    fs::create_dir(&runtime_dir).unwrap();
    let options = Options {
        runtime_dir: Some(runtime_dir.clone()),
        ..Options::default()
    };
    let postgres = PrivatePostgres::start(&data, options).await.unwrap();
    assert!(postgres.socket_dir().starts_with(&runtime_dir));
    assert_eq!(mode(postgres.socket_dir()), 0o700);
    pool(&postgres).ping().await.unwrap();
    postgres.stop().await.unwrap();
    // Somebody else's or an open folder at that place is not used.
    fs::set_permissions(postgres.socket_dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let options = Options {
        runtime_dir: Some(runtime_dir),
        ..Options::default()
    };
    let refused = PrivatePostgres::start(&data, options)
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(refused, PrivateError::NotOurs { .. }), "{refused}");
    // And when even that name is too long it says so.
    let options = Options {
        runtime_dir: Some(root.clone()),
        ..Options::default()
    };
    let refused = PrivatePostgres::start(&data, options)
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(
        matches!(refused, PrivateError::LongPath { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_killed_server_comes_back_with_every_acknowledged_row() {
    let scratch = Scratch::new("crash").unwrap();
    let (_data, postgres) = start(scratch.path()).await;
    let db = pool(&postgres);
    MAKE.execute(&db).await.unwrap();
    let soft = CancellationToken::new();
    let breaking = async {
        let mut acknowledged = 0;
        for _ in 0..3 {
            for n in 0..20_i64 {
                if KEEP.bind(&n).execute(&db).await.is_ok() {
                    acknowledged += 1;
                }
            }
            let before = postgres.pid();
            signal(before, Signal::SIGKILL);
            let began = Instant::now();
            eventually("it is back", LIMIT, || async {
                // Until then an error that says "try again", never a wrong answer.
                match KEPT.scalar::<i64>(&db).await {
                    Ok(count) => {
                        assert!(count >= acknowledged, "{count} of {acknowledged}");
                        postgres.pid() != before
                    }
                    Err(error) => {
                        assert!(error.is_transient(), "{error}");
                        false
                    }
                }
            })
            .await
            .unwrap();
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{:?}",
                began.elapsed()
            );
        }
        assert_eq!(KEPT.scalar::<i64>(&db).await.unwrap(), acknowledged);
        soft.cancel();
    };
    tokio::join!(postgres.supervise(soft.clone()), breaking);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_ends_the_supervision_and_does_not_wait_for_clients() {
    let scratch = Scratch::new("stop").unwrap();
    let (_data, postgres) = start(scratch.path()).await;
    let db = pool(&postgres);
    let tx = db.begin().await.unwrap();
    MAKE.execute(&tx).await.unwrap();
    let began = Instant::now();
    let supervising = postgres.supervise(CancellationToken::new());
    let (stopped, ()) = tokio::join!(postgres.stop(), supervising);
    stopped.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    assert!(!scratch.path().join("pg/postmaster.pid").exists());
}

#[tokio::test]
async fn a_pid_file_that_names_a_live_stranger_is_stale_and_the_stranger_lives_on() {
    let scratch = Scratch::new("stale").unwrap();
    let (data, postgres) = start(scratch.path()).await;
    postgres.stop().await.unwrap();
    drop((postgres, data));
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    for pid in [stranger.id(), std::process::id()] {
        let socket = scratch.path().join("run/pg");
        let text = format!(
            "{pid}\n{}\n1\n5432\n{}\n\n\nready   \n",
            scratch.path().join("pg").display(),
            socket.display()
        );
        fs::write(scratch.path().join("pg/postmaster.pid"), &text).unwrap();
        fs::write(socket.join(".s.PGSQL.5432.lock"), &text).unwrap();
        let (_data, postgres) = start(scratch.path()).await;
        pool(&postgres).ping().await.unwrap();
        postgres.stop().await.unwrap();
        assert!(stranger.try_wait().unwrap().is_none());
    }
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_survivor_is_stopped_and_started_anew() {
    let scratch = Scratch::new("alive").unwrap();
    let (data, postgres) = start(scratch.path()).await;
    MAKE.execute(&pool(&postgres)).await.unwrap();
    postgres.stop().await.unwrap();
    drop((postgres, data));
    let mut command = unprivileged(Programs::find(None, None).unwrap().program("postgres"));
    command
        .arg("-D")
        .arg(scratch.path().join("pg"))
        .args(["-c", "listen_addresses=", "-c"]);
    command.arg(format!(
        "unix_socket_directories={}",
        scratch.path().join("run/pg").display()
    ));
    let mut survivor = Server::spawn(command, scratch.path().join("log"), Signal::SIGQUIT).unwrap();
    let pidfile = scratch.path().join("pg/postmaster.pid");
    eventually("it runs", LIMIT, || async {
        fs::read_to_string(&pidfile).is_ok_and(|text| text.contains("ready"))
    })
    .await
    .unwrap();
    // A shell that somebody has open in there is no server and is left alone.
    let mut shell = Command::new("sleep")
        .arg("600")
        .current_dir(scratch.path().join("pg"))
        .spawn()
        .unwrap();
    let (_data, postgres) = start(scratch.path()).await;
    assert!(survivor.has_ended().unwrap());
    assert_ne!(postgres.pid(), survivor.pid());
    assert_eq!(KEPT.scalar::<i64>(&pool(&postgres)).await.unwrap(), 0);
    assert!(shell.try_wait().unwrap().is_none());
    shell.kill().unwrap();
    shell.wait().unwrap();
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_half_made_cluster_is_thrown_away_and_a_whole_one_never() {
    let scratch = Scratch::new("half").unwrap();
    let data = DataDir::open(scratch.path()).unwrap();
    fs::create_dir(scratch.path().join("pg.new")).unwrap();
    fs::write(scratch.path().join("pg.new/PG_VERSION"), "15\n").unwrap();
    let postgres = PrivatePostgres::start(&data, Options::default())
        .await
        .unwrap();
    assert!(!scratch.path().join("pg.new").exists());
    postgres.stop().await.unwrap();
    // A cluster of another major version is refused, not replaced.
    fs::write(scratch.path().join("pg/PG_VERSION"), "9\n").unwrap();
    let refused = PrivatePostgres::start(&data, Options::default())
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(refused, PrivateError::Programs(_)), "{refused}");
    assert!(refused.to_string().contains("version 9"), "{refused}");
    // A damaged one says why, with the server's own words.
    fs::write(scratch.path().join("pg/PG_VERSION"), "15\n").unwrap();
    fs::write(
        scratch.path().join("pg/postgresql.conf"),
        "nonsense = here = now\n",
    )
    .unwrap();
    let refused = PrivatePostgres::start(&data, Options::default())
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(refused.to_string().contains("postgresql.conf"), "{refused}");
    assert!(scratch.path().join("pg/base").exists());
}

#[tokio::test]
async fn without_namespaces_root_runs_it_as_another_user_who_must_reach_the_data() {
    if !geteuid().is_root() {
        // The other half of the rule: an ordinary user runs it as itself.
        let scratch = Scratch::new("self").unwrap();
        let (_data, postgres) = start(scratch.path()).await;
        assert_eq!(*postgres.way(), Way::Ourselves);
        return postgres.stop().await.unwrap();
    }
    let scratch = Scratch::new("other").unwrap();
    let user = User::from_name("nobody").unwrap().unwrap();
    let way = Way::Other {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
    };
    let options = Options {
        way: Some(way),
        ..Options::default()
    };
    let root = scratch.path().join("data");
    let data = DataDir::open(&root).unwrap();
    let refused = PrivatePostgres::start(&data, options.clone())
        .await
        .map(|_| ())
        .unwrap_err();
    let named = scratch.path().display().to_string();
    assert!(
        matches!(refused, PrivateError::Unreachable { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains(&named), "{refused}");
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o711)).unwrap();
    for _ in 0..2 {
        let postgres = PrivatePostgres::start(&data, options.clone())
            .await
            .unwrap();
        pool(&postgres).ping().await.unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", postgres.pid())).unwrap();
        let uid = format!("Uid:\t{}", user.uid);
        assert!(status.contains(&uid), "{status}");
        assert_eq!(mode(&root.join("secrets")), 0o700);
        postgres.stop().await.unwrap();
    }
}

#[tokio::test]
async fn dropping_it_stops_the_server() {
    let scratch = Scratch::new("drop").unwrap();
    let (_data, postgres) = start(scratch.path()).await;
    let pidfile = scratch.path().join("pg/postmaster.pid");
    assert!(pidfile.exists());
    drop(postgres);
    eventually("it stops", LIMIT, || async { !pidfile.exists() })
        .await
        .unwrap();
}

#[test]
fn somebody_elses_directory_is_refused_and_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = testkit::servers::Scratch::new("foreign").unwrap();
    let folder = scratch.path().join("home");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Empty: it becomes ours.
    drop(DataDir::open(&folder).unwrap());
    drop(DataDir::open(&folder).unwrap());
    let foreign = scratch.path().join("foreign");
    std::fs::create_dir_all(foreign.join("documents")).unwrap();
    std::fs::set_permissions(&foreign, std::fs::Permissions::from_mode(0o755)).unwrap();
    let refused = DataDir::open(&foreign).unwrap_err();
    assert!(matches!(refused, DataDirError::Foreign { .. }), "{refused}");
    let mode = std::fs::metadata(&foreign).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1);
}
