//! Every statement of the crate: what sends and changes messages, what reads them, and the rest.

mod append;
mod changes;
mod channels;
mod drafts;
mod edits;
mod expiry;
mod hung;
mod markers;
mod marks;
mod partitions;
mod pins;
mod polls;
mod previews;
mod reactions;
mod read_states;
mod reads;
mod receipts;
mod revisions;
mod scheduled;
mod sync;

pub(crate) use append::{Stored, append_messages, find_stored};
pub(crate) use changes::{
    CountersRow, HappenedRow, SaidRow, find_made_changes, find_said, insert_happened, insert_said,
    lock_channels, step_channels,
};
pub(crate) use channels::{
    PrivateRow, delete_channel, find_home, find_pair, insert_channel, insert_pair, is_thread,
    list_members, list_positions, list_private_channels,
};
pub(crate) use drafts::{delete_draft, list_drafts, put_draft};
pub(crate) use edits::{DeletedRow, EditRow, delete_messages, edit_message};
pub(crate) use expiry::{find_ttl, list_expired, set_ttl};
pub(crate) use hung::{HungRow, list_hung};
pub(crate) use markers::{
    MovedMarker, advance_markers, find_cursors, put_marker, put_notifications,
};
pub(crate) use marks::{
    MarkRow, MentionRow, MovedReceipt, ReceiptRow, mark_read_states, mention_in_channels,
    move_receipts, take_back_calls, unmark_read_states,
};
pub(crate) use partitions::{
    count_default_rows, drop_partitions, limit_lock_wait, lock_partitions, make_partitions,
};
pub(crate) use pins::{delete_pin, find_pin, insert_pin, list_pins, touch_message};
pub(crate) use polls::{
    close_poll, insert_polls, list_due_polls, list_voters, put_votes, settle_poll, withdraw_votes,
};
pub(crate) use previews::{LinksRow, claim_links, delete_links, insert_links, put_body};
pub(crate) use reactions::{
    clear_reactions, delete_reaction, find_emoji, find_reaction, insert_reaction, list_reactors,
    withdraw_reactions,
};
pub(crate) use read_states::{
    StandingRow, list_homes, list_private_ids, list_said_by, list_standing,
};
pub(crate) use reads::{
    MessageRow, find_message, find_messages, find_newest_of_author, list_after, list_around,
    list_before, list_newest,
};
pub(crate) use receipts::{count_receipts, list_readers, list_receipts, shows_receipts};
pub(crate) use revisions::{RevisionRow, list_revisions};
pub(crate) use scheduled::{
    ScheduledRow, claim_scheduled, delete_scheduled, find_scheduled, insert_scheduled,
    list_scheduled, purge_scheduled, settle_scheduled, update_scheduled,
};
pub(crate) use sync::{
    ChangeRow, HeadRow, Span, TouchedRow, list_changes_after, list_heads, list_messages_after,
    list_touched,
};

use db::{Sql, Tx};

/// The writer's limit for one statement. Clients try again after five seconds at the earliest, so
/// a statement still running then cannot exist.
const LIMIT_STATEMENT: Sql = Sql::new(
    "messaging.limit_statement",
    "SELECT set_config('statement_timeout', '3000', true)",
);

/// Limits every later statement of the transaction to three seconds.
pub(crate) async fn limit_statement(tx: &Tx) -> db::Result<()> {
    LIMIT_STATEMENT.scalar::<String>(tx).await.map(drop)
}

/// All statements, for the test that prepares them.
pub(crate) const ALL: &[&Sql] = &[
    &LIMIT_STATEMENT,
    &append::APPEND_MESSAGES,
    &append::FIND_STORED,
    &changes::LOCK_CHANNELS,
    &changes::STEP_CHANNELS,
    &changes::INSERT_HAPPENED,
    &changes::INSERT_SAID,
    &changes::FIND_MADE_CHANGES,
    &changes::FIND_SAID,
    &channels::FIND_HOME,
    &channels::IS_THREAD,
    &channels::INSERT_CHANNEL,
    &channels::DELETE_CHANNEL,
    &channels::FIND_PAIR,
    &channels::INSERT_PAIR,
    &channels::LIST_PRIVATE_CHANNELS,
    &channels::LIST_MEMBERS,
    &channels::LIST_POSITIONS,
    &drafts::PUT_DRAFT,
    &drafts::DELETE_DRAFT,
    &drafts::LIST_DRAFTS,
    &edits::EDIT_MESSAGE,
    &edits::DELETE_MESSAGES,
    &expiry::FIND_TTL,
    &expiry::SET_TTL,
    &expiry::LIST_EXPIRED,
    &hung::LIST_HUNG,
    &markers::FIND_CURSORS,
    &markers::ADVANCE_MARKERS,
    &markers::PUT_MARKER,
    &markers::PUT_NOTIFICATIONS,
    &marks::MARK_READ_STATES,
    &marks::MENTION_IN_CHANNELS,
    &marks::UNMARK_READ_STATES,
    &marks::TAKE_BACK_CALLS,
    &marks::MOVE_RECEIPTS,
    &partitions::LIMIT_LOCK_WAIT,
    &partitions::LOCK_PARTITIONS,
    &partitions::MAKE_PARTITIONS,
    &partitions::DROP_PARTITIONS,
    &partitions::COUNT_DEFAULT_ROWS,
    &read_states::LIST_STANDING,
    &read_states::LIST_SAID_BY,
    &read_states::LIST_PRIVATE_IDS,
    &read_states::LIST_HOMES,
    &pins::FIND_PIN,
    &pins::INSERT_PIN,
    &pins::DELETE_PIN,
    &pins::TOUCH_MESSAGE,
    &pins::LIST_PINS,
    &polls::INSERT_POLLS,
    &polls::PUT_VOTES,
    &polls::CLOSE_POLL,
    &polls::LIST_DUE_POLLS,
    &polls::SETTLE_POLL,
    &polls::LIST_VOTERS,
    &polls::WITHDRAW_VOTES,
    &previews::INSERT_LINKS,
    &previews::CLAIM_LINKS,
    &previews::DELETE_LINKS,
    &previews::PUT_BODY,
    &reactions::FIND_REACTION,
    &reactions::INSERT_REACTION,
    &reactions::DELETE_REACTION,
    &reactions::CLEAR_REACTIONS,
    &reactions::FIND_EMOJI,
    &reactions::LIST_REACTORS,
    &reactions::WITHDRAW_REACTIONS,
    &reads::FIND_MESSAGE,
    &reads::FIND_MESSAGES,
    &reads::FIND_NEWEST_OF_AUTHOR,
    &reads::LIST_NEWEST,
    &reads::LIST_BEFORE,
    &reads::LIST_AFTER,
    &reads::LIST_AROUND,
    &receipts::LIST_RECEIPTS,
    &receipts::SHOWS_RECEIPTS,
    &receipts::COUNT_RECEIPTS,
    &receipts::LIST_READERS,
    &revisions::LIST_REVISIONS,
    &scheduled::INSERT_SCHEDULED,
    &scheduled::LIST_SCHEDULED,
    &scheduled::FIND_SCHEDULED,
    &scheduled::UPDATE_SCHEDULED,
    &scheduled::DELETE_SCHEDULED,
    &scheduled::CLAIM_SCHEDULED,
    &scheduled::SETTLE_SCHEDULED,
    &scheduled::PURGE_SCHEDULED,
    &sync::LIST_HEADS,
    &sync::LIST_CHANGES_AFTER,
    &sync::LIST_MESSAGES_AFTER,
    &sync::LIST_TOUCHED,
];
