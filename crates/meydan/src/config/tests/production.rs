//! What `env = prod` refuses, and what development does.

use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;

use super::{Folder, Request, serve, up};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn codes(folder: &Folder, request: &Request, variables: &[(&str, &str)]) -> Vec<&'static str> {
    match folder.load_as(request, variables) {
        Ok(_) => Vec::new(),
        Err(report) => report
            .problems
            .iter()
            .map(|problem| problem.code.as_str())
            .collect(),
    }
}

#[test]
fn every_reason_is_given_at_once() {
    let folder = Folder::new().with(
        "work/meydan.toml",
        "env = \"prod\"\n[http]\nlisten = \"0.0.0.0\"\ncors = [\"http://app.example\"]\n\
         ops_listen = \"0.0.0.0:9464\"\n[auth]\ndev_mode = true\nemail_verification = \"off\"\n\
         [database]\nurl = \"postgres://db\"\n[storage]\ndata_dir = \"data\"\n",
    );
    std::fs::create_dir(folder.0.join("work/data")).unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.0.join("work/data"), open).unwrap();
    assert_snapshot!(folder.errors(&[], &[]), @r#"
    env = prod          auth.jwt.secret: is needed in production with a database of yours, the same for all processes; a fresh one: YRgw02QaaPlKaQ3MJdH0sNrJSDJawY9t0yVkNxc18yw   [config.prod_secret]
    meydan.toml:7:12    auth.dev_mode: refused in production                                          [config.dev_mode]
    meydan.toml:8:22    auth.email_verification: "off" is for one computer only; use "required"       [config.email_verification]
    meydan.toml:4:8     http.cors: http://app.example can be changed on its way; name https origins   [config.prod_cors]
    meydan.toml:3:10    http.listen: open to others without TLS; put a proxy in front and name it in http.trusted_proxies   [config.prod_bind]
    env = prod          http.public_url: must be the https address that clients use                   [config.prod_public_url]
    meydan.toml:5:14    http.ops_listen: metrics on a public address; use a loopback or private one   [config.prod_ops]
    meydan.toml:12:12   storage.data_dir: work/data can be read by others; run: chmod -R go-rwx work/data   [config.prod_data_dir]
    8 errors; nothing was started
    "#);
}

#[test]
fn a_good_production_set_up_is_accepted() {
    let folder = Folder::new().with(
        "work/meydan.toml",
        "env = \"prod\"\n[http]\nlisten = \"0.0.0.0\"\npublic_url = \"https://meydan.example\"\n\
         trusted_proxies = [\"10.0.0.0/8\"]\nops_listen = \"10.1.2.3:9464\"\n\
         cors = [\"https://app.meydan.example\"]\n",
    );
    assert_eq!(codes(&folder, &up(&[]), &[]), Vec::<&str>::new());
    let shared = [("JWT_SECRET", SECRET), ("DATABASE_URL", "postgres://db")];
    assert_eq!(codes(&folder, &serve(), &shared), Vec::<&str>::new());
}

#[test]
fn the_root_secret_has_32_bytes_and_processes_share_it() {
    let folder = Folder::new();
    let url = ("DATABASE_URL", "postgres://db");
    let https = ("MEYDAN_HTTP__PUBLIC_URL", "https://meydan.example");
    let prod = ("MEYDAN_ENV", "prod");
    let short = ("JWT_SECRET", SECRET.strip_suffix('f').unwrap());
    let long = ("JWT_SECRET", SECRET);
    let none = Vec::<&str>::new();
    assert_eq!(codes(&folder, &up(&[]), &[short]), ["config.secret_short"]);
    assert_eq!(codes(&folder, &up(&[]), &[long]), none);
    // The private database and the secret live in the same data directory.
    assert_eq!(codes(&folder, &up(&[]), &[prod, https]), none);
    assert_eq!(
        codes(&folder, &up(&[]), &[prod, https, url]),
        ["config.prod_secret"]
    );
    assert_eq!(codes(&folder, &up(&[]), &[prod, https, url, long]), none);
    assert_eq!(
        codes(&folder, &serve(), &[https, url]),
        ["config.prod_secret"]
    );
    assert_eq!(
        codes(&folder, &serve(), &[https, long]),
        ["config.combination"]
    );
}

#[test]
fn development_mode_never_reaches_others() {
    let folder = Folder::new();
    let on = ("AUTH_DEV_MODE", "true");
    let wide = ("MEYDAN_HTTP__LISTEN", "0.0.0.0");
    let domain = ("MEYDAN_HTTP__PUBLIC_URL", "https://meydan.example");
    let docker = ("RUNNING_IN_DOCKER", "true");
    let up = up(&[]);
    let none = Vec::<&str>::new();
    assert_eq!(codes(&folder, &up, &[on]), none);
    assert_eq!(codes(&folder, &up, &[on, wide]), ["config.dev_mode"]);
    assert_eq!(codes(&folder, &up, &[on, domain]), ["config.dev_mode"]);
    // In a container the bind is wide, and the port is published on the host's loopback.
    assert_eq!(codes(&folder, &up, &[on, wide, docker]), none);
    assert_eq!(
        codes(&folder, &up, &[on, wide, docker, domain]),
        ["config.dev_mode"]
    );
    let off = ("MEYDAN_AUTH__EMAIL_VERIFICATION", "off");
    assert_eq!(codes(&folder, &up, &[off]), none);
    assert_eq!(
        codes(&folder, &up, &[off, wide]),
        ["config.email_verification"]
    );
}

#[test]
fn grpc_is_no_wider_than_the_rest() {
    let folder = Folder::new();
    let wide = ("MEYDAN_GRPC__LISTEN", "0.0.0.0");
    let on = ("AUTH_DEV_MODE", "true");
    let up = up(&[]);
    assert_eq!(codes(&folder, &up, &[wide]), Vec::<&str>::new());
    assert_eq!(codes(&folder, &up, &[wide, on]), ["config.dev_mode"]);
    let prod = ("MEYDAN_ENV", "prod");
    let https = ("MEYDAN_HTTP__PUBLIC_URL", "https://meydan.example");
    let proxy = ("MEYDAN_HTTP__TRUSTED_PROXIES", "10.0.0.0/8");
    assert_eq!(
        codes(&folder, &up, &[prod, https, wide]),
        ["config.prod_bind"]
    );
    assert_eq!(
        codes(&folder, &up, &[prod, https, wide, proxy]),
        Vec::<&str>::new()
    );
    for (port, expected) in [("3000", &["config.combination"][..]), ("0", &[])] {
        let port = ("MEYDAN_GRPC__PORT", port);
        assert_eq!(codes(&folder, &up, &[port]), expected);
    }
}

#[test]
fn metrics_stay_on_internal_addresses() {
    let folder = Folder::new();
    let https = ("MEYDAN_HTTP__PUBLIC_URL", "https://meydan.example");
    let prod = ("MEYDAN_ENV", "prod");
    for (address, refused) in [
        ("127.0.0.1:9464", false),
        ("10.0.0.5:9464", false),
        ("[fd00::5]:9464", false),
        ("[::1]:9464", false),
        ("0.0.0.0:9464", true),
        ("[::]:9464", true),
        ("203.0.113.7:9464", true),
    ] {
        let ops = ("MEYDAN_HTTP__OPS_LISTEN", address);
        let found = codes(&folder, &up(&[]), &[prod, https, ops]);
        let expected: &[&str] = if refused { &["config.prod_ops"] } else { &[] };
        assert_eq!(found, expected, "{address}");
    }
}

#[test]
fn a_shared_secret_is_for_one_node_that_was_given_one() {
    let hs256 = ("MEYDAN_AUTH__JWT__ALG", "HS256");
    let secret = ("JWT_SECRET", SECRET);
    let folder = Folder::new();
    let said =
        |request: &Request, variables: &[(&str, &str)]| match folder.load_as(request, variables) {
            Ok(_) => false,
            Err(report) => report
                .problems
                .iter()
                .any(|problem| problem.message.contains("HS256")),
        };
    assert!(!said(&up(&[]), &[hs256, secret]));
    assert!(said(&up(&[]), &[hs256]));
    assert!(said(&serve(), &[hs256, secret]));
    assert!(!said(&serve(), &[secret]));
}

#[test]
fn calls_between_processes_stay_inside() {
    let folder = Folder::new();
    let with = |set: &[&str]| codes(&folder, &up(set), &[("JWT_SECRET", SECRET)]);
    let none = Vec::<&str>::new();
    for bind in [
        "127.0.0.1:50052",
        "[::1]:50052",
        "10.1.2.3:50052",
        "192.168.1.4:0",
        "[fd00::1]:1",
    ] {
        assert_eq!(with(&[&format!("internal.bind={bind}")]), none, "{bind}");
    }
    for bind in [
        "0.0.0.0:50052",
        "[::]:50052",
        "203.0.113.9:50052",
        "172.32.0.1:50052",
    ] {
        let refused = with(&[&format!("internal.bind={bind}")]);
        assert_eq!(refused, ["config.internal_bind"], "{bind}");
    }
    for bind in ["127.0.0.1:3000", "127.0.0.1:50051", "127.0.0.1:9464"] {
        let set = format!("internal.bind={bind}");
        let refused = with(&[&set, "http.ops_listen=0.0.0.0:9464"]);
        assert_eq!(refused, ["config.combination"], "{bind}");
    }
    assert_eq!(with(&["internal.bind=127.0.0.1:0", "grpc.port=0"]), none);
    assert_eq!(with(&["internal.identity=http://identity:50052"]), none);
    let secure = with(&["internal.identity=https://identity:50052"]);
    assert_eq!(secure, ["config.bad_value"]);
    // Who checks tokens by a shared secret could make those of processes.
    let both = [
        "auth.jwt.alg=HS256",
        "internal.bind=127.0.0.1:50052",
        "internal.identity=http://identity:50052",
    ];
    assert_eq!(with(&both), ["config.combination"; 2]);
    assert_eq!(with(&["auth.jwt.alg=HS256"]), none);
}
