//! Retrying with pauses, on paused time.

use std::cell::Cell;
use std::time::Duration;

use kernel::SeededRng;
use runtime::{Backoff, retry};
use tokio::time::Instant;

fn backoff(attempts: u32) -> Backoff {
    let pause = Duration::from_secs(1);
    Backoff {
        jitter_percent: 0,
        ..Backoff::new(pause, pause * 60, attempts)
    }
}

#[tokio::test(start_paused = true)]
async fn tries_until_it_works_and_pauses_between() {
    let (calls, begun) = (Cell::new(0), Instant::now());
    let result: Result<u32, &str> = retry(
        backoff(5),
        &*SeededRng::new(1),
        |_| true,
        || async {
            calls.set(calls.get() + 1);
            if calls.get() == 3 {
                Ok(calls.get())
            } else {
                Err("away")
            }
        },
    )
    .await;
    assert_eq!(result, Ok(3));
    assert_eq!(begun.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn gives_up_after_the_last_attempt_with_its_error() {
    let calls = Cell::new(0);
    let result: Result<(), u32> = retry(
        backoff(3),
        &*SeededRng::new(1),
        |_| true,
        || async {
            calls.set(calls.get() + 1);
            Err(calls.get())
        },
    )
    .await;
    assert_eq!(result, Err(3));
}

#[tokio::test(start_paused = true)]
async fn error_that_will_not_pass_ends_it_at_once() {
    let (calls, begun) = (Cell::new(0), Instant::now());
    let result: Result<(), &str> = retry(
        backoff(3),
        &*SeededRng::new(1),
        |error| *error != "forbidden",
        || async {
            calls.set(calls.get() + 1);
            Err("forbidden")
        },
    )
    .await;
    assert_eq!(
        (result, calls.get(), begun.elapsed()),
        (Err("forbidden"), 1, Duration::ZERO)
    );
}
