//! Contexts that call no other at their making.

use std::sync::Arc;

use super::Ground;

pub(super) fn media_of(ground: &Ground, settings: media::Settings) -> Arc<media::Media> {
    media::build(media::Deps {
        db: ground.db.clone(),
        ids: Arc::clone(&ground.ids),
        clock: Arc::clone(&ground.clock),
        rng: Arc::clone(&ground.rng),
        objects: Arc::clone(&ground.objects),
        lifecycle: ground.lifecycle.clone(),
        settings,
    })
}

pub(super) fn identity_of(
    ground: &Ground,
    media: &Arc<media::Media>,
    settings: identity::Settings,
) -> Arc<identity::Identity> {
    identity::build(identity::Deps {
        db: ground.db.clone(),
        ids: Arc::clone(&ground.ids),
        clock: Arc::clone(&ground.clock),
        rng: Arc::clone(&ground.rng),
        fanout: Arc::clone(&ground.fanout),
        limiter: Arc::clone(&ground.limiter),
        cache: Arc::clone(&ground.cache),
        senders: ground.carriers.senders.clone(),
        objects: Arc::clone(&ground.objects),
        media: media.clone(),
        settings,
    })
}

pub(super) fn audit_of(ground: &Ground, key: audit::Key) -> Arc<audit::Audit> {
    audit::build(audit::Deps {
        db: ground.db.clone(),
        ids: Arc::clone(&ground.ids),
        clock: Arc::clone(&ground.clock),
        key,
    })
}
