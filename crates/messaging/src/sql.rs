//! Every statement of the crate: what sends and changes messages, what reads them, and the rest.

mod append;
mod changes;
mod channels;
mod partitions;
mod reads;

pub(crate) use append::{Stored, append_messages, find_stored};
pub(crate) use changes::{
    DeleteRow, EditRow, delete_message, edit_message, find_made_changes, lock_channels,
};
pub(crate) use channels::{
    PrivateRow, delete_channel, find_home, find_pair, insert_channel, insert_pair, list_members,
    list_positions, list_private_channels,
};
pub(crate) use partitions::{
    count_default_rows, drop_partitions, limit_lock_wait, lock_partitions, make_partitions,
};
pub(crate) use reads::{
    MessageRow, find_message, find_messages, find_newest_of_author, list_after, list_around,
    list_before, list_newest,
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
    &changes::EDIT_MESSAGE,
    &changes::DELETE_MESSAGE,
    &changes::FIND_MADE_CHANGES,
    &channels::FIND_HOME,
    &channels::INSERT_CHANNEL,
    &channels::DELETE_CHANNEL,
    &channels::FIND_PAIR,
    &channels::INSERT_PAIR,
    &channels::LIST_PRIVATE_CHANNELS,
    &channels::LIST_MEMBERS,
    &channels::LIST_POSITIONS,
    &partitions::LIMIT_LOCK_WAIT,
    &partitions::LOCK_PARTITIONS,
    &partitions::MAKE_PARTITIONS,
    &partitions::DROP_PARTITIONS,
    &partitions::COUNT_DEFAULT_ROWS,
    &reads::FIND_MESSAGE,
    &reads::FIND_MESSAGES,
    &reads::FIND_NEWEST_OF_AUTHOR,
    &reads::LIST_NEWEST,
    &reads::LIST_BEFORE,
    &reads::LIST_AFTER,
    &reads::LIST_AROUND,
];
