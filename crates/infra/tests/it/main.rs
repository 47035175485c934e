//! The adapters: the suites of `testkit::conformance`, then their own bounds and failures.

mod bus;
mod cache;
mod fanout;
mod limiter;
#[cfg(test)]
mod mail;
mod objects;
#[cfg(test)]
mod outbound;
#[cfg(test)]
mod twilio;
