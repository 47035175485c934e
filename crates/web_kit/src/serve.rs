//! The server: hyper with every wait bounded.
//!
//! A silent peer is closed before hyper sees it, a slow head by hyper's timer and by ours (hyper's
//! does not run while it finds out which protocol it speaks), a slow body by
//! [`crate::body::TimedBody`], a peer that does not read by the kernel's `TCP_USER_TIMEOUT` and by
//! [`crate::body::TrackedBody`]. The stream itself is not wrapped, so that an upgraded connection
//! can be taken out again as [`Io`].

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use runtime::Lifecycle;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::address::Peer;
use crate::body::{Activity, Overdue, TimedBody, TrackedBody};

/// What the server reads and writes. After an upgrade,
/// `hyper_util::server::conn::auto::upgrade::downcast::<Io>` gives it back. The socket keeps the
/// `TCP_USER_TIMEOUT` of [`ServeOptions::write_timeout`] until its new owner sets another.
pub type Io = TokioIo<TcpStream>;

/// Largest request head in bytes, and most header fields; above it 431.
const HEAD_BYTES: usize = 64 * 1024;
const HEAD_FIELDS: usize = 100;
/// Most streams of one HTTP/2 connection at a time.
const STREAMS: u32 = 128;
/// How long accepting rests when the process has no file descriptor left.
const REST: Duration = Duration::from_millis(50);
/// What a connection above the limit is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
      content-length: 0\r\nconnection: close\r\n\r\n";

/// The bounds of a server.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// From accepting a connection to its first byte.
    pub first_byte_timeout: Duration,
    /// For a whole request head; also how long a kept connection may be idle between requests.
    pub header_timeout: Duration,
    /// For a request body, beyond what its bytes earn.
    pub body_timeout: Duration,
    /// How many bytes of a body earn another second.
    pub body_bytes_per_second: u32,
    /// How long a client may leave a response unread.
    pub write_timeout: Duration,
    /// How long an HTTP/2 connection may have nothing to do.
    pub idle_timeout: Duration,
    /// Most connections; the next one is told 503 and closed.
    pub max_connections: usize,
    /// How long connections are still accepted after draining began, so that whoever balances
    /// load sees `/readyz` turn first.
    pub drain_grace: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            first_byte_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(25),
            body_bytes_per_second: 16 * 1024,
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            max_connections: 10_000,
            drain_grace: Duration::from_secs(5),
        }
    }
}

/// A connection's place among [`ServeOptions::max_connections`], in every request's extensions.
///
/// Whoever takes an upgraded socket out keeps a clone as long as the socket lives; otherwise it is
/// no longer counted, and draining does not wait for it.
#[derive(Clone, Debug)]
pub struct Slot(#[expect(dead_code, reason = "held, never read")] Arc<Held>);

#[derive(Debug)]
struct Held {
    _permit: OwnedSemaphorePermit,
}

impl Drop for Held {
    fn drop(&mut self) {
        metrics::gauge!("meydan_http_connections").decrement(1.0);
    }
}

struct Server {
    router: Router,
    builder: Builder<TokioExecutor>,
    options: ServeOptions,
    lifecycle: Lifecycle,
    /// Connections finish what they have and close.
    closing: CancellationToken,
}

/// Serves until the life ends.
///
/// When draining begins, connections are accepted for `drain_grace` more; then the listener is
/// emptied and closed, each connection finishes its requests, and the future ends with the last
/// one. The hard token ends everything at once.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    lifecycle: Lifecycle,
) {
    let most = options.max_connections.clamp(1, Semaphore::MAX_PERMITS);
    let slots = Arc::new(Semaphore::new(most));
    let server = Arc::new(Server {
        router,
        builder: builder(&options),
        options,
        closing: lifecycle.hard().child_token(),
        lifecycle,
    });
    let soft = server.lifecycle.soft().clone();
    let mut drained = std::pin::pin!(async {
        soft.cancelled().await;
        tokio::time::sleep(options.drain_grace).await;
    });
    loop {
        tokio::select! {
            biased;
            () = server.closing.cancelled() => break,
            () = &mut drained => break,
            accepted = listener.accept() => take(&server, &slots, accepted).await,
        }
    }
    // Closing a listener resets what waits in its queue.
    while let Some(accepted) = listener.accept().now_or_never() {
        take(&server, &slots, accepted).await;
    }
    drop(listener);
    server.closing.cancel();
    let all = u32::try_from(most).unwrap_or(u32::MAX);
    tokio::select! {
        _ = slots.acquire_many(all) => {}
        () = server.lifecycle.hard().cancelled() => {}
    }
}

fn builder(options: &ServeOptions) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

async fn take(
    server: &Arc<Server>,
    slots: &Arc<Semaphore>,
    accepted: std::io::Result<(TcpStream, SocketAddr)>,
) {
    let (stream, peer) = match accepted {
        Ok(accepted) => accepted,
        Err(error) => return rest(&error).await,
    };
    let Ok(permit) = Arc::clone(slots).try_acquire_owned() else {
        // Best effort: the socket's buffer is empty, so this fits or the peer is gone.
        let _told = stream.try_write(FULL);
        return refused("full");
    };
    metrics::gauge!("meydan_http_connections").increment(1.0);
    let slot = Slot(Arc::new(Held { _permit: permit }));
    let work = connection(Arc::clone(server), stream, peer, slot);
    drop(runtime::spawn(&server.lifecycle, "http.connection", work));
}

/// A failed accept is the peer's doing, or the process is out of descriptors: then connections
/// that end give some back, and trying at once would only spin.
async fn rest(error: &std::io::Error) {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    const ENOBUFS: i32 = 105;
    const ENOMEM: i32 = 12;
    if matches!(
        error.raw_os_error(),
        Some(EMFILE | ENFILE | ENOBUFS | ENOMEM)
    ) {
        refused("descriptors");
        tracing::error!(%error, "cannot accept connections");
        tokio::time::sleep(REST).await;
    } else {
        tracing::debug!(%error, "connection lost before it was accepted");
    }
}

fn refused(reason: &'static str) {
    metrics::counter!("meydan_http_connections_refused_total", "reason" => reason).increment(1);
}

async fn connection(server: Arc<Server>, stream: TcpStream, peer: SocketAddr, slot: Slot) {
    let options = server.options;
    let hard = server.lifecycle.hard();
    // Both fail only on a socket that is gone already.
    let _sped_up = stream.set_nodelay(true);
    let _bounded =
        socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(options.write_timeout));
    tokio::select! {
        _ = stream.readable() => {}
        () = tokio::time::sleep(options.first_byte_timeout) => return refused("first_byte"),
        () = server.closing.cancelled() => return,
    }
    let activity = Activity::new();
    let service = {
        let (server, activity) = (Arc::clone(&server), Arc::clone(&activity));
        service_fn(move |request| answer(&server, &activity, Peer(peer), slot.clone(), request))
    };
    let served = server
        .builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    let shortest = options
        .header_timeout
        .min(options.write_timeout)
        .min(options.idle_timeout);
    let tick = (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(5));
    let mut watch = tokio::time::interval(tick);
    let mut closing = false;
    loop {
        tokio::select! {
            result = served.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = hard.cancelled() => return,
            () = server.closing.cancelled(), if !closing => {
                closing = true;
                served.as_mut().graceful_shutdown();
            }
            _ = watch.tick() => {
                let overdue = activity.overdue(
                    options.header_timeout,
                    options.write_timeout,
                    options.idle_timeout,
                );
                match overdue {
                    Some(Overdue::Head) => return refused("head"),
                    Some(Overdue::Write) => return refused("write"),
                    Some(Overdue::Idle) => return refused("idle"),
                    None => {}
                }
            }
        }
    }
}

fn answer(
    server: &Arc<Server>,
    activity: &Arc<Activity>,
    peer: Peer,
    slot: Slot,
    request: Request<Incoming>,
) -> impl Future<Output = Result<axum::http::Response<TrackedBody>, Infallible>> + use<> {
    let in_flight = activity.begin();
    let (allowance, rate) = (
        server.options.body_timeout,
        server.options.body_bytes_per_second,
    );
    let mut request = request.map(|body| Body::new(TimedBody::new(body, allowance, rate)));
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(slot.clone());
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let answered = server.router.clone().oneshot(request);
    let lifecycle = server.lifecycle.clone();
    async move {
        let response = if reads {
            answered.await?
        } else {
            finish(&lifecycle, answered, slot).await
        };
        Ok(response.map(|body| TrackedBody::new(body, in_flight)))
    }
}

/// Answers a request to its end although its client may leave meanwhile: hyper drops what it waits
/// for then, and a change that is stored would not be told. It counts as its connection until then.
async fn finish(
    lifecycle: &Lifecycle,
    answered: impl Future<Output = Result<Response, Infallible>> + Send + 'static,
    slot: Slot,
) -> Response {
    let hard = lifecycle.hard().clone();
    let work = async move {
        let answer = hard.run_until_cancelled_owned(answered).await;
        drop(slot);
        answer
    };
    match runtime::spawn(lifecycle, "http.request", work).await {
        Ok(Some(Ok(response))) => response,
        // Cut off, or a panic outside of what the stack catches.
        Ok(Some(Err(_)) | None) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
