use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::future::join_all;
use infra::cache::{Cache, CacheError, MAX_KEY_BYTES, MAX_VALUE_BYTES};

const TTL: Duration = Duration::from_secs(60);

/// The suite of [`Cache`]. `make` gives an empty one; `pass` lets time go by for it.
pub async fn cache<A: Cache>(
    make: impl AsyncFn() -> anyhow::Result<Arc<A>>,
    pass: impl AsyncFn(Duration),
) -> anyhow::Result<()> {
    values_come_back(&*make().await?)
        .await
        .context("values come back")?;
    put_new_keeps_what_is_there(&*make().await?)
        .await
        .context("put_new keeps what is there")?;
    take_gives_once(&*make().await?)
        .await
        .context("take gives once")?;
    one_of_many_wins(&*make().await?)
        .await
        .context("one of many wins")?;
    values_expire(&*make().await?, &pass)
        .await
        .context("values expire")?;
    sizes_are_bounded(&*make().await?)
        .await
        .context("sizes are bounded")
}

fn value(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

async fn values_come_back(cache: &dyn Cache) -> anyhow::Result<()> {
    ensure!(
        cache.get("a").await?.is_none(),
        "something in an empty cache"
    );
    cache.put("a", value("1"), TTL).await?;
    cache.put("b", Bytes::new(), TTL).await?;
    ensure!(cache.get("a").await? == Some(value("1")));
    ensure!(
        cache.get("b").await? == Some(Bytes::new()),
        "an empty value is a value"
    );
    cache.put("a", value("2"), TTL).await?;
    ensure!(
        cache.get("a").await? == Some(value("2")),
        "put does not replace"
    );
    cache.remove("a").await?;
    cache.remove("a").await?;
    ensure!(cache.get("a").await?.is_none(), "remove does not remove");
    ensure!(cache.get("b").await?.is_some(), "remove removes others");
    cache.put("b", value("3"), Duration::ZERO).await?;
    ensure!(
        cache.get("b").await?.is_none(),
        "a ttl of zero leaves a value"
    );
    Ok(())
}

async fn put_new_keeps_what_is_there(cache: &dyn Cache) -> anyhow::Result<()> {
    ensure!(cache.put_new("a", value("1"), TTL).await?);
    ensure!(!cache.put_new("a", value("2"), TTL).await?);
    ensure!(cache.get("a").await? == Some(value("1")));
    cache.remove("a").await?;
    ensure!(cache.put_new("a", value("3"), TTL).await?);
    Ok(())
}

async fn take_gives_once(cache: &dyn Cache) -> anyhow::Result<()> {
    ensure!(cache.take("a").await?.is_none());
    cache.put("a", value("1"), TTL).await?;
    ensure!(cache.take("a").await? == Some(value("1")));
    ensure!(cache.take("a").await?.is_none());
    ensure!(cache.get("a").await?.is_none());
    Ok(())
}

async fn one_of_many_wins(cache: &dyn Cache) -> anyhow::Result<()> {
    for _round in 0..20 {
        let puts = join_all((0..16).map(|_| cache.put_new("a", value("1"), TTL))).await;
        let puts: Vec<bool> = puts.into_iter().collect::<Result<_, _>>()?;
        ensure!(
            puts.iter().filter(|won| **won).count() == 1,
            "put_new: {puts:?}"
        );
        let takes = join_all((0..16).map(|_| cache.take("a"))).await;
        let takes: Vec<Option<Bytes>> = takes.into_iter().collect::<Result<_, _>>()?;
        ensure!(takes.iter().flatten().count() == 1, "take: {takes:?}");
    }
    Ok(())
}

async fn values_expire(cache: &dyn Cache, pass: &impl AsyncFn(Duration)) -> anyhow::Result<()> {
    let short = Duration::from_secs(2);
    for key in ["got", "taken", "renewed", "put again"] {
        cache.put(key, value("1"), short).await?;
    }
    cache.put("long", value("1"), TTL).await?;
    pass(Duration::from_secs(1)).await;
    ensure!(cache.get("got").await?.is_some(), "gone too early");
    cache.put("put again", value("2"), TTL).await?;
    ensure!(
        !cache.put_new("renewed", value("2"), TTL).await?,
        "replaced too early"
    );
    pass(Duration::from_secs(1)).await;
    ensure!(cache.get("got").await?.is_none(), "got after its time");
    ensure!(cache.take("taken").await?.is_none(), "taken after its time");
    ensure!(
        cache.put_new("renewed", value("2"), TTL).await?,
        "kept after its time"
    );
    ensure!(cache.get("renewed").await? == Some(value("2")));
    ensure!(
        cache.get("put again").await? == Some(value("2")),
        "put did not renew the time"
    );
    ensure!(cache.get("long").await?.is_some());
    Ok(())
}

async fn sizes_are_bounded(cache: &dyn Cache) -> anyhow::Result<()> {
    let longest = "k".repeat(MAX_KEY_BYTES);
    let largest = Bytes::from(vec![b'v'; MAX_VALUE_BYTES]);
    cache.put(&longest, largest.clone(), TTL).await?;
    ensure!(cache.get(&longest).await? == Some(largest));

    let too_long = "k".repeat(MAX_KEY_BYTES + 1);
    let too_large = Bytes::from(vec![b'v'; MAX_VALUE_BYTES + 1]);
    let refusals = [
        cache.get(&too_long).await.map(drop),
        cache.put(&too_long, value("1"), TTL).await,
        cache.put_new(&too_long, value("1"), TTL).await.map(drop),
        cache.take(&too_long).await.map(drop),
        cache.remove(&too_long).await,
    ];
    for refusal in refusals {
        ensure!(
            matches!(refusal, Err(CacheError::KeyTooLong { .. })),
            "{refusal:?}"
        );
    }
    let refusals = [
        cache.put("a", too_large.clone(), TTL).await,
        cache.put_new("a", too_large, TTL).await.map(drop),
    ];
    for refusal in refusals {
        ensure!(
            matches!(refusal, Err(CacheError::ValueTooLarge { .. })),
            "{refusal:?}"
        );
    }
    ensure!(cache.get("a").await?.is_none());
    Ok(())
}
