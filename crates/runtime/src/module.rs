//! What a context gives to the composition.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kernel::Failure;
use kernel::event::Handler;

/// The function of a [`Job`]; gives a short status for people.
pub type JobFn = Arc<dyn Fn() -> BoxFuture<'static, Result<String, Failure>> + Send + Sync>;

/// The function of a [`Check`]; an error is a short text for operators.
pub type ProbeFn = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// One context, ready to be composed: its routes, work, subscriptions and health.
#[derive(Debug)]
pub struct Module {
    /// The context's name, as in its schema and crate.
    pub name: &'static str,
    /// Its part of the HTTP surface.
    pub routes: axum::Router,
    /// Its periodic work.
    pub jobs: Vec<Job>,
    /// Its subscriptions on the bus.
    pub consumers: Vec<Consumer>,
    /// What must work for it to be ready.
    pub health: Vec<Check>,
}

/// Periodic work: an idempotent function without input that compares what is with what should be.
#[derive(Clone)]
pub struct Job {
    /// `context.what`, unique in the process; labels metrics.
    pub name: &'static str,
    /// The pause between the end of one run and the begin of the next, give or take a tenth.
    pub every: Duration,
    /// The work; its text is a status for people, such as "removed 3".
    pub run: JobFn,
}

impl Job {
    /// Makes a job out of an async closure.
    pub fn new<R, F>(name: &'static str, every: Duration, run: R) -> Self
    where
        R: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<String, Failure>> + Send + 'static,
    {
        Self {
            name,
            every,
            run: Arc::new(move || run().boxed()),
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A subscription: one handler for some kinds of events.
#[derive(Clone)]
pub struct Consumer {
    /// `context.what`, unique; the inbox and dead letters carry it.
    pub name: &'static str,
    /// Event types, such as `identity.user_created.v1`.
    pub kinds: &'static [&'static str],
    /// What handles them; idempotent by event id.
    pub handler: Arc<dyn Handler>,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("name", &self.name)
            .field("kinds", &self.kinds)
            .finish_non_exhaustive()
    }
}

/// What a failing [`Check`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Without it the process cannot serve: not ready.
    Required,
    /// There is a stated fall-back: shown, but still ready.
    Degrades,
}

/// A dependency that can be asked whether it works.
#[derive(Clone)]
pub struct Check {
    /// What is asked, such as `database` or `fanout`.
    pub name: &'static str,
    /// What it means when the answer is no.
    pub effect: Effect,
    /// The question; it gets two seconds.
    pub probe: ProbeFn,
}

impl Check {
    /// Makes a check whose failure makes the process not ready.
    pub fn required<P, F>(name: &'static str, probe: P) -> Self
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self {
            name,
            effect: Effect::Required,
            probe: Arc::new(move || probe().boxed()),
        }
    }

    /// Makes a check whose failure only shows, because there is a fall-back.
    pub fn degrades<P, F>(name: &'static str, probe: P) -> Self
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self {
            effect: Effect::Degrades,
            ..Self::required(name, probe)
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("name", &self.name)
            .field("effect", &self.effect)
            .finish_non_exhaustive()
    }
}
