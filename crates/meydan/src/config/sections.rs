//! Every setting there is; the larger groups stand in files of their own.
//!
//! The doc comments are the documentation: `docs/config.md`, the sample file, the variable list
//! and the JSON Schema are made from them. A setting without a reader in the code does not exist.

mod files;
mod oauth;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use identity::{Approver, EmailVerification};
use web_kit::OnStale;

use super::schema::Alias::{Common, Short};
use super::schema::settings;
use super::types::{
    Country, Env, JwtAlg, LogFormat, MailTransport, Network, OtpProvider, PasswordScheme, Place,
    Secret, SmsProvider, WebOrigin,
};
use super::value::Size;

pub(crate) use files::*;
pub(crate) use oauth::*;

settings! {
    /// All settings of one installation.
    "" struct Config {
        /// `dev` allows conveniences on this computer only; `prod` refuses unsafe combinations.
        /// The default is `prod` for `meydan serve` and `dev` otherwise.
        env: Env = "dev";
        sections {
            storage: Storage,
            objects: Objects,
            media: Media,
            http: Http,
            grpc: Grpc,
            internal: Internal,
            database: Database,
            auth: Auth,
            realtime: Realtime,
            communities: Communities,
            messaging: Messaging,
            mail: Mail,
            sms: Sms,
            outbound: Outbound,
            log: Log,
            admin: Admin,
        }
    }
}

settings! {
    /// The web listener.
    "http." struct Http {
        /// Address to listen on. Anything but a loopback address opens the server to others.
        listen: IpAddr = "127.0.0.1";
        /// Port to listen on.
        port: u16 = "3000", in "1" => "65535", also Common("PORT");
        /// Address under which clients reach this server, as written in links and for gateways.
        public_url: Option<WebOrigin>, or "http, the listen address and the port";
        /// Origins whose pages may call the API from a browser; in development mode all pages of
        /// this computer may as well. There is no `*`.
        cors: Vec<WebOrigin> = "";
        /// Proxies whose forwarding headers are believed; all others are taken as clients.
        trusted_proxies: Vec<Network> = "";
        /// Largest request body; uploads have limits of their own.
        body_limit: Size = "1MiB", in "1KiB" => "64MiB";
        /// Time for a client to send all request headers; also how long an HTTP/1 connection is kept
        /// between two requests, so a proxy's own keep-alive has to be shorter.
        header_timeout: Duration = "10s", in "100ms" => "5m";
        /// Time for a new connection to send its first byte.
        first_byte_timeout: Duration = "10s", in "100ms" => "5m";
        /// Time for a client to send a request body, beyond what its bytes earn.
        body_timeout: Duration = "25s", in "100ms" => "1h";
        /// Time for a client to leave a response unread.
        write_timeout: Duration = "30s", in "100ms" => "1h";
        /// Time for an HTTP/2 connection to have nothing to do.
        idle_timeout: Duration = "75s", in "1s" => "1h";
        /// Connections in use at once, sockets not counted; more are closed at once.
        max_connections: usize = "10000", in "1" => "1000000";
        /// Between "not ready" and closing sockets, so that proxies notice first.
        drain_grace: Option<Duration>, or "5s; `0s` while only this computer can reach the server",
            in "0s" => "5m";
        /// Longest time for the whole shutdown; what runs then is cancelled.
        drain_deadline: Duration = "60s", in "1s" => "1h";
        /// Listener of its own for metrics and readiness details.
        ops_listen: Option<SocketAddr>,
            or "metrics answer direct callers from this computer on the main port";
    }
}

settings! {
    /// The gRPC listener, in processes that run `identity`. Its connections have the bounds and the
    /// proxies of `http`.
    "grpc." struct Grpc {
        /// Whether there is one.
        enabled: bool = "true";
        /// Address to listen on. Anything but a loopback address opens the server to others.
        listen: Option<IpAddr>, or "the address of `http.listen`";
        /// Port to listen on; `0` takes a free one.
        port: u16 = "50051", in "0" => "65535";
    }
}

settings! {
    /// Calls between processes of `meydan serve`, over plain HTTP/2: for a network of their own. Not
    /// with `HS256`.
    "internal." struct Internal {
        /// Address and port at which a process that runs `identity` answers the others; loopback or
        /// private. Its connections have the bounds of `http`.
        bind: Option<SocketAddr>, or "it answers nobody";
        /// Where a process that does not run `identity` asks about credentials:
        /// `http://identity:50052`.
        identity: Option<WebOrigin>, or "it reads the tables of identity itself";
    }
}

settings! {
    /// PostgreSQL: a private server in the data directory, or one of yours.
    "database." struct Database {
        /// `postgres://` URL of a PostgreSQL 15 or newer; a pooler in transaction mode is fine.
        url: Option<Secret>, or "a private PostgreSQL in the data directory",
            also Common("DATABASE_URL");
        /// The same database without a pooler, for LISTEN and migrations.
        direct_url: Option<Secret>, or "the same as `database.url`";
        /// Connections of this process.
        max_connections: usize = "20", in "2" => "1000";
        /// Time for a new connection to be made.
        connect_timeout: Duration = "5s", in "100ms" => "5m";
        /// Time for a request to wait for a free connection; then it is answered with 503.
        wait_timeout: Duration = "3s", in "10ms" => "5m";
        /// Time for one statement.
        statement_timeout: Duration = "15s", in "100ms" => "1h";
        /// Folder with `initdb` and `postgres` for the private server.
        pg_bin: Option<PathBuf>, or "searched in the usual places";
        /// User for the private server when started as root without user namespaces.
        pg_user: Option<String>, or "the owner of the data, then postgres, then nobody";
    }
}

settings! {
    /// Accounts and tokens.
    "auth." struct Auth {
        /// Issuer of the tokens.
        issuer: String = "my-auth-service";
        /// Conveniences for development, such as calls from any local web page. Refused when
        /// others could reach this server.
        dev_mode: Option<bool>, or "on in `dev` while only this computer can reach the server",
            also Common("AUTH_DEV_MODE");
        /// Whether a new account must prove its e-mail address. `off` is for one computer only.
        email_verification: Option<EmailVerification>,
            or "`off` in development mode, else `required`";
        /// Life of an access token.
        access_ttl: Duration = "15m", in "1m" => "15m";
        /// Life of a refresh token; each use starts it anew.
        refresh_ttl: Duration = "7d", in "1h" => "90d";
        /// Life of a login, however often it is refreshed.
        refresh_absolute_ttl: Duration = "90d", in "1h" => "365d";
        sections {
            audience: Audience,
            jwt: Jwt,
            refresh: Refresh,
            revocation: Revocation,
            impersonation: Impersonation,
            password: Password,
            totp: Totp,
            passkeys: Passkeys,
            limits: Limits,
            otp: Otp,
            oauth: Oauth,
        }
    }
}

settings! {
    /// Whom the tokens are for.
    "auth.audience." struct Audience {
        /// Audience of access tokens.
        access: String = "my-app-client";
        /// Audience of refresh tokens.
        refresh: String = "my-auth-service";
    }
}

settings! {
    /// The root secret.
    "auth.jwt." struct Jwt {
        /// Signs tokens with Ed25519 keys that rotate by themselves, or with the secret below.
        /// `HS256` is for one node whose older services check tokens by that secret; no keys are
        /// published then.
        alg: JwtAlg = "EdDSA";
        /// Root secret of at least 32 bytes, from which all keys are derived. The same for all
        /// processes of one installation.
        secret: Option<Secret>, or "made once and kept in the data directory",
            also Common("JWT_SECRET");
    }
}

settings! {
    /// Staff who act as a user.
    "auth.impersonation." struct Impersonation {
        /// Whether a second member of staff must agree first.
        approver: Approver = "off";
    }
}

settings! {
    /// Devices that were signed out.
    "auth.revocation." struct Revocation {
        /// What to do with access tokens when a node has not heard of revocations for five
        /// seconds: ask about the device for each request, answer 503, or let them pass.
        on_stale: OnStale = "lookup";
    }
}

settings! {
    /// Refresh tokens.
    "auth.refresh." struct Refresh {
        /// Time in which a second use of the newest spent token counts as a race of two requests
        /// and not as theft. `0s` revokes on any second use.
        reuse_grace: Duration = "10s", in "0s" => "1m";
    }
}

settings! {
    /// How passwords are stored.
    "auth.password." struct Password {
        /// Scheme of new passwords. Older ones are stored anew at the next login.
        scheme: PasswordScheme = "argon2id";
        /// Memory of one argon2id computation.
        argon2_memory: Size = "46MiB", in "8MiB" => "1GiB";
        /// Passes of argon2id.
        argon2_passes: u32 = "1", in "1" => "10";
        /// Lanes of argon2id.
        argon2_lanes: u32 = "1", in "1" => "16";
        /// Cost of bcrypt, as a power of two.
        bcrypt_cost: u32 = "12", in "10" => "15";
    }
}

settings! {
    /// Passkeys.
    "auth.passkeys." struct Passkeys {
        /// Domain that passkeys are bound to; pages below it may use them too. Changing it makes
        /// all passkeys useless.
        rp_id: Option<String>, or "the host of the public URL; `localhost` for this computer; none without a name or https";
        /// Origins of the pages that may use passkeys, when they are not the public URL alone.
        origins: Vec<WebOrigin> = "";
    }
}

settings! {
    /// Authenticator apps.
    "auth.totp." struct Totp {
        /// Steps of 30 seconds by which the clock of an app may be off. `0` accepts the present
        /// code alone.
        skew: u32 = "1", in "0" => "1";
    }
}

settings! {
    /// How often somebody may try.
    "auth.limits." struct Limits {
        /// Logins from one address in a minute.
        login_address_per_minute: u32 = "10", in "1" => "100000";
        /// Logins of one account in an hour; then each further one waits longer.
        login_account_per_hour: u32 = "20", in "1" => "100000";
        /// Second factors tried for one account in an hour; then each further one waits longer.
        second_factor_account_per_hour: u32 = "10", in "1" => "100000";
        /// Different names and passwords that fail in ten minutes on one process before it counts as
        /// an attack by many networks; set it above what an ordinary day shows.
        login_wave_per_10_minutes: u32 = "150", in "20" => "10000";
        /// New accounts from one address in an hour.
        registration_address_per_hour: u32 = "5", in "1" => "100000";
        /// Refreshes of one device in a minute.
        refresh_device_per_minute: u32 = "30", in "1" => "100000";
        /// Token checks from one address in a minute.
        validate_address_per_minute: u32 = "600", in "1" => "100000";
    }
}

settings! {
    /// One-time passwords. With `auth.dev_mode` all of them are 123456.
    "auth.otp." struct Otp {
        /// `sms`: we make the codes and `sms.provider` carries them. `twilio_verify`: Twilio Verify
        /// makes, sends and checks those for phones; the counters stay here.
        provider: OtpProvider = "sms";
        /// Country of numbers that are written without a country code.
        default_region: Country = "TR";
        /// Countries to which texts are sent.
        countries: Vec<Country> = "TR";
        /// Texts to one country in a day, UTC; then it is closed until midnight. Guards against
        /// people who earn from texts to their own numbers.
        country_per_day: u32 = "1000", in "1" => "10000000";
        /// Codes to one number or address in an hour.
        target_per_hour: u32 = "5", in "1" => "60";
        /// Codes to one number or address in a day, UTC.
        target_per_day: u32 = "10", in "1" => "1000";
        /// Codes asked for from one address block in an hour.
        address_per_hour: u32 = "20", in "1" => "100000";
    }
}

settings! {
    /// Sockets.
    "realtime." struct Realtime {
        /// Threads that serve sockets.
        workers: Option<usize>, or "processor cores minus one, at least 1", in "1" => "256";
        /// Sockets of this process; the open-file limit must be 500 higher.
        max_connections: usize = "20000", in "1" => "1000000";
        /// Sockets of one user.
        sockets_per_user: usize = "50", in "1" => "10000";
        /// How often clients are told to send a heartbeat.
        heartbeat_interval: Duration = "41250ms", in "1s" => "5m";
        /// Seconds over which clients are asked to reconnect at shutdown.
        drain_seconds: u32 = "20", in "0" => "600";
        /// Time for a client without a socket to resume its session.
        keep_detached: Duration = "2m", in "1s" => "1h";
        /// Time for sessions of a stopped process to be resumed on the next one.
        keep_spilled: Duration = "3m", in "1s" => "1h";
        /// Events kept per session so that it can resume.
        ring_events: usize = "1024", in "16" => "16384";
        /// Bytes kept per session so that it can resume.
        ring_bytes: Size = "256KiB", in "4KiB" => "16MiB";
        /// Unwritten events per socket; a slower reader is disconnected.
        queue_events: usize = "256", in "16" => "16384";
        /// Unwritten bytes per socket; a slower reader is disconnected.
        queue_bytes: Size = "1MiB", in "16KiB" => "64MiB";
        /// Presences sent to sockets of this process in a second; more are merged or dropped.
        presence_per_second: usize = "2000", in "1" => "1000000";
        /// Largest frame a client may send.
        max_frame: Size = "16KiB", in "1KiB" => "1MiB";
    }
}

settings! {
    /// Communities.
    "communities." struct Communities {
        /// Emoji of one community.
        emojis: usize = "250", in "0" => "2000";
    }
}

settings! {
    /// Writing of messages.
    "messaging." struct Messaging {
        /// Tasks that store messages: one collects while another commits.
        writers: usize = "2", in "1" => "64";
        /// Messages that wait for one writer; more are answered with 503.
        queue: usize = "4096", in "16" => "65536";
        /// Messages in one transaction.
        batch: usize = "512", in "1" => "4096";
        /// Whether the node looks at pages that messages link to, and shows what they say of
        /// themselves. It calls public addresses over https, and those of `outbound.allow`.
        link_previews: bool = "true";
    }
}

settings! {
    /// Letters: codes, links, and what people must be told.
    "mail." struct Mail {
        /// `smtp` sends them, `outbox` keeps them for the page `/dev/outbox` (development mode
        /// only), `off` has none: what needs a letter is not offered.
        transport: Option<MailTransport>,
            or "`smtp` with `mail.smtp.url`, `outbox` in development mode, else `off`";
        /// Who writes them: `Meydan <no-reply@example.com>`.
        from: Option<String>, or "`Meydan <no-reply@HOST>` with the host of `http.public_url`";
        sections {
            smtp: Smtp,
        }
    }
}

settings! {
    /// The mail server.
    "mail.smtp." struct Smtp {
        /// `smtp://user:password@host:port`, or `smtps://` where TLS comes first; user and password
        /// are percent-encoded. `smtp` needs STARTTLS unless the server is on this computer;
        /// `?tls=required` and `?tls=none` say it in so many words.
        url: Option<Secret>, or "no mail server";
        /// Time for a letter to be taken.
        timeout: Duration = "20s", in "100ms" => "5m";
        /// Letters under way at once; further ones wait.
        connections: usize = "4", in "1" => "100";
        /// File with a certificate (PEM) to trust besides those of this computer.
        trusted_certificate: Option<PathBuf>, or "those of this computer";
    }
}

settings! {
    /// Texts to phones.
    "sms." struct Sms {
        /// `twilio` sends them, `outbox` keeps them for the page `/dev/outbox` (development mode
        /// only), `off` has none: what needs a text is not offered.
        provider: Option<SmsProvider>,
            or "`twilio` with `sms.twilio.from`, `outbox` in development mode, else `off`";
        sections {
            twilio: Twilio,
        }
    }
}

settings! {
    /// The account with Twilio.
    "sms.twilio." struct Twilio {
        /// Account SID, `AC` and 32 digits.
        account_sid: Option<String>, or "no account", also Common("TWILIO_ACCOUNT_SID");
        /// Its auth token.
        auth_token: Option<Secret>, or "no account", also Common("TWILIO_AUTH_TOKEN");
        /// Number texts come from, or the SID of a messaging service (`MG…`).
        from: Option<String>, or "no texts by Twilio", also Common("TWILIO_FROM");
        /// SID of the Verify service (`VA…`), for `auth.otp.provider = "twilio_verify"`.
        verify_service_sid: Option<String>, or "no codes by Twilio",
            also Common("TWILIO_VERIFY_SERVICE_SID");
        /// Where its Messaging API is.
        api_url: WebOrigin = "https://api.twilio.com";
        /// Where its Verify API is.
        verify_url: WebOrigin = "https://verify.twilio.com";
    }
}

settings! {
    /// Calls to addresses that users or other servers name.
    "outbound." struct Outbound {
        /// Places that may be called although they are not public: networks (`10.0.0.0/8`) and
        /// hosts with their port (`intranet.example:8443`), the latter also without TLS.
        allow: Vec<Place> = "";
    }
}

settings! {
    /// Log lines.
    "log." struct Log {
        /// `auto` writes for people on a terminal and JSON otherwise.
        format: LogFormat = "auto";
        /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,db=debug`.
        level: String = "info";
    }
}

settings! {
    /// The first administrator: created at the start when there is none, never changed.
    "admin." struct Admin {
        /// E-mail address.
        email: Option<String>, or "no account is created", also Short("MEYDAN_ADMIN_EMAIL");
        /// Password, of 8 to 256 characters.
        password: Option<Secret>, or "no account is created", also Short("MEYDAN_ADMIN_PASSWORD");
    }
}
