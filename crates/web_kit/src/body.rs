//! Request bodies that must arrive in time, and response bodies that must be taken in time.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

/// The body came more slowly than a client on a bad line would send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request body did not arrive in time")]
pub(crate) struct Stalled;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request body with a deadline that each received byte moves on a little.
///
/// A deadline per read would let a client feed one byte at a time for ever; one deadline for all
/// would forbid large uploads. So: `allowance + received / rate`, counted from the first read.
pub(crate) struct TimedBody {
    inner: Incoming,
    allowance: Duration,
    bytes_per_second: u32,
    received: u64,
    begun: Option<Instant>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl TimedBody {
    pub(crate) fn new(inner: Incoming, allowance: Duration, bytes_per_second: u32) -> Self {
        let bytes_per_second = bytes_per_second.max(1);
        Self {
            inner,
            allowance,
            bytes_per_second,
            received: 0,
            begun: None,
            deadline: None,
        }
    }

    fn deadline(&mut self) -> Instant {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let earned = self.received / u64::from(self.bytes_per_second);
        begun + self.allowance + Duration::from_secs(earned)
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let deadline = self.deadline();
        match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.received = self
                    .received
                    .saturating_add(u64::try_from(length).unwrap_or(0));
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        let sleep = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        match sleep.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(Stalled.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What one connection is doing, as its watchdog sees it.
#[derive(Debug)]
pub(crate) struct Activity {
    begun: Instant,
    served: AtomicBool,
    in_flight: AtomicUsize,
    // Milliseconds since `begun`; zero means "not so".
    idle_since: AtomicU64,
    writing_since: AtomicU64,
}

/// Why a connection has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// No complete request head in time.
    Head,
    /// The client does not take the response.
    Write,
    /// Nothing to do for too long.
    Idle,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            served: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            idle_since: AtomicU64::new(1),
            writing_since: AtomicU64::new(0),
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.served.store(true, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.idle_since.store(0, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Judges the connection. Several HTTP/2 streams share one "writing since": a stuck stream
    /// beside a moving one is left to HTTP/2's own limits.
    pub(crate) fn overdue(
        &self,
        head: Duration,
        write: Duration,
        idle: Duration,
    ) -> Option<Overdue> {
        let now = self.now_ms();
        let longer = |since: &AtomicU64, limit: Duration| {
            let since = since.load(Ordering::Relaxed);
            since > 0 && u128::from(now.saturating_sub(since)) >= limit.as_millis()
        };
        if !self.served.load(Ordering::Relaxed) && longer(&self.idle_since, head) {
            Some(Overdue::Head)
        } else if longer(&self.writing_since, write) {
            Some(Overdue::Write)
        } else if longer(&self.idle_since, idle) {
            Some(Overdue::Idle)
        } else {
            None
        }
    }
}

/// One request between its head and the end of its response body.
pub(crate) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.writing_since.store(0, Ordering::Relaxed);
        if self.0.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.idle_since.store(self.0.now_ms(), Ordering::Relaxed);
        }
    }
}

/// A response body that notes when the connection last asked for more of it.
///
/// After a frame was handed out, the connection asks again as soon as it could write; as long as
/// it does not, the client is not reading.
pub(crate) struct TrackedBody {
    inner: axum::body::Body,
    in_flight: InFlight,
}

impl TrackedBody {
    pub(crate) fn new(inner: axum::body::Body, in_flight: InFlight) -> Self {
        Self { inner, in_flight }
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        let activity = &self.in_flight.0;
        let since = if matches!(polled, Poll::Ready(Some(Ok(_)))) {
            activity.now_ms()
        } else {
            0
        };
        activity.writing_since.store(since, Ordering::Relaxed);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
