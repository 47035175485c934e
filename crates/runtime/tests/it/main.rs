//! Integration tests of `runtime`.

#![cfg(test)]

mod blocking;
mod child;
mod disk;
mod health;
mod jobs;
mod lifecycle;
mod logs;
mod metrics;
mod retry;
