//! Sealing, and what verification finds.

use audit::{Finding, Verdict};

use crate::fixture::{AYSE, World, event};

fn finding(seq: i64, verdict: Verdict) -> Finding {
    Finding {
        chain: 0,
        seq,
        verdict,
    }
}

#[tokio::test]
async fn what_was_sealed_verifies_and_an_event_is_sealed_once() {
    let world = World::new().await;
    assert_eq!(world.audit.verify().await.unwrap(), []);
    for id in [1, 2, 2, 3] {
        world
            .bring(&event(id, AYSE, "identity.factor_changed.v1"))
            .await;
    }
    assert_eq!(world.audit.seal().await.unwrap(), 3);
    assert_eq!(world.audit.seal().await.unwrap(), 0);
    // Brought again after it was sealed, by a bus that lost its memory.
    world
        .database
        .script("DELETE FROM audit.inbox")
        .await
        .unwrap();
    world
        .bring(&event(2, AYSE, "identity.factor_changed.v1"))
        .await;
    assert_eq!(world.audit.seal().await.unwrap(), 0);
    assert_eq!(world.audit.verify().await.unwrap(), []);
}

#[tokio::test]
async fn nodes_that_seal_at_once_make_one_chain() {
    let world = World::new().await;
    for id in 1..=50 {
        world
            .bring(&event(id, AYSE, "identity.factor_changed.v1"))
            .await;
    }
    let nodes = (0..4).map(|_| world.audit.seal());
    let sealed = futures::future::join_all(nodes).await;
    let sealed: usize = sealed.into_iter().map(Result::unwrap).sum();
    assert_eq!(sealed, 50);
    assert_eq!(world.audit.verify().await.unwrap(), []);
}

#[tokio::test]
async fn galleries_have_chains_of_their_own() {
    let world = World::new().await;
    let mut of_gallery = event(1, AYSE, "identity.factor_changed.v1");
    of_gallery.tenant = Some(77);
    world.bring(&of_gallery).await;
    world.sealed(2..=3).await;
    assert_eq!(world.audit.verify().await.unwrap(), []);
    world
        .database
        .script("DELETE FROM audit.entries WHERE chain = 77")
        .await
        .unwrap();
    let found = world.audit.verify().await.unwrap();
    assert_eq!(
        found,
        [Finding {
            chain: 77,
            seq: 0,
            verdict: Verdict::Tail
        }]
    );
}

#[tokio::test]
async fn s22_an_edited_entry_is_named() {
    for change in [
        "body = replace(convert_from(body, 'UTF8'), 'totp', 'none')::bytea",
        "hash = sha256('other')",
    ] {
        let world = World::new().await;
        world.sealed(1..=5).await;
        let script = format!("UPDATE audit.entries SET {change} WHERE seq = 3");
        world.database.script(&script).await.unwrap();
        let found = world.audit.verify().await.unwrap();
        assert_eq!(found[0], finding(3, Verdict::Edited), "{change}");
    }
}

#[tokio::test]
async fn the_daily_look_counts_what_it_finds() {
    let metrics = runtime::telemetry::metrics();
    let world = World::new().await;
    world.sealed(1..=5).await;
    let jobs = audit::module(&world.audit).jobs;
    let daily = jobs.iter().find(|job| job.name == "audit.verify").unwrap();
    for (script, count) in [
        ("SELECT", 0),
        (
            "UPDATE audit.entries SET hash = sha256('other') WHERE seq = 5",
            2,
        ),
    ] {
        world.database.script(script).await.unwrap();
        let status = (daily.run)().await.unwrap();
        assert_eq!(status, format!("found {count} places that do not hold"));
        let line = format!("\nmeydan_audit_findings {count}\n");
        let text = metrics.render();
        assert!(text.contains(&line), "{text}");
    }
}

#[tokio::test]
async fn s22_a_deleted_entry_is_named_by_the_one_after_it() {
    let world = World::new().await;
    world.sealed(1..=5).await;
    world
        .database
        .script("DELETE FROM audit.entries WHERE seq = 3")
        .await
        .unwrap();
    let found = world.audit.verify().await.unwrap();
    assert_eq!(found, [finding(4, Verdict::Unlinked)]);
}

#[tokio::test]
async fn s22_an_inserted_entry_is_named() {
    let world = World::new().await;
    world.sealed(1..=5).await;
    // Somebody who knows how hashes are made, and moves the rest along.
    world
        .database
        .script(
            "ALTER TABLE audit.entries DROP CONSTRAINT entries_seq_check;
             UPDATE audit.entries SET seq = -seq WHERE seq > 3;
             INSERT INTO audit.entries (chain, seq, event_id, body, prev, hash)
             SELECT 0, 4, 99, 'x', hash, sha256(hash || int8send(0::bigint) || int8send(4::bigint) || 'x'::bytea)
               FROM audit.entries WHERE seq = 3;
             UPDATE audit.entries SET seq = 1 - seq WHERE seq < 0",
        )
        .await
        .unwrap();
    let found = world.audit.verify().await.unwrap();
    // The stranger itself fits in; what was there before does not fit any more.
    assert_eq!(found[0], finding(5, Verdict::Edited));
}

#[tokio::test]
async fn d6_a_cut_tail_is_found_at_the_signed_end() {
    let world = World::new().await;
    world.sealed(1..=5).await;
    world
        .database
        .script("DELETE FROM audit.entries WHERE seq > 3")
        .await
        .unwrap();
    let found = world.audit.verify().await.unwrap();
    assert_eq!(found, [finding(3, Verdict::Tail)]);
    // Moving the end as well needs the key.
    world
        .database
        .script(
            "UPDATE audit.heads h SET seq = 3, hash = e.hash
               FROM audit.entries e WHERE e.chain = h.chain AND e.seq = 3",
        )
        .await
        .unwrap();
    let found = world.audit.verify().await.unwrap();
    assert_eq!(found, [finding(3, Verdict::Unsigned)]);
}

#[tokio::test]
async fn another_root_secret_does_not_vouch_for_the_chain() {
    let world = World::new().await;
    world.sealed(1..=2).await;
    let found = world.stranger().verify().await.unwrap();
    assert_eq!(found, [finding(2, Verdict::Unsigned)]);
}
