use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use infra::objects::{About, MAX_OBJECT_BYTES, Object, ObjectError, Objects, Pieces};

/// More than a store sends to its server at a time.
const LARGE: usize = 17 * 1024 * 1024 + 3;

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
    content_comes_piece_by_piece(&*make().await?)
        .await
        .context("content comes piece by piece")?;
    broken_content_leaves_nothing(&*make().await?)
        .await
        .context("broken content leaves nothing")?;
    parts_are_read(&*make().await?)
        .await
        .context("parts are read")?;
    removed_folders_can_be_filled_again(&*make().await?)
        .await
        .context("removed folders can be filled again")?;
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

/// Content of this size in pieces of uneven sizes, so that parts are found in other places.
fn pieces(size: usize) -> (Vec<u8>, Vec<io::Result<Bytes>>) {
    let cycle: Vec<u8> = (0..=250).collect();
    let whole: Vec<u8> = cycle.iter().copied().cycle().take(size).collect();
    let pieces = whole.chunks(777_777).map(Bytes::copy_from_slice).map(Ok);
    let pieces = pieces.collect();
    (whole, pieces)
}

fn flow(pieces: Vec<io::Result<Bytes>>) -> Pieces {
    stream::iter(pieces).boxed()
}

fn about(max_bytes: usize) -> anyhow::Result<About> {
    Ok(About {
        max_bytes: max_bytes.try_into()?,
        content_type: "text/plain".to_owned(),
        disposition: "attachment".to_owned(),
    })
}

async fn content_comes_piece_by_piece(store: &dyn Objects) -> anyhow::Result<()> {
    for size in [0, 1, 8 * 1024 * 1024, LARGE] {
        let (expected, pieces) = pieces(size);
        let stored = store.put_stream("a/b", &about(size)?, flow(pieces)).await?;
        ensure!(stored == u64::try_from(size)?, "{size} became {stored}");
        let found = whole(store.open("a/b").await?).await?;
        ensure!(found == Some(expected), "{size} bytes came back changed");
    }
    Ok(())
}

async fn broken_content_leaves_nothing(store: &dyn Objects) -> anyhow::Result<()> {
    store.put("a/kept", bytes("old")).await?;
    for size in [5, LARGE] {
        for key in ["a/new", "a/kept"] {
            let (_, mut broken) = pieces(size);
            broken.push(Err(io::ErrorKind::ConnectionReset.into()));
            let refused = store.put_stream(key, &about(LARGE)?, flow(broken)).await;
            ensure!(matches!(refused, Err(ObjectError::Content(_))));
        }
        let (_, long) = pieces(size);
        let refused = store
            .put_stream("a/new", &about(size - 1)?, flow(long))
            .await;
        let limit = u64::try_from(size - 1)?;
        ensure!(
            matches!(refused, Err(ObjectError::TooLarge { limit: told }) if told == limit),
            "one byte too many was taken"
        );
    }
    ensure!(store.open("a/new").await?.is_none());
    ensure!(store.list("a").await? == ["a/kept"]);
    ensure!(whole(store.open("a/kept").await?).await? == Some(b"old".to_vec()));
    Ok(())
}

async fn parts_are_read(store: &dyn Objects) -> anyhow::Result<()> {
    let (expected, pieces) = pieces(LARGE);
    store
        .put_stream("a/b", &about(LARGE)?, flow(pieces))
        .await?;
    let end = u64::try_from(LARGE)?;
    for (range, from, to) in [
        (0..1, 0, 1),
        (0..end, 0, LARGE),
        (1..300_000, 1, 300_000),
        (end - 1..end, LARGE - 1, LARGE),
        // Cut at the end.
        (end - 5..end + 5, LARGE - 5, LARGE),
    ] {
        let part = whole(store.open_range("a/b", range.clone()).await?).await?;
        let wanted = expected.get(from..to).context("a range of the test")?;
        ensure!(part.as_deref() == Some(wanted), "bytes {range:?}");
    }
    ensure!(store.open_range("a/c", 0..1).await?.is_none());
    for range in [0..0, 5..5, end..end + 1, end + 9..end + 10] {
        let refused = store.open_range("a/b", range.clone()).await;
        ensure!(refused.is_err(), "bytes {range:?} were found");
    }
    let address = store.presign("a/b", Duration::from_secs(60)).await?;
    ensure!(address.is_none_or(|address| address.contains("a/b")));
    Ok(())
}

async fn removed_folders_can_be_filled_again(store: &dyn Objects) -> anyhow::Result<()> {
    // Writers and removers of neighbours, at once: none hinders another.
    let turns = (0..20).map(|turn| async move {
        let key = format!("a/b/{}", turn % 4);
        store.put(&key, bytes("x")).await?;
        store.remove(&key).await
    });
    try_join_all(turns).await?;
    store.put("a/b/c", bytes("x")).await?;
    ensure!(store.list("a").await? == ["a/b/c"]);
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
        let content = flow(vec![Ok(bytes("x"))]);
        ensure!(
            refused(store.put_stream(key, &about(1)?, content).await.map(drop)),
            "put_stream took {key:?}"
        );
        ensure!(
            refused(store.open(key).await.map(drop)),
            "open took {key:?}"
        );
        ensure!(
            refused(store.open_range(key, 0..1).await.map(drop)),
            "open_range took {key:?}"
        );
        let minute = Duration::from_secs(60);
        ensure!(
            refused(store.presign(key, minute).await.map(drop)),
            "presign took {key:?}"
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
