use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use bytes::Bytes;
use infra::objects::{DiskObjects, MAX_OBJECT_BYTES, MemoryObjects, ObjectError, Objects};

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
