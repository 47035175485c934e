//! Which of several values wins.

use identity::EmailVerification;

use super::super::{Env, Origin};
use super::{Folder, Request, serve, up};

/// Each place sets the ports of all places above it wrongly and its own rightly.
#[test]
fn higher_places_win() {
    let folder = Folder::new()
        .with(
            "etc/meydan.toml",
            "[http]\nport = 1\n[messaging]\nwriters = 1\n",
        )
        .with("etc/conf.d/10.toml", "[http]\nport = 2\n")
        .with("etc/conf.d/20.toml", "[http]\nport = 3\n")
        .with("etc/conf.d/30.txt", "not toml and not read")
        .with("work/meydan.toml", "[http]\nport = 4\n")
        .with("work/.env.local", "MEYDAN_HTTP__PORT=5\n")
        .with("work/.env", "MEYDAN_HTTP__PORT=6\n");
    let remove = |name: &str| std::fs::remove_file(folder.0.join(name)).unwrap();
    let port = |variables: &[(&str, &str)], set: &[&str]| {
        let loaded = folder.load(variables, set).unwrap();
        assert_eq!(loaded.config.messaging.writers, 1, "tables merge");
        loaded.config.http.port
    };
    let environment = [("MEYDAN_HTTP__PORT", "7")];
    assert_eq!(port(&environment, &["http.port=8", "http.port=9"]), 9);
    assert_eq!(port(&environment, &[]), 7);
    assert_eq!(port(&[], &[]), 6);
    remove("work/.env");
    assert_eq!(port(&[], &[]), 5);
    remove("work/.env.local");
    assert_eq!(port(&[], &[]), 4);
    remove("work/meydan.toml");
    assert_eq!(port(&[], &[]), 3);
    remove("etc/conf.d/20.toml");
    assert_eq!(port(&[], &[]), 2);
    remove("etc/conf.d/10.toml");
    assert_eq!(port(&[], &[]), 1);
    remove("etc/meydan.toml");
    assert_eq!(folder.load(&[], &[]).unwrap().config.http.port, 3000);
}

#[test]
fn a_named_file_replaces_the_three_places() {
    let folder = Folder::new()
        .with("etc/meydan.toml", "[http]\nport = 1\n")
        .with("etc/conf.d/10.toml", "nonsense")
        .with("work/meydan.toml", "nonsense")
        .with("work/other.toml", "[messaging]\nwriters = 3\n");
    let request = Request {
        file: Some("other.toml".into()),
        ..up(&[])
    };
    let config = folder.load_as(&request, &[]).unwrap().config;
    assert_eq!((config.http.port, config.messaging.writers), (3000, 3));
}

#[test]
fn arrays_replace_and_variables_write_them_with_commas() {
    let folder = Folder::new()
        .with(
            "etc/meydan.toml",
            "[http]\ntrusted_proxies = [\"10.0.0.1\", \"10.0.0.2\"]\n",
        )
        .with(
            "work/meydan.toml",
            "[http]\ntrusted_proxies = [\"10.0.0.3\"]\n",
        );
    let proxies = |variables: &[(&str, &str)]| {
        let config = folder.load(variables, &[]).unwrap().config;
        config
            .http
            .trusted_proxies
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(proxies(&[]), ["10.0.0.3/32"]);
    assert_eq!(
        proxies(&[("MEYDAN_HTTP__TRUSTED_PROXIES", "10.1.0.0/16, ::1")]),
        ["10.1.0.0/16", "::1/128"]
    );
}

#[test]
fn dot_env_files_are_for_development_and_follow_the_container() {
    let folder = Folder::new()
        .with("work/.env.local", "MEYDAN_HTTP__PORT=5\n")
        .with(
            "work/.env.docker",
            "export MEYDAN_HTTP__PORT='6' # in the container\n",
        );
    let port = |variables: &[(&str, &str)]| folder.load(variables, &[]).unwrap().config.http.port;
    assert_eq!(port(&[]), 5);
    assert_eq!(port(&[("RUNNING_IN_DOCKER", "true")]), 6);
    let production = [
        ("MEYDAN_ENV", "prod"),
        ("MEYDAN_HTTP__PUBLIC_URL", "https://example.com"),
    ];
    assert_eq!(port(&production), 3000);
}

#[test]
fn common_names_are_read_with_a_notice_and_short_ones_without() {
    let folder = Folder::new().with("work/password", "correct horse\r\n");
    let password = folder.path("work/password");
    let loaded = folder
        .load(
            &[
                ("PORT", "4000"),
                ("AUTH_DEV_MODE", "false"),
                ("DATABASE_URL", ""),
                ("REDIS_URL", "redis://x"),
                ("MEYDAN_ADMIN_EMAIL", "ayse@example.com"),
                ("MEYDAN_ADMIN_PASSWORD_FILE", &password),
            ],
            &[],
        )
        .unwrap();
    assert_eq!(loaded.config.http.port, 4000);
    assert_eq!(loaded.config.auth.dev_mode, Some(false));
    assert!(
        loaded.config.database.url.is_none(),
        "an empty variable is not set"
    );
    assert_eq!(
        loaded.config.admin.email.as_deref(),
        Some("ayse@example.com")
    );
    assert_eq!(
        loaded.config.admin.password.unwrap().expose(),
        "correct horse"
    );
    assert_eq!(
        loaded.notices,
        [
            "env PORT is read as http.port; our own name is MEYDAN_HTTP__PORT",
            "env AUTH_DEV_MODE is read as auth.dev_mode; our own name is MEYDAN_AUTH__DEV_MODE",
            "env REDIS_URL has no effect in this version",
        ]
    );
}

#[test]
fn variables_of_a_kubernetes_service_are_one_notice() {
    let folder = Folder::new();
    let loaded = folder
        .load(
            &[
                ("MEYDAN_PORT", "tcp://10.0.0.7:3000"),
                ("MEYDAN_SERVICE_HOST", "10.0.0.7"),
                ("MEYDAN_PORT_3000_TCP_ADDR", "10.0.0.7"),
                ("MEYDAN_TEST_ANYTHING", "1"),
            ],
            &[],
        )
        .unwrap();
    assert_eq!(loaded.notices.len(), 1, "{:?}", loaded.notices);
    assert!(
        loaded.notices[0].starts_with("3 variables"),
        "{:?}",
        loaded.notices
    );
}

#[test]
fn credentials_of_the_service_manager_are_secrets() {
    let folder = Folder::new().with("work/database.url", "postgres://credential\n");
    let directory = folder.path("work");
    let loaded = folder
        .load(&[("CREDENTIALS_DIRECTORY", &directory)], &[])
        .unwrap();
    assert_eq!(
        loaded.config.database.url.unwrap().expose(),
        "postgres://credential"
    );
    assert!(matches!(
        loaded.origins["database.url"],
        Origin::Credential { .. }
    ));

    let report = folder
        .load(
            &[
                ("CREDENTIALS_DIRECTORY", &directory),
                ("DATABASE_URL", "postgres://b"),
            ],
            &[],
        )
        .unwrap_err();
    assert_eq!(report.problems.len(), 1);
    assert_eq!(report.problems[0].code.as_str(), "config.secret_twice");
}

#[test]
fn strings_expand_and_a_file_names_a_secret() {
    let folder = Folder::new().with("work/secret", &"s".repeat(32)).with(
        "work/meydan.toml",
        "[auth]\nissuer = \"issuer of ${WHO}\"\n",
    );
    let file = format!(
        "[auth]\nissuer = \"issuer of ${{WHO}}\"\n[auth.jwt]\nsecret_file = \"{}\"\n",
        folder.path("work/secret")
    );
    let folder = folder.with("work/meydan.toml", &file);
    let config = folder.load(&[("WHO", "${WHO} twice")], &[]).unwrap().config;
    assert_eq!(
        config.auth.issuer, "issuer of ${WHO} twice",
        "expanded once"
    );
    assert_eq!(config.auth.jwt.secret.unwrap().expose().len(), 32);
}

#[test]
fn conveniences_follow_from_a_loopback_installation() {
    let folder = Folder::new();
    let facts = |set: &[&str]| {
        let config = folder.load(&[], set).unwrap().config;
        (
            config.dev_mode(),
            config.email_verification(),
            config.public_url().to_string(),
        )
    };
    let (off, required) = (EmailVerification::Off, EmailVerification::Required);
    assert_eq!(facts(&[]), (true, off, "http://127.0.0.1:3000".to_owned()));
    assert_eq!(
        facts(&["http.listen=::1", "http.port=4000"]),
        (true, off, "http://[::1]:4000".to_owned())
    );
    assert_eq!(
        facts(&["http.listen=0.0.0.0"]),
        (false, required, "http://127.0.0.1:3000".to_owned())
    );
    assert_eq!(
        facts(&["grpc.listen=0.0.0.0"]),
        (false, required, "http://127.0.0.1:3000".to_owned())
    );
    assert_eq!(
        facts(&["grpc.listen=0.0.0.0", "grpc.enabled=false"]),
        (true, off, "http://127.0.0.1:3000".to_owned())
    );
    assert_eq!(
        facts(&["http.public_url=https://meydan.example"]),
        (false, required, "https://meydan.example".to_owned())
    );
    assert_eq!(
        facts(&["auth.dev_mode=false"]),
        (false, required, "http://127.0.0.1:3000".to_owned())
    );
    let served = folder.load_as(&serve(), &[]).unwrap_err();
    assert!(!served.problems.is_empty(), "serve is prod by default");
}

#[test]
fn the_file_and_the_command_decide_the_environment() {
    let folder = Folder::new();
    assert_eq!(folder.load(&[], &[]).unwrap().config.env, Env::Dev);
    let secret = "s".repeat(32);
    let variables = [
        ("MEYDAN_ENV", "dev"),
        ("JWT_SECRET", secret.as_str()),
        ("DATABASE_URL", "postgres://db"),
    ];
    assert_eq!(
        folder.load_as(&serve(), &variables).unwrap().config.env,
        Env::Dev
    );
    let folder = folder.with(
        "work/meydan.toml",
        "env = \"prod\"\n[http]\npublic_url = \"https://meydan.example\"\n",
    );
    assert_eq!(folder.load(&[], &[]).unwrap().config.env, Env::Prod);
}
