//! Opening connections: Unix socket or TCP, plain or TLS.
//!
//! TLS is used when the URL says `sslmode=require` (`verify-ca` and `verify-full` mean the same
//! here: the server's certificate is always checked against the system's roots). Everything else
//! stays plain: `prefer` would hide a downgrade and stumble over self-made certificates.

use std::str::FromStr;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, RecyclingMethod};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Result;
use crate::error::Error;

/// How to reach a database and how much of it to use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `postgres://…` or `host=/directory user=… dbname=…`.
    pub url: SecretString,
    /// Connections of the pool at most; more work waits.
    pub max_connections: usize,
    /// Limit for opening one connection.
    pub connect_timeout: Duration,
    /// Limit for waiting for a free connection; then [`Error::Busy`].
    pub wait_timeout: Duration,
    /// Limit for one statement; then [`Error::Timeout`] and the statement is cancelled.
    pub statement_timeout: Duration,
    /// Shown in `pg_stat_activity`.
    pub application_name: String,
}

impl Settings {
    /// Settings with the built-in limits.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Settings {
            url: SecretString::from(url.into()),
            max_connections: 20,
            connect_timeout: Duration::from_secs(5),
            wait_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(10),
            application_name: "meydan".into(),
        }
    }

    pub(crate) fn config(&self) -> Result<Config> {
        let url = self
            .url
            .expose_secret()
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require");
        // The driver's message names the offending part only, never the password.
        let mut config =
            Config::from_str(&url).map_err(|error| Error::Settings(crate::error::chain(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Error::Settings("the database URL names no host".into()));
        }
        if config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(SslMode::Disable);
        }
        config
            .application_name(&self.application_name)
            .connect_timeout(self.connect_timeout)
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(30));
        Ok(config)
    }
}

/// Plain or TLS, decided once from the settings.
#[derive(Clone)]
pub(crate) enum Connector {
    Plain,
    Tls(MakeRustlsConnect),
}

impl Connector {
    pub(crate) fn of(config: &Config) -> Result<Self> {
        if config.get_ssl_mode() != SslMode::Require {
            return Ok(Connector::Plain);
        }
        let (tls, skipped) = MakeRustlsConnect::with_native_certs()
            .map_err(|errors| Error::Settings(format!("no root certificates: {errors:?}")))?;
        if !skipped.is_empty() {
            tracing::warn!(
                certificates.skipped = skipped.len(),
                "some of the system's root certificates cannot be read"
            );
        }
        Ok(Connector::Tls(tls))
    }

    pub(crate) fn manager(&self, config: Config) -> Manager {
        // `Clean` and `Verified` send session statements on every use; a dead connection is
        // noticed by its task, and the rest by the retry of reads.
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        match self {
            Connector::Plain => Manager::from_config(config, NoTls, recycling),
            Connector::Tls(tls) => Manager::from_config(config, tls.clone(), recycling),
        }
    }

    /// Asks the server to cancel what a connection is running.
    pub(crate) async fn cancel(
        &self,
        token: &tokio_postgres::CancelToken,
    ) -> std::result::Result<(), tokio_postgres::Error> {
        match self {
            Connector::Plain => token.cancel_query(NoTls).await,
            Connector::Tls(tls) => token.cancel_query(tls.clone()).await,
        }
    }
}

/// What the server sends besides answers: notifications and notices. Polling it drives the
/// connection, so it must be polled for as long as the client is used.
pub(crate) type Messages =
    BoxStream<'static, std::result::Result<AsyncMessage, tokio_postgres::Error>>;

/// A connection outside of any pool, for LISTEN, migrations and checks.
pub(crate) async fn single(settings: &Settings) -> Result<(Client, Messages)> {
    let config = settings.config()?;
    match Connector::of(&config)? {
        Connector::Plain => open(settings, &config, NoTls).await,
        Connector::Tls(tls) => open(settings, &config, tls).await,
    }
}

async fn open<T>(settings: &Settings, config: &Config, tls: T) -> Result<(Client, Messages)>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let opened = tokio::time::timeout(settings.connect_timeout, config.connect(tls)).await;
    let (client, mut connection) = match opened {
        Ok(Ok(pair)) => pair,
        Ok(Err(error)) => {
            return Err(match Error::from_driver("connecting", error) {
                Error::Database {
                    statement, source, ..
                } => Error::Unavailable {
                    during: statement,
                    source: Some(source),
                },
                other => other,
            });
        }
        Err(_elapsed) => return Err(Error::unavailable("connecting: timed out")),
    };
    // Awaiting the connection itself would throw notifications away.
    let messages = stream::poll_fn(move |context| connection.poll_message(context)).boxed();
    Ok((client, messages))
}

/// A single connection whose messages nobody wants.
pub(crate) struct Direct {
    client: Client,
    driver: tokio::task::JoinHandle<()>,
}

impl Direct {
    pub(crate) async fn open(settings: &Settings) -> Result<Self> {
        let (client, messages) = single(settings).await?;
        Ok(Direct {
            client,
            driver: drive(messages),
        })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the task only moves bytes of one connection and is aborted with its owner"
)]
fn drive(messages: Messages) -> tokio::task::JoinHandle<()> {
    tokio::spawn(messages.for_each(|message| async {
        if let Err(error) = message {
            tracing::debug!(error = %error, "a direct database connection ended");
        }
    }))
}
