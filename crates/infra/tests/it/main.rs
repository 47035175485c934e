//! The adapters inside one process: the suites of `testkit::conformance`, then their own bounds.

mod bus;
mod cache;
mod fanout;
mod limiter;
