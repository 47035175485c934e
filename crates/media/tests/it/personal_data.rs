//! What is stored about people: all of it is known, exported and erased, and the files go.

use contracts::PersonalData as _;
use testkit::privacy;

use crate::fixture::{OWNER, World, path};

#[tokio::test]
async fn every_column_is_declared() {
    let world = World::new().await;
    privacy::every_column_is_declared(&world.database, &media::PRIVACY)
        .await
        .unwrap();
}

#[tokio::test]
async fn s20_an_erased_user_leaves_nothing_and_their_files_go() {
    let world = World::new().await;
    let admin = world.admin();
    let (_, shown) = world.show(world.receive("ayşe.txt", b"hello").await).await;
    let at = world.opened(10, "filename YXnFn2UudHh0").await;
    world.patch(&at, 0, "hello").await.expect(204).unwrap();
    privacy::every_table_is_filled(&admin, &media::PRIVACY)
        .await
        .unwrap();
    let own = privacy::exported(&*world.app, OWNER, "assets")
        .await
        .unwrap();
    assert_eq!(own.len(), 2);
    assert_eq!(own[0]["file_name"], "ayşe.txt");
    let addresses = privacy::exported(&*world.app, OWNER, "addresses")
        .await
        .unwrap();
    let url = addresses[0]["url"].as_str().unwrap();
    world.wait(7 * 24 * 3600 - 1);
    let fetched = world.get(path(url), &[]).await.expect(200).unwrap();
    assert_eq!(fetched.body, "hello", "as long as the export");
    assert!(world.app.erasure_blockers(OWNER).await.unwrap().is_empty());
    let module = media::module(&world.app);
    privacy::erase(&module.consumers, OWNER).await.unwrap();
    let id = OWNER.to_string();
    privacy::nothing_is_left(&admin, &media::PRIVACY, &id, &["ayşe"])
        .await
        .unwrap();
    assert_eq!(world.get(path(&shown.url), &[]).await.status, 404);
    world.app.clear().await.unwrap();
    assert!(world.stored().await.is_empty());
}
