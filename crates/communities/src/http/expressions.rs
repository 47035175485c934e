//! The rows of emoji.

use std::time::Duration;

use contracts::communities::Emoji;
use kernel::Rule;
use serde_json::json;
use web_kit::{Doc, Policy};

use super::{Build, emojis as at};
use crate::error::{
    COMMUNITY_PERMISSION_MISSING, COMMUNITY_UNKNOWN, EMOJI_UNKNOWN, EMOJIS_MAX, ROLE_UNKNOWN,
};
use crate::requests::{CreateEmoji, UpdateEmoji};

const CREATE: Rule = Rule::new("emoji_create", 20, Duration::from_secs(600));
/// A page full of emoji asks for each once; then it has them for a year.
const PICTURE: Rule = Rule::new("emoji_picture", 300, Duration::from_secs(10));

pub(super) fn routes(routes: Build) -> Build {
    routes
        .get(
            "/api/v10/guilds/{guild_id}/emojis",
            at::list_emojis,
            Doc::new("List emoji")
                .returns_list::<Emoji>(200)
                .errors(&[&COMMUNITY_UNKNOWN]),
        )
        .post(
            "/api/v10/guilds/{guild_id}/emojis",
            at::create_emoji,
            Doc::new("Make an emoji")
                .limit(CREATE)
                .body::<CreateEmoji>()
                .example(json!({"name": "cay", "image": "data:image/png;base64,iVBORw0KGgo="}))
                .returns::<Emoji>(201)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &ROLE_UNKNOWN,
                    &EMOJIS_MAX,
                ]),
        )
        .get(
            "/api/v10/guilds/{guild_id}/emojis/{emoji_id}",
            at::get_emoji,
            Doc::new("Read an emoji")
                .returns::<Emoji>(200)
                .errors(&[&COMMUNITY_UNKNOWN, &EMOJI_UNKNOWN]),
        )
        .patch(
            "/api/v10/guilds/{guild_id}/emojis/{emoji_id}",
            at::update_emoji,
            Doc::new("Rename an emoji, or say for whom it is")
                .body::<UpdateEmoji>()
                .returns::<Emoji>(200)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &EMOJI_UNKNOWN,
                    &ROLE_UNKNOWN,
                ]),
        )
        .delete(
            "/api/v10/guilds/{guild_id}/emojis/{emoji_id}",
            at::delete_emoji,
            Doc::new("Delete an emoji")
                .returns_nothing(204)
                .errors(&[
                    &COMMUNITY_UNKNOWN,
                    &COMMUNITY_PERMISSION_MISSING,
                    &EMOJI_UNKNOWN,
                ]),
        )
        .get(
            "/emojis/{file}",
            at::get_picture,
            Doc::new("The image of an emoji")
                .describe("`file` is the emoji's id with any ending: `157.png`. The type is the image's own.")
                .policy(Policy::Public)
                .limit(PICTURE)
                .returns_nothing(200)
                .errors(&[&EMOJI_UNKNOWN]),
        )
}
