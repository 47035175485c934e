//! Logins on a server that asks for passwords.

use std::fs;
use std::path::Path;

use db::private::Programs;
use db::{Db, Settings};
use nix::sys::signal::Signal;
use secrecy::SecretString;
use testkit::servers::{Scratch, Server, eventually, unprivileged};

use crate::fixture::SHOP;
use crate::private_pg::{LIMIT, start};

/// The cluster's server as a plain child with a log in a file, which holds every statement.
async fn talkative(root: &Path, settings: &Settings) -> Server {
    let mut command = unprivileged(Programs::find(None, None).unwrap().program("postgres"));
    command.arg("-D").arg(root.join("pg"));
    let socket = root.join("run/pg").display().to_string();
    for setting in [
        "listen_addresses=".to_owned(),
        format!("unix_socket_directories={socket}"),
        "log_statement=all".to_owned(),
    ] {
        command.arg("-c").arg(setting);
    }
    let server = Server::spawn(command, root.join("log"), Signal::SIGINT).unwrap();
    let db = Db::connect(settings).unwrap();
    eventually("it answers", LIMIT, || async { db.ping().await.is_ok() })
        .await
        .unwrap();
    server
}

#[tokio::test]
async fn a_login_gets_in_by_its_password_which_the_server_never_sees() {
    let scratch = Scratch::new("login").unwrap();
    let (_data, postgres) = start(scratch.path()).await;
    let settings = postgres.settings();
    db::migrate(&settings, &[SHOP]).await.unwrap();
    let password = SecretString::from("it's \\ a \"hushhush\" ş");
    let of = |password: &SecretString| Settings {
        url: postgres.url("node_login", password),
        ..Settings::new("")
    };
    let (right, wrong) = (of(&password), of(&"hushhush".to_owned().into()));
    postgres.stop().await.unwrap();
    let mut server = talkative(scratch.path(), &settings).await;
    // The second time it changes the password of a login that exists.
    for _ in 0..2 {
        db::ensure_login(&settings, "node_login", Some(&password), "meydan_app")
            .await
            .unwrap();
        Db::connect(&right).unwrap().ping().await.unwrap();
        assert!(Db::connect(&wrong).unwrap().ping().await.is_err());
    }
    // A statement that fails is logged in any case, with its text.
    let failed = db::ensure_login(&settings, "node_login", Some(&password), "nobody_app").await;
    failed.unwrap_err();
    server.end().unwrap();
    let log = fs::read_to_string(scratch.path().join("log")).unwrap();
    let told = |line: &&str| line.contains("ALTER ROLE node_login LOGIN PASSWORD 'SCRAM-SHA-256$");
    assert!(log.lines().filter(told).count() > 2, "{log}");
    assert!(!log.contains("hushhush"), "{log}");
}
