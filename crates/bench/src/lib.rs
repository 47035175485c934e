//! The load generator: scenarios that say how fast a running server is, and whether it lost or
//! doubled anything on the way.
//!
//! Invariants:
//! 1. A server is used through its public API only, as any client would. There is no back door, no
//!    SQL and no import of a context in here.
//! 2. One thread waits in one `epoll` for all sockets; the generator has to be cheaper than what
//!    it measures. A window in which it was not says so.
//! 3. Every message carries `~seq~nanoseconds~`. Each one is accounted for at every member: missing
//!    is `lost`, more than once is `dup`, and either of them fails the run whatever its speed.
//! 4. A number is never shown as a judgement when the host could not give one: `judged` is false
//!    and `reason` tells why. With `--strict` that ends the run with code 4.
//! 5. At most [`MAX_SOCKETS`] sockets per process, and only loopback targets.
//!
//! Deliberately absent: tokio (it is what is measured), a general HTTP client (the few answers that
//! come are read by the lines of `http`), sleeping between turns.
//!
//! Exit codes: 0 done, 1 the run failed, 2 wrong usage, 4 not judged under `--strict`, 6 something
//! was lost or doubled.
//!
//! Begin reading with `scenarios::fan`, then `fleet`.

mod args;
mod call_report;
mod calls;
mod clock;
mod fleet;
mod gateway;
mod histogram;
mod http;
mod jwt;
mod ledger;
mod limits;
mod marker;
mod num;
mod post;
mod probe;
mod proc;
mod report;
mod scenarios;
mod server;
mod setup;
mod wire;

use std::io::Write;

use anyhow::Context;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

pub use args::USAGE;

/// Most sockets of one process, below the usual limit of 20,000 open files.
pub const MAX_SOCKETS: usize = 19_000;

/// Runs one command of the generator, writes its windows to standard output, gives the exit code.
///
/// # Errors
/// What kept the run from ending: a server that does not answer, a set-up that was refused.
pub fn run(args: &[String]) -> anyhow::Result<i32> {
    run_to(args, &mut std::io::stdout().lock(), &mut std::io::stderr())
}

/// The same with results written to `out` and talk to `talk`.
///
/// # Errors
/// As in [`run`].
pub fn run_to(args: &[String], out: &mut dyn Write, talk: &mut dyn Write) -> anyhow::Result<i32> {
    match args::parse(args) {
        Ok(args::Command::Help) => {
            out.write_all(USAGE.as_bytes())?;
            Ok(0)
        }
        Ok(args::Command::Limits(options)) => {
            pin(options.pin)?;
            limits::run(&options, out)
        }
        Ok(args::Command::Scenario(scenario, options)) => {
            scenarios::run(scenario, &options, out, talk)
        }
        Err(wrong) => {
            writeln!(talk, "{wrong}\n\n{USAGE}")?;
            Ok(2)
        }
    }
}

/// Keeps this thread on one core, and processes that it starts from then on: so a server is started
/// before. None: where the kernel likes.
pub(crate) fn pin(cpu: Option<usize>) -> anyhow::Result<()> {
    let Some(cpu) = cpu else {
        return Ok(());
    };
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("pinning to core {cpu}"))
}
