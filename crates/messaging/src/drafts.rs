//! Drafts: what a person has begun to write, the same on every device. Nobody else is told.

use contracts::messaging::Draft;
use infra::fanout::Topic;
use kernel::{Caller, ChannelId, FieldError, UserId};

use crate::Messaging;
use crate::error::Error;
use crate::live;
use crate::model::MAX_CONTENT_CHARS;
use crate::sql;

/// Most drafts of a person; the oldest goes when one more comes.
const MAX_DRAFTS: i64 = 100;

impl Messaging {
    /// Stores what the caller has begun to write in a channel.
    pub async fn put_draft(
        &self,
        caller: &Caller,
        channel: ChannelId,
        content: &str,
    ) -> Result<Draft, Error> {
        self.enter(caller, channel).await?;
        let chars = content.chars().count();
        if content.trim().is_empty() || chars > MAX_CONTENT_CHARS || content.contains('\0') {
            let detail = "1 to 4000 characters";
            let error = FieldError::new("/content", "BASE_TYPE_BAD_LENGTH", detail);
            return Err(Error::Invalid(vec![error]));
        }
        let (user, now) = (caller.user, self.clock.now());
        let put = sql::put_draft(&self.db, user, channel, content, now, MAX_DRAFTS);
        let draft = Draft {
            channel_id: channel,
            content: Some(content.to_owned()),
            updated_at: put.await?,
        };
        self.tell_draft(user, &draft).await?;
        Ok(draft)
    }

    /// Throws a draft away; also in a channel that the caller sees no more.
    pub async fn delete_draft(&self, caller: &Caller, channel: ChannelId) -> Result<(), Error> {
        let now = self.clock.now();
        let gone = sql::delete_draft(&self.db, caller.user, channel, now).await?;
        let Some(updated_at) = gone else {
            return Ok(());
        };
        let draft = Draft {
            channel_id: channel,
            content: None,
            updated_at,
        };
        self.tell_draft(caller.user, &draft).await
    }

    /// A person's drafts, newest first.
    pub(crate) async fn drafts(&self, user: UserId) -> Result<Vec<Draft>, Error> {
        let rows = sql::list_drafts(&self.db, user, MAX_DRAFTS).await?;
        Ok(rows.into_iter().map(Draft::from).collect())
    }

    async fn tell_draft(&self, user: UserId, draft: &Draft) -> Result<(), Error> {
        let record = live::draft(draft)?;
        live::publish(&*self.fanout, Topic::User(user), record).await;
        Ok(())
    }
}
