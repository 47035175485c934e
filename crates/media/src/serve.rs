//! What is served, and at which addresses.
//!
//! An address of a file in a message tells by its signature that we made it and until when it is
//! good; it names a preset, never a size, so nobody can make us work at will. All addresses made
//! within a while end at the same moment: whoever caches by address has one, not thousands.

use contracts::media::Attachment;
use kernel::{ChannelId, MediaId};
use tokio::time::Duration;

use crate::Media;
use crate::error::{Error, Result};
use crate::keys::{Opens, Preset};
use crate::kinds::{UNKNOWN, is_shown_in_place};
use crate::model::{Asset, IN_MESSAGE, in_path};
use crate::pictures::type_of_object;

/// Longest time that browsers keep a file of a message; it may be deleted any time.
const CACHE_SECONDS: i64 = 3_600;

/// An address, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) channel: ChannelId,
    pub(crate) media: MediaId,
    /// Until when it is good, in hexadecimal digits.
    pub(crate) until: String,
    pub(crate) signature: String,
    pub(crate) preset: Option<String>,
}

/// Something that may be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Its object.
    pub(crate) key: String,
    /// How large it is; only what has a size can be fetched in parts.
    pub(crate) size_bytes: Option<u64>,
    pub(crate) content_type: String,
    /// What it is called when it is saved.
    pub(crate) name: Option<String>,
    pub(crate) etag: String,
    /// How it may be kept.
    pub(crate) cache: String,
}

impl Opened {
    /// Whether browsers may show it in place.
    pub(crate) fn is_shown(&self) -> bool {
        is_shown_in_place(&self.content_type)
    }
}

impl Media {
    /// Opens a file of a message by its address.
    pub(crate) async fn open_attachment(&self, address: &Address) -> Result<Opened> {
        let now = self.clock.now().as_second();
        let until = i64::from_str_radix(&address.until, 16).or(Err(Error::UnknownMedia))?;
        let preset = Preset::of_word(address.preset.as_deref()).ok_or(Error::UnknownMedia)?;
        let opens = Opens {
            channel: address.channel,
            media: address.media,
            preset,
            until,
        };
        if until <= now || !self.settings.key.fits(&opens, &address.signature) {
            return Err(Error::UnknownMedia);
        }
        let asset = self.await_ready(address.media).await?;
        let asset = asset.ok_or(Error::UnknownMedia)?;
        // It may have been released and its id be all that is left.
        if asset.place_kind != Some(IN_MESSAGE) || asset.channel_id != Some(address.channel) {
            return Err(Error::UnknownMedia);
        }
        let cache = format!(
            "private, max-age={}, immutable",
            CACHE_SECONDS.min(until - now)
        );
        opened(&asset, preset, cache).ok_or(Error::UnknownMedia)
    }

    /// The attachment object of a file that is claimed for a message.
    pub(crate) fn attachment(&self, asset: Asset) -> Option<Attachment> {
        let channel = asset.channel_id?;
        let url = self.address(&asset, channel, Preset::Whole);
        // While it is being worked at it will have one: whoever fetches it waits.
        let is_image = asset.width.is_some();
        let thumbnail_url = is_image.then(|| self.address(&asset, channel, Preset::Thumbnail));
        Some(Attachment {
            id: asset.id,
            description: None,
            content_type: asset.content_type.unwrap_or_else(|| UNKNOWN.to_owned()),
            size: asset.size_bytes,
            proxy_url: url.clone(),
            url,
            thumbnail_url,
            width: asset.width,
            height: asset.height,
            placeholder_version: asset.placeholder.as_ref().map(|_| 1),
            placeholder: asset.placeholder,
            filename: asset.file_name,
        })
    }

    /// Where a file, or a small picture of it, is fetched. Good from one to two periods.
    pub(crate) fn address(&self, asset: &Asset, channel: ChannelId, preset: Preset) -> String {
        let now = self.clock.now().as_second();
        self.address_until(
            asset,
            channel,
            preset,
            round_up(now, self.settings.address_ttl),
        )
    }

    pub(crate) fn address_until(
        &self,
        asset: &Asset,
        channel: ChannelId,
        preset: Preset,
        until: i64,
    ) -> String {
        let opens = Opens {
            channel,
            media: asset.id,
            preset,
            until,
        };
        let signature = self.settings.key.sign(&opens);
        let (id, name) = (asset.id, in_path(&asset.file_name));
        let mut address = format!(
            "{}/attachments/{channel}/{id}/{name}?ex={until:x}&hm={signature}",
            self.settings.public_url
        );
        if preset != Preset::Whole {
            address.push_str("&preset=");
            address.push_str(preset.word());
        }
        address
    }
}

/// The end of the period after the one of `now`.
fn round_up(now: i64, period: Duration) -> i64 {
    let period = i64::try_from(period.as_secs()).unwrap_or(i64::MAX).max(1);
    let begun = now - now.rem_euclid(period);
    begun.saturating_add(period.saturating_mul(2))
}

fn opened(asset: &Asset, preset: Preset, cache: String) -> Option<Opened> {
    let (object, size_bytes, content_type) = match preset {
        Preset::Whole => {
            let shown = asset
                .content_type
                .as_deref()
                .filter(|it| is_shown_in_place(it));
            let size = u64::try_from(asset.size_bytes).ok();
            (asset.object.as_deref()?, size, shown.unwrap_or(UNKNOWN))
        }
        Preset::Thumbnail => {
            let object = asset.thumbnail.as_deref()?;
            (object, None, type_of_object(object))
        }
    };
    Some(Opened {
        key: asset.key(object),
        size_bytes,
        content_type: content_type.to_owned(),
        name: Some(asset.file_name.clone()),
        etag: format!("\"{}-{object}\"", asset.id),
        cache,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_period_end_together_and_are_good_for_one_at_least() {
        let period = Duration::from_secs(100);
        for (now, until) in [(0, 200), (99, 200), (100, 300), (199, 300)] {
            assert_eq!(round_up(now, period), until, "{now}");
        }
        assert_eq!(round_up(5, Duration::ZERO), 7);
    }
}
