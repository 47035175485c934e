use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future::join_all;
use kernel::{Limiter, Rule, Verdict};

/// Two at once, one more each second.
const RULE: Rule = Rule::new("conformance", 2, Duration::from_secs(2));

/// The suite of [`Limiter`]. `make` gives one that has counted nothing; `pass` lets time go by.
pub async fn limiter<A: Limiter>(
    make: impl AsyncFn() -> anyhow::Result<Arc<A>>,
    pass: impl AsyncFn(Duration),
) -> anyhow::Result<()> {
    burst_then_refill(&*make().await?, &pass)
        .await
        .context("burst, then refill")?;
    keys_and_rules_are_apart(&*make().await?)
        .await
        .context("keys and rules are apart")?;
    a_look_takes_nothing(&*make().await?)
        .await
        .context("a look takes nothing")?;
    costs_are_all_or_nothing(&*make().await?)
        .await
        .context("costs are all or nothing")?;
    exactly_the_burst_of_many_at_once(&*make().await?)
        .await
        .context("exactly the burst of many at once")
}

fn allowed(verdict: Verdict, remaining: u32) -> anyhow::Result<()> {
    ensure!(
        verdict.allowed && verdict.remaining == remaining,
        "{verdict:?}"
    );
    ensure!(
        verdict.retry_after.is_zero(),
        "a wait although allowed: {verdict:?}"
    );
    Ok(())
}

fn refused(verdict: Verdict) -> anyhow::Result<()> {
    ensure!(!verdict.allowed, "{verdict:?}");
    ensure!(
        !verdict.retry_after.is_zero(),
        "no wait although refused: {verdict:?}"
    );
    Ok(())
}

async fn burst_then_refill(
    limiter: &dyn Limiter,
    pass: &impl AsyncFn(Duration),
) -> anyhow::Result<()> {
    allowed(limiter.take(RULE, "a", 1).await, 1)?;
    let second = limiter.take(RULE, "a", 1).await;
    allowed(second, 0)?;
    ensure!(
        second.reset_after <= RULE.per && second.reset_after > RULE.per / 2,
        "{second:?}"
    );
    let third = limiter.take(RULE, "a", 1).await;
    refused(third)?;
    ensure!(third.retry_after <= RULE.per / 2, "{third:?}");
    pass(third.retry_after).await;
    allowed(limiter.take(RULE, "a", 1).await, 0)?;
    refused(limiter.take(RULE, "a", 1).await)?;
    pass(RULE.per * 100).await;
    allowed(limiter.take(RULE, "a", 1).await, 1)?;
    allowed(limiter.take(RULE, "a", 1).await, 0)?;
    refused(limiter.take(RULE, "a", 1).await).context("waiting long saved more than the burst")
}

async fn keys_and_rules_are_apart(limiter: &dyn Limiter) -> anyhow::Result<()> {
    allowed(limiter.take(RULE, "a", 2).await, 0)?;
    refused(limiter.take(RULE, "a", 1).await)?;
    allowed(limiter.take(RULE, "b", 1).await, 1)?;
    let other = Rule::new("conformance_other", RULE.burst, RULE.per);
    allowed(limiter.take(other, "a", 1).await, 1)
}

async fn a_look_takes_nothing(limiter: &dyn Limiter) -> anyhow::Result<()> {
    for _look in 0..5 {
        allowed(limiter.take(RULE, "a", 0).await, 2)?;
    }
    allowed(limiter.take(RULE, "a", 2).await, 0)?;
    refused(limiter.take(RULE, "a", 0).await)
}

async fn costs_are_all_or_nothing(limiter: &dyn Limiter) -> anyhow::Result<()> {
    refused(limiter.take(RULE, "a", 3).await)?;
    allowed(limiter.take(RULE, "a", 1).await, 1)?;
    refused(limiter.take(RULE, "a", 2).await)?;
    allowed(limiter.take(RULE, "a", 1).await, 0)
}

async fn exactly_the_burst_of_many_at_once(limiter: &dyn Limiter) -> anyhow::Result<()> {
    // A rule that gives nothing back while the calls run.
    let rule = Rule::new("conformance_many", 10, Duration::from_secs(86_400));
    let verdicts = join_all((0..50).map(|_| limiter.take(rule, "a", 1))).await;
    let passed = verdicts.iter().filter(|verdict| verdict.allowed).count();
    ensure!(passed == 10, "{passed} of 50 passed a limit of 10");
    Ok(())
}
