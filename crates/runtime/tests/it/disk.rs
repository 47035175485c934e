use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use runtime::Effect;
use runtime::disk::Space;
use tokio::time::advance;

const BOUND: u64 = 1 << 30;
const SECOND: Duration = Duration::from_secs(1);

/// A disk whose free space a test sets; `u64::MAX` is one that cannot be read.
struct Disk {
    free: AtomicU64,
    looks: AtomicUsize,
}

fn disk(free: u64) -> (Arc<Disk>, Arc<Space>) {
    let disk = Arc::new(Disk {
        free: AtomicU64::new(free),
        looks: AtomicUsize::new(0),
    });
    let read = {
        let disk = Arc::clone(&disk);
        move || {
            disk.looks.fetch_add(1, SeqCst);
            match disk.free.load(SeqCst) {
                u64::MAX => Err(io::Error::other("gone")),
                free => Ok(free),
            }
        }
    };
    let space = Space::by(Box::new(read), BOUND).unwrap();
    (disk, space)
}

#[tokio::test(start_paused = true)]
async fn a_byte_below_the_bound_is_low_and_the_bound_is_not() {
    for (free, low) in [(0, true), (BOUND - 1, true), (BOUND, false)] {
        assert_eq!(disk(free).1.is_low(), low, "{free}");
        // The same when it changes under way.
        let (disk, space) = disk(BOUND * 2);
        disk.free.store(free, SeqCst);
        advance(SECOND).await;
        assert_eq!(space.guard()(), low, "{free}");
        disk.free.store(BOUND, SeqCst);
        advance(SECOND).await;
        assert!(!space.is_low());
    }
}

#[tokio::test(start_paused = true)]
async fn the_disk_is_looked_at_once_a_second_however_many_ask() {
    let (disk, space) = disk(BOUND);
    disk.free.store(0, SeqCst);
    for _ in 0..1_000 {
        assert!(!space.is_low());
    }
    advance(SECOND - Duration::from_millis(1)).await;
    assert!(!space.is_low());
    assert_eq!(disk.looks.load(SeqCst), 1);
    advance(Duration::from_millis(1)).await;
    for _ in 0..1_000 {
        assert!(space.is_low());
    }
    assert_eq!(disk.looks.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn the_check_says_why_and_only_degrades() {
    let (disk, space) = disk(BOUND);
    let check = space.check();
    assert_eq!((check.name, check.effect), ("storage", Effect::Degrades));
    (check.probe)().await.unwrap();
    disk.free.store(BOUND / 2, SeqCst);
    advance(SECOND).await;
    let why = (check.probe)().await.unwrap_err();
    assert_eq!(why, "512 MiB free, writes are refused below 1024 MiB");
    // Unknown is not full, and not well either: the last answer stays.
    disk.free.store(u64::MAX, SeqCst);
    advance(SECOND).await;
    assert!(
        (check.probe)()
            .await
            .unwrap_err()
            .contains("cannot be read")
    );
    assert!(space.is_low());
    disk.free.store(BOUND, SeqCst);
    advance(SECOND).await;
    (check.probe)().await.unwrap();
}

#[tokio::test]
async fn a_real_folder_has_space_and_an_absent_one_is_an_error() {
    let folder = std::env::temp_dir();
    assert!(!Space::of(&folder, 1).unwrap().is_low());
    // No disk has so much.
    assert!(Space::of(&folder, u64::MAX).unwrap().is_low());
    assert!(Space::of(folder.join("meydan-no-such-folder"), 1).is_err());
}
