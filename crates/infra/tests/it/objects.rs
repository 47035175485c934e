use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use infra::objects::{
    About, DiskObjects, MAX_OBJECT_BYTES, MemoryObjects, ObjectError, Objects, S3Objects,
};
use jiff::Timestamp;
use testkit::servers::S3Server;

/// A directory that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("meydan-objects-{}-{name}", std::process::id());
        Folder(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn objects_in_memory_pass_the_suite() -> anyhow::Result<()> {
    testkit::conformance::objects(async || Ok(MemoryObjects::new(MAX_OBJECT_BYTES))).await
}

#[tokio::test]
async fn objects_on_disk_pass_the_suite() -> anyhow::Result<()> {
    let root = Folder::new("suite");
    let count = AtomicU32::new(0);
    testkit::conformance::objects(async || {
        let number = count.fetch_add(1, Relaxed);
        Ok(DiskObjects::new(root.0.join(number.to_string())))
    })
    .await
}

#[tokio::test]
async fn objects_in_a_bucket_pass_the_suite() -> anyhow::Result<()> {
    let server = S3Server::start().await?;
    testkit::conformance::objects(async || Ok(S3Objects::new(&server.bucket().await?)?)).await
}

#[tokio::test]
async fn a_presigned_address_is_good_for_a_while_and_for_one_object() -> anyhow::Result<()> {
    let server = S3Server::start().await?;
    let bucket = server.bucket().await?;
    let store = S3Objects::new(&bucket)?;
    let about = About {
        max_bytes: 100,
        content_type: "text/x-test".to_owned(),
        disposition: "attachment; filename=\"a.txt\"".to_owned(),
    };
    let content = stream::iter([Ok(Bytes::from_static(b"hello"))]).boxed();
    store.put_stream("a/b", &about, content).await?;
    let address = store
        .presign("a/b", Duration::from_secs(90))
        .await?
        .unwrap();
    let wanted = format!("{}/{}/a/b?", server.url(), bucket.name);
    assert!(address.starts_with(&wanted), "{address}");
    for part in [
        "X-Amz-Expires=90",
        "X-Amz-Signature=",
        "X-Amz-Credential=test%2F",
    ] {
        assert!(address.contains(part), "{address}");
    }
    let path = address.strip_prefix(&server.url()).unwrap();
    let answer = server.request(&format!("GET {path}")).await?;
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    let lower = answer.to_ascii_lowercase();
    assert!(lower.contains("content-type: text/x-test"), "{answer}");
    assert!(
        lower.contains("content-disposition: attachment; filename=\"a.txt\""),
        "{answer}"
    );
    Ok(())
}

#[tokio::test]
async fn a_bucket_that_is_away_is_an_error() {
    let bucket = {
        let server = S3Server::start().await.unwrap();
        server.bucket().await.unwrap()
    };
    let store = S3Objects::new(&bucket).unwrap();
    let away = store.put("a", Bytes::new()).await;
    assert!(matches!(away, Err(ObjectError::Io(_))), "{away:?}");
    assert!(
        store.open("a").await.is_err(),
        "absent is not the same as away"
    );
    assert!(store.list("a").await.is_err());
}

#[tokio::test]
async fn what_killed_processes_left_half_written_can_be_removed() {
    let root = Folder::new("unfinished");
    let store = DiskObjects::new(&root.0);
    let about = About {
        max_bytes: 100,
        content_type: String::new(),
        disposition: String::new(),
    };
    // A write that was given up in the middle leaves nothing by itself.
    let half = stream::iter([Ok(Bytes::from_static(b"half"))]).chain(stream::pending());
    let given_up = store.put_stream("a/b", &about, half.boxed());
    let waited = tokio::time::timeout(Duration::from_millis(100), given_up).await;
    assert!(waited.is_err());
    let unfinished = root.0.join(".unfinished");
    assert_eq!(std::fs::read_dir(&unfinished).unwrap().count(), 0);
    std::fs::write(unfinished.join("1-1"), b"half").unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
    let file = std::fs::File::create(unfinished.join("1-2")).unwrap();
    file.set_modified(old).unwrap();
    store.put("a/b", Bytes::from_static(b"kept")).await.unwrap();
    let clear = async |second| {
        let before = Timestamp::from_second(second).unwrap();
        store.clear_unfinished(before).await.unwrap()
    };
    assert_eq!(clear(1_000).await, 0);
    assert_eq!(clear(1_001).await, 1, "what is being written stays");
    assert!(unfinished.join("1-1").exists());
    let kept = store.open("a/b").await.unwrap().unwrap();
    let pieces: Vec<Bytes> = kept.body.try_collect().await.unwrap();
    assert_eq!(pieces.concat(), b"kept");
    let nothing = DiskObjects::new(root.0.join("absent"));
    assert_eq!(nothing.clear_unfinished(Timestamp::MAX).await.unwrap(), 0);
}

#[tokio::test]
async fn removed_objects_leave_no_folders() {
    let root = Folder::new("folders");
    let store = DiskObjects::new(&root.0);
    for key in ["a/b/c", "a/d"] {
        store.put(key, Bytes::new()).await.unwrap();
    }
    store.remove("a/b/c").await.unwrap();
    assert!(!root.0.join("a/b").exists());
    assert!(root.0.join("a").exists(), "what holds something stays");
    store.remove("a/d").await.unwrap();
    assert!(!root.0.join("a").exists());
    assert!(root.0.exists());
}

#[tokio::test]
async fn memory_refuses_what_does_not_fit() {
    let store = MemoryObjects::new(10);
    let bytes = |n: usize| Bytes::from(vec![0; n]);
    store.put("a", bytes(6)).await.unwrap();
    store.put("b", bytes(4)).await.unwrap();
    let refused = store.put("c", bytes(1)).await;
    assert!(matches!(refused, Err(ObjectError::Full)));
    // Replacing counts what is replaced no more.
    store.put("a", bytes(5)).await.unwrap();
    store.put("c", bytes(1)).await.unwrap();
}

#[tokio::test]
async fn files_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = Folder::new("modes");
    let store = DiskObjects::new(root.0.join("objects"));
    store
        .put("exports/1", Bytes::from_static(b"x"))
        .await
        .unwrap();
    for folder in ["objects", "objects/exports"] {
        let about = std::fs::metadata(root.0.join(folder)).unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o700, "{folder}");
    }
}
