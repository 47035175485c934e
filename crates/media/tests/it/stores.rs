//! The same over the stores there are: a directory, and a real server of S3's protocol.

use std::sync::Arc;

use infra::objects::{DiskObjects, Objects, S3Objects};
use testkit::servers::S3Server;

use crate::fixture::{World, holds, id_of, path, photo};

async fn a_file_comes_and_goes(objects: Arc<dyn Objects>) {
    let mut world = World::over(objects, |_| {}).await;
    let photo = photo();
    let at = world.opened(photo.len(), "filename YS5qcGc=").await;
    let (first, second) = photo.split_at(photo.len() / 2);
    world
        .patch(&at, 0, first.to_vec())
        .await
        .expect(204)
        .unwrap();
    world.restart();
    world
        .patch(&at, first.len(), second.to_vec())
        .await
        .expect(204)
        .unwrap();
    let (_, shown) = world.show(id_of(&at)).await;
    let reply = world.get(path(&shown.url), &[]).await.expect(200).unwrap();
    assert!(!holds(&reply.body, "SECRET"));
    image::load_from_memory(&reply.body).unwrap();
    let part = world.get(path(&shown.url), &[("range", "bytes=0-1")]).await;
    assert_eq!((part.status.as_u16(), &*part.body), (206, &b"\xff\xd8"[..]));
    contracts::Media::release(&*world.app, &[shown.id])
        .await
        .unwrap();
    world.app.clear().await.unwrap();
    assert!(world.stored().await.is_empty());
}

#[tokio::test]
async fn in_a_directory() {
    let name = format!("meydan-media-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    a_file_comes_and_goes(DiskObjects::new(&folder)).await;
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn in_a_bucket() {
    let server = S3Server::start().await.unwrap();
    let bucket = server.bucket().await.unwrap();
    a_file_comes_and_goes(S3Objects::new(&bucket).unwrap()).await;
}
