//! Golden reports: what people see when something is wrong.

use insta::assert_snapshot;

use super::Folder;

#[test]
fn all_mistakes_are_reported_at_once_with_place_and_suggestion() {
    let folder = Folder::new().with(
        "work/meydan.toml",
        "[database]\nmax_conections = 40\n\n[http]\n  port = \"three thousand\"\n\n[htpt]\nport = 1\n\n\
         [auth.password]\nscheme = \"md5\"\nargon2_lanes = 17\n",
    );
    let errors = folder.errors(
        &[("MEYDAN_HTTP__PROT", "3000"), ("MEYDAN_LOG_LEVEL", "debug")],
        &["realtime.wokers=3"],
    );
    assert_snapshot!(errors, @r#"
    meydan.toml:2:1         unknown key "database.max_conections"; did you mean "database.max_connections"?   [config.unknown_key]
    meydan.toml:7:2         unknown key "htpt"; did you mean "http"?                                          [config.unknown_key]
    env MEYDAN_HTTP__PROT   unknown variable; did you mean MEYDAN_HTTP__PORT?                                 [config.unknown_env]
    env MEYDAN_LOG_LEVEL    unknown variable; did you mean MEYDAN_LOG__LEVEL?                                 [config.unknown_env]
    --set realtime.wokers   unknown key "realtime.wokers"; did you mean "realtime.workers"?                   [config.unknown_key]
    meydan.toml:5:10        http.port: expected 1..65535, found "three thousand"                              [config.bad_value]
    meydan.toml:11:10       auth.password.scheme: expected argon2id or bcrypt, found "md5"                    [config.bad_value]
    meydan.toml:12:16       auth.password.argon2_lanes: expected 1..16, found 17                              [config.bad_value]
    8 errors; nothing was started
    "#);
}

#[test]
fn every_kind_of_value_says_what_it_expects() {
    let folder = Folder::new().with(
        "work/meydan.toml",
        "env = \"test\"\nstorage = 1\n[http]\nlisten = \"localhost\"\nport = 70000\n\
         public_url = \"example.com/app\"\ncors = \"https://a.example\"\n\
         trusted_proxies = [\"10.0.0.0/33\"]\nbody_limit = \"1 megabyte\"\nheader_timeout = 10\n\
         idle = 1.5\nops_listen = 9464\n[auth]\ndev_mode = \"yes\"\nissuer = \"\"\n\
         access_ttl = \"2h\"\n[database]\nurl = 5\n",
    );
    assert_snapshot!(folder.errors(&[], &[]), @r#"
    meydan.toml:2:1     storage: expected a table of settings                                                    [config.bad_value]
    meydan.toml:11:1    unknown key "http.idle"                                                                  [config.unknown_key]
    meydan.toml:1:7     env: expected dev or prod, found "test"                                                  [config.bad_value]
    meydan.toml:4:10    http.listen: expected an IP address such as 127.0.0.1, found "localhost"                 [config.bad_value]
    meydan.toml:5:8     http.port: expected 1..65535, found 70000                                                [config.bad_value]
    meydan.toml:6:14    http.public_url: expected an http or https URL without a path, found "example.com/app"   [config.bad_value]
    meydan.toml:7:8     http.cors: expected a list; each item is an http or https URL without a path, found "https://a.example"   [config.bad_value]
    meydan.toml:8:19    http.trusted_proxies: expected an address or network such as 10.0.0.0/8, found ["10.0.0.0/33"]   [config.bad_value]
    meydan.toml:9:14    http.body_limit: expected 1KiB..64MiB, found "1 megabyte"                                [config.bad_value]
    meydan.toml:10:18   http.header_timeout: expected 100ms..5m, found 10                                        [config.bad_value]
    meydan.toml:12:14   http.ops_listen: expected an address with a port such as 127.0.0.1:9464, found 9464      [config.bad_value]
    meydan.toml:14:12   auth.dev_mode: expected true or false, found "yes"                                       [config.bad_value]
    meydan.toml:15:10   auth.issuer: expected text, found ""                                                     [config.bad_value]
    meydan.toml:16:14   auth.access_ttl: expected 1m..15m, found "2h"                                            [config.bad_value]
    meydan.toml:18:7    database.url: expected a secret text, found something else                               [config.bad_value]
    15 errors; nothing was started
    "#);
}

#[test]
fn broken_toml_is_one_error_with_its_place() {
    let folder = Folder::new().with("work/meydan.toml", "[http]\nport = = 3\n");
    assert_snapshot!(folder.errors(&[], &[]), @r#"
    meydan.toml:2:8   extra `=`, expected nothing   [config.syntax]
    1 error; nothing was started
    "#);
}

#[test]
fn unreadable_places_are_errors() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.join("etc/meydan.toml")).unwrap();
    assert_snapshot!(folder.errors(&[], &[]), @r#"
    etc/meydan.toml   the file cannot be read: it is a folder   [config.unreadable]
    1 error; nothing was started
    "#);

    let request = super::Request {
        file: Some("no-such-file.toml".into()),
        ..super::up(&[])
    };
    let report = folder.load_as(&request, &[]).unwrap_err();
    assert_snapshot!(report.to_string(), @r#"
    no-such-file.toml   the file cannot be read: no such file   [config.unreadable]
    1 error; nothing was started
    "#);
}

#[test]
fn two_names_of_one_setting_must_agree() {
    let folder = Folder::new();
    assert_snapshot!(
        folder.errors(&[("PORT", "3001"), ("MEYDAN_HTTP__PORT", "3002")], &[]), @r#"
        env MEYDAN_HTTP__PORT   http.port is set to another value by env PORT; keep one of the two   [config.alias_conflict]
        1 error; nothing was started
        "#
    );
    let same = folder
        .load(&[("PORT", "3001"), ("MEYDAN_HTTP__PORT", "3001")], &[])
        .unwrap();
    assert_eq!(same.config.http.port, 3001);
}

#[test]
fn a_secret_has_one_source_and_never_the_command_line() {
    let folder = Folder::new().with("work/url", "postgres://from-file\n");
    let path = folder.path("work/url");
    assert_snapshot!(
        folder.errors(
            &[("MEYDAN_DATABASE__URL", "postgres://a"), ("MEYDAN_DATABASE__URL_FILE", &path)],
            &["database.url=postgres://b"],
        ),
        @r#"
        --set database.url              a secret on the command line can be seen by every user of this computer; use MEYDAN_DATABASE__URL or MEYDAN_DATABASE__URL_FILE   [config.secret_in_set]
        env MEYDAN_DATABASE__URL_FILE   database.url is already set by env MEYDAN_DATABASE__URL; keep one of the two   [config.secret_twice]
        2 errors; nothing was started
        "#
    );
    assert_snapshot!(
        folder.errors(&[("DATABASE_URL_FILE", &folder.path("work/missing"))], &[]), @r#"
        env DATABASE_URL_FILE   database.url: work/missing - No such file or directory (os error 2)   [config.secret_file]
        1 error; nothing was started
        "#
    );
}

#[test]
fn dot_env_files_are_checked_like_variables_and_cannot_end_development() {
    let folder = Folder::new()
        .with("work/.env.local", "MEYDAN_HTTP__PROT=1\nnonsense\n")
        .with("work/.env", "# comment\nexport MEYDAN_ENV=prod\nOTHER=1\n");
    assert_snapshot!(folder.errors(&[], &[]), @r#"
    .env.local:2:1                   expected NAME=value; quotes must be closed                   [config.syntax]
    .env.local:1 MEYDAN_HTTP__PROT   unknown variable; did you mean MEYDAN_HTTP__PORT?            [config.unknown_env]
    .env:2 MEYDAN_ENV                env: .env files are for development; set it in meydan.toml   [config.combination]
    3 errors; nothing was started
    "#);
}

#[test]
fn an_unset_variable_in_a_string_is_an_error() {
    let folder = Folder::new().with(
        "work/meydan.toml",
        "[auth]\nissuer = \"${NOBODY_SETS_THIS}\"\n",
    );
    assert_snapshot!(folder.errors(&[], &[]), @r#"
    meydan.toml:2:10   auth.issuer: the variable NOBODY_SETS_THIS is not set   [config.unset_variable]
    1 error; nothing was started
    "#);
}

#[test]
fn combinations_that_contradict_are_refused() {
    let folder = Folder::new().with(
        "work/meydan.toml",
        "[auth]\nrefresh_ttl = \"90d\"\nrefresh_absolute_ttl = \"1h\"\n\
         [http]\nops_listen = \"0.0.0.0:3000\"\ndrain_grace = \"5m\"\n\
         [admin]\nemail = \"ayse@example.com\"\n[auth.jwt]\nsecret = \"short\"\n",
    );
    assert_snapshot!(folder.errors(&[], &[]), @r#"
    meydan.toml:10:10   auth.jwt.secret: shorter than 32 bytes; a fresh one: YRgw02QaaPlKaQ3MJdH0sNrJSDJawY9t0yVkNxc18yw   [config.secret_short]
    meydan.toml:2:15    auth.refresh_ttl: longer than auth.refresh_absolute_ttl   [config.combination]
    meydan.toml:8:9     admin.email: needs admin.password_file too                [config.combination]
    meydan.toml:5:14    http.ops_listen: the port of the main listener            [config.combination]
    meydan.toml:6:15    http.drain_grace: longer than http.drain_deadline         [config.combination]
    5 errors; nothing was started
    "#);
}
