use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::future::try_join_all;
use infra::objects::{MAX_OBJECT_BYTES, Object, ObjectError, Objects};

/// The suite of [`Objects`]. `make` gives an empty store.
pub async fn objects<A: Objects>(
    make: impl AsyncFn() -> anyhow::Result<Arc<A>>,
) -> anyhow::Result<()> {
    objects_come_back(&*make().await?)
        .await
        .context("objects come back")?;
    a_reader_keeps_what_it_opened(&*make().await?)
        .await
        .context("a reader keeps what it opened")?;
    lists_show_a_folder(&*make().await?)
        .await
        .context("lists show a folder")?;
    writers_at_once_leave_one_whole_object(&*make().await?)
        .await
        .context("writers at once leave one whole object")?;
    bounds_are_kept(&*make().await?)
        .await
        .context("bounds are kept")
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn whole(object: Option<Object>) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(object) = object else {
        return Ok(None);
    };
    let size = object.size_bytes;
    let pieces: Vec<Bytes> = object.body.try_collect().await?;
    let content = pieces.concat();
    ensure!(
        u64::try_from(content.len())? == size,
        "the size is not the size"
    );
    Ok(Some(content))
}

async fn objects_come_back(store: &dyn Objects) -> anyhow::Result<()> {
    ensure!(
        store.open("a/b.zip").await?.is_none(),
        "something in an empty store"
    );
    let large = Bytes::from(vec![7; 300 * 1024]);
    store.put("a/b.zip", large.clone()).await?;
    store.put("a/c", Bytes::new()).await?;
    ensure!(whole(store.open("a/b.zip").await?).await? == Some(large.to_vec()));
    ensure!(
        whole(store.open("a/c").await?).await? == Some(Vec::new()),
        "an empty object is one"
    );
    ensure!(store.open("a").await?.is_none(), "a folder is no object");
    store.put("a/b.zip", bytes("2")).await?;
    ensure!(
        whole(store.open("a/b.zip").await?).await? == Some(b"2".to_vec()),
        "put does not replace"
    );
    store.remove("a/b.zip").await?;
    store.remove("a/b.zip").await?;
    ensure!(
        store.open("a/b.zip").await?.is_none(),
        "remove does not remove"
    );
    ensure!(store.open("a/c").await?.is_some(), "remove removes others");
    Ok(())
}

async fn a_reader_keeps_what_it_opened(store: &dyn Objects) -> anyhow::Result<()> {
    let old = vec![1; 200 * 1024];
    store.put("a/b", Bytes::from(old.clone())).await?;
    let opened = store.open("a/b").await?;
    store.put("a/b", bytes("new")).await?;
    ensure!(
        whole(opened).await? == Some(old),
        "a reader saw parts of two objects"
    );
    let opened = store.open("a/b").await?;
    store.remove("a/b").await?;
    ensure!(
        whole(opened).await? == Some(b"new".to_vec()),
        "a reader lost what it had opened"
    );
    Ok(())
}

async fn lists_show_a_folder(store: &dyn Objects) -> anyhow::Result<()> {
    ensure!(store.list("exports").await?.is_empty());
    for key in ["exports/2", "exports/1/a", "exports2/x", "other"] {
        store.put(key, bytes(key)).await?;
    }
    ensure!(store.list("exports").await? == ["exports/1/a", "exports/2"]);
    Ok(())
}

async fn writers_at_once_leave_one_whole_object(store: &dyn Objects) -> anyhow::Result<()> {
    let contents: Vec<Bytes> = (0..8_u8)
        .map(|n| Bytes::from(vec![n; 100 * 1024]))
        .collect();
    try_join_all(
        contents
            .iter()
            .map(|content| store.put("a/b", content.clone())),
    )
    .await?;
    let left = whole(store.open("a/b").await?).await?;
    let left = left.context("nothing is left")?;
    ensure!(
        contents.iter().any(|content| *content == left),
        "parts of several objects"
    );
    ensure!(
        store.list("a").await? == ["a/b"],
        "something unfinished is left"
    );
    Ok(())
}

async fn bounds_are_kept(store: &dyn Objects) -> anyhow::Result<()> {
    for key in ["", "../x", "/etc/x", "a//b", ".hidden"] {
        let refused =
            |result: Result<(), ObjectError>| matches!(result, Err(ObjectError::BadKey(_)));
        ensure!(
            refused(store.put(key, bytes("x")).await),
            "put took {key:?}"
        );
        ensure!(refused(store.remove(key).await), "remove took {key:?}");
        ensure!(
            refused(store.open(key).await.map(drop)),
            "open took {key:?}"
        );
        ensure!(
            refused(store.list(key).await.map(drop)),
            "list took {key:?}"
        );
    }
    // Zeros that nobody touches take no memory.
    let beyond = Bytes::from(vec![0; MAX_OBJECT_BYTES + 1]);
    let refused = store.put("a/b", beyond).await;
    ensure!(matches!(refused, Err(ObjectError::TooLarge { .. })));
    ensure!(store.open("a/b").await?.is_none());
    Ok(())
}
