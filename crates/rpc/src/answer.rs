//! The body of an answer: counted, and cut when its caller may no longer be served.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use kernel::Failure;
use kernel::failure::UNAVAILABLE;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Code, Status};
use tracing::Span;
use web_kit::Meta;

use crate::status;

pub(crate) type Ending = Pin<Box<dyn Future<Output = Failure> + Send>>;

/// An answer with one message has no more frames with data than this; what has more is a stream.
const ONE_MESSAGE: u32 = 1;

/// One call from its admission to its end.
pub(crate) struct Meter {
    pub(crate) method: &'static str,
    pub(crate) span: Span,
    /// How it ended; none for a client that left before.
    pub(crate) code: Option<Code>,
    /// Its place among the calls in flight; none was left for a call that is refused.
    pub(crate) _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Meter {
    fn drop(&mut self) {
        let code = status::name(self.code.unwrap_or(Code::Cancelled));
        metrics::gauge!("meydan_grpc_in_flight").decrement(1.0);
        metrics::counter!(
            "meydan_grpc_requests_total", "method" => self.method, "code" => code
        )
        .increment(1);
        self.span
            .in_scope(|| tracing::debug!(grpc.code = code, "call done"));
    }
}

/// See the module's text.
pub(crate) struct Answer {
    pub(crate) inner: Body,
    pub(crate) meter: Meter,
    pub(crate) meta: Meta,
    /// When the caller may no longer be served; none where nobody had to log in.
    pub(crate) ending: Option<Ending>,
    /// Streams would keep the process from ending.
    pub(crate) draining: Pin<Box<WaitForCancellationFutureOwned>>,
    pub(crate) frames: u32,
    pub(crate) is_over: bool,
}

type Polled = Poll<Option<Result<Frame<Bytes>, axum::Error>>>;

impl Answer {
    /// The last frame: a status in the trailers.
    fn cut(&mut self, failure: &Failure) -> Polled {
        let answer = self
            .meter
            .span
            .in_scope(|| status::answer(failure, &self.meta));
        self.is_over = true;
        self.meter.code = Some(answer.code());
        let mut trailers = HeaderMap::new();
        match answer.add_header(&mut trailers) {
            Ok(()) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Err(status) => Poll::Ready(Some(Err(axum::Error::new(status)))),
        }
    }

    fn cut_when_draining(&mut self, context: &mut Context<'_>) -> Polled {
        match self.draining.as_mut().poll(context) {
            Poll::Ready(()) => self.cut(&UNAVAILABLE.fail().because("the process is ending")),
            Poll::Pending => Poll::Pending,
        }
    }

    fn note(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.meter.code = Status::from_header_map(trailers).map(|status| status.code());
        } else {
            self.frames = self.frames.saturating_add(1);
        }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        if self.is_over {
            return Poll::Ready(None);
        }
        let ended = self
            .ending
            .as_mut()
            .map(|ending| ending.as_mut().poll(context));
        if let Some(Poll::Ready(failure)) = ended {
            return self.cut(&failure);
        }
        // A stream that always has something would never be found waiting below.
        if self.frames > ONE_MESSAGE
            && let cut @ Poll::Ready(_) = self.cut_when_draining(context)
        {
            return cut;
        }
        match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.note(&frame);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => {
                self.is_over = true;
                Poll::Ready(other)
            }
            Poll::Pending => self.cut_when_draining(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
