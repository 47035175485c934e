//! Every statement of the context.

use db::{Db, FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{EventId, UserId};

const STAGE: Sql = Sql::new(
    "audit.stage",
    "INSERT INTO audit.staged (event_id, chain, body, subject, staged_at)
     SELECT $1, $2, $3, $4, $5
      WHERE NOT EXISTS (SELECT 1 FROM audit.entries WHERE event_id = $1)
     ON CONFLICT (event_id) DO NOTHING",
);

/// Keeps an event until it is sealed; one that is there already changes nothing.
pub(crate) async fn stage(
    tx: &Tx,
    event: EventId,
    chain: i64,
    body: &[u8],
    subject: Option<UserId>,
    at: Timestamp,
) -> Result<()> {
    STAGE
        .bind(&event)
        .bind(&chain)
        .bind(&body)
        .bind(&subject)
        .bind(&at)
        .execute(tx)
        .await
        .map(drop)
}

// By the index on (chain, event_id).
const CHAINS: Sql = Sql::new(
    "audit.list_staged_chains",
    "SELECT DISTINCT chain
       FROM audit.staged
      ORDER BY chain
      LIMIT $1",
);

/// Chains that have something to be sealed.
pub(crate) async fn staged_chains(db: &Db, limit: i64) -> Result<Vec<i64>> {
    CHAINS.bind(&limit).scalars(db).await
}

const BEGIN_CHAIN: Sql = Sql::new(
    "audit.begin_chain",
    "INSERT INTO audit.heads (chain, seq, hash, mac)
     VALUES ($1, 0, ''::bytea, $2)
     ON CONFLICT (chain) DO NOTHING",
);

/// Makes sure that a chain has an end to seal at.
pub(crate) async fn begin_chain(tx: &Tx, chain: i64, mac: &[u8]) -> Result<()> {
    BEGIN_CHAIN
        .bind(&chain)
        .bind(&mac)
        .execute(tx)
        .await
        .map(drop)
}

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct Head {
    pub(crate) chain: i64,
    pub(crate) seq: i64,
    pub(crate) hash: Vec<u8>,
    pub(crate) mac: Vec<u8>,
}

const LOCK_HEAD: Sql = Sql::new(
    "audit.lock_head",
    "SELECT chain, seq, hash, mac
       FROM audit.heads
      WHERE chain = $1
        FOR UPDATE",
)
.returning::<Head>();

/// The end of a chain, held so that one node seals at a time.
pub(crate) async fn lock_head(tx: &Tx, chain: i64) -> Result<Head> {
    LOCK_HEAD.bind(&chain).one(tx).await
}

/// An event that waits.
#[derive(FromRow)]
pub(crate) struct Staged {
    pub(crate) event_id: EventId,
    pub(crate) body: Vec<u8>,
    pub(crate) subject: Option<UserId>,
}

const TAKE_STAGED: Sql = Sql::new(
    "audit.take_staged",
    "DELETE FROM audit.staged
      WHERE event_id IN (
            SELECT event_id
              FROM audit.staged
             WHERE chain = $1
             ORDER BY event_id
             LIMIT $2)
     RETURNING event_id, body, subject",
)
.returning::<Staged>();

/// Takes waiting events of a chain out, in no order.
pub(crate) async fn take_staged(tx: &Tx, chain: i64, limit: i64) -> Result<Vec<Staged>> {
    TAKE_STAGED.bind(&chain).bind(&limit).all(tx).await
}

/// Entries to be stored, column by column.
#[derive(Default)]
pub(crate) struct NewEntries {
    pub(crate) seqs: Vec<i64>,
    pub(crate) events: Vec<EventId>,
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) prevs: Vec<Vec<u8>>,
    pub(crate) hashes: Vec<Vec<u8>>,
    pub(crate) kinds: Vec<String>,
    pub(crate) actors: Vec<Option<UserId>>,
    pub(crate) subjects: Vec<Option<UserId>>,
}

const APPEND: Sql = Sql::new(
    "audit.append",
    "WITH new AS (
       SELECT *
         FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[],
                     $7::text[], $8::bigint[], $9::bigint[])
           AS n (seq, event_id, body, prev, hash, kind, actor, subject)),
     sealed AS (
       INSERT INTO audit.entries (chain, seq, event_id, body, prev, hash)
       SELECT $1, seq, event_id, body, prev, hash FROM new)
     INSERT INTO audit.finds (chain, seq, kind, actor, subject)
     SELECT $1, seq, kind, actor, subject FROM new",
);

/// Appends entries to a chain.
pub(crate) async fn append(tx: &Tx, chain: i64, new: &NewEntries) -> Result<()> {
    APPEND
        .bind(&chain)
        .bind(&new.seqs)
        .bind(&new.events)
        .bind(&new.bodies)
        .bind(&new.prevs)
        .bind(&new.hashes)
        .bind(&new.kinds)
        .bind(&new.actors)
        .bind(&new.subjects)
        .execute(tx)
        .await
        .map(drop)
}

const MOVE_HEAD: Sql = Sql::new(
    "audit.move_head",
    "UPDATE audit.heads
        SET seq = $2, hash = $3, mac = $4
      WHERE chain = $1",
);

/// Moves the end of a chain on.
pub(crate) async fn move_head(tx: &Tx, head: &Head) -> Result<()> {
    MOVE_HEAD
        .bind(&head.chain)
        .bind(&head.seq)
        .bind(&head.hash)
        .bind(&head.mac)
        .execute(tx)
        .await
        .map(drop)
}

/// An entry that does not follow from the one before it.
#[derive(Debug, FromRow)]
pub(crate) struct Break {
    pub(crate) chain: i64,
    pub(crate) seq: i64,
    pub(crate) edited: bool,
}

// Recomputed from the stored bytes. Names an edited row, and the row after a deleted one.
const BREAKS: Sql = Sql::new(
    "audit.list_breaks",
    "SELECT chain, seq, hash <> want AS edited
       FROM (SELECT chain, seq, hash, prev,
                    lag(hash, 1, ''::bytea) OVER w AS want_prev,
                    seq - lag(seq, 1, 0::bigint) OVER w AS step,
                    sha256(prev || int8send(chain) || int8send(seq) || body) AS want
               FROM audit.entries
             WINDOW w AS (PARTITION BY chain ORDER BY seq)) s
      WHERE hash <> want OR prev <> want_prev OR step <> 1
      ORDER BY chain, seq
      LIMIT $1",
)
.returning::<Break>();

/// Entries at which a chain breaks.
pub(crate) async fn breaks(db: &Db, limit: i64) -> Result<Vec<Break>> {
    BREAKS.bind(&limit).all(db).await
}

/// Where a chain says that it ends, and where it does.
#[derive(FromRow)]
pub(crate) struct End {
    pub(crate) chain: i64,
    pub(crate) seq: i64,
    pub(crate) hash: Vec<u8>,
    pub(crate) mac: Vec<u8>,
    pub(crate) last_seq: Option<i64>,
    pub(crate) last_hash: Option<Vec<u8>>,
}

const ENDS: Sql = Sql::new(
    "audit.list_ends",
    "SELECT coalesce(h.chain, e.chain) AS chain, coalesce(h.seq, 0) AS seq,
            coalesce(h.hash, ''::bytea) AS hash, coalesce(h.mac, ''::bytea) AS mac,
            e.seq AS last_seq, e.hash AS last_hash
       FROM audit.heads h
       FULL JOIN (SELECT DISTINCT ON (chain) chain, seq, hash
                    FROM audit.entries
                   ORDER BY chain, seq DESC) e ON e.chain = h.chain
      ORDER BY 1",
)
.returning::<End>();

/// The ends of all chains.
pub(crate) async fn ends(db: &Db) -> Result<Vec<End>> {
    ENDS.all(db).await
}

/// An entry as it is shown.
#[derive(FromRow)]
pub(crate) struct Found {
    pub(crate) seq: i64,
    pub(crate) body: Vec<u8>,
}

/// Whose entries are looked for; `None` stands for all.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) subject: Option<UserId>,
    pub(crate) actor: Option<UserId>,
    pub(crate) kind: Option<&'a str>,
}

// By the indexes on subject, actor or kind; without any by the primary key.
const LIST: Sql = Sql::new(
    "audit.list_entries_before",
    "SELECT e.seq, e.body
       FROM audit.finds f
       JOIN audit.entries e ON e.chain = f.chain AND e.seq = f.seq
      WHERE f.chain = 0
        AND f.seq < $1
        AND ($2::bigint IS NULL OR f.subject = $2)
        AND ($3::bigint IS NULL OR f.actor = $3)
        AND ($4::text IS NULL OR f.kind = $4)
      ORDER BY f.seq DESC
      LIMIT $5",
)
.returning::<Found>();

/// Entries of the platform, the newest first.
pub(crate) async fn list_before(
    source: impl Source,
    before: i64,
    wanted: Wanted<'_>,
    limit: i64,
) -> Result<Vec<Found>> {
    LIST.bind(&before)
        .bind(&wanted.subject)
        .bind(&wanted.actor)
        .bind(&wanted.kind)
        .bind(&limit)
        .all(source)
        .await
}

pub(crate) const ALL: &[&Sql] = &[
    &STAGE,
    &CHAINS,
    &BEGIN_CHAIN,
    &LOCK_HEAD,
    &TAKE_STAGED,
    &APPEND,
    &MOVE_HEAD,
    &BREAKS,
    &ENDS,
    &LIST,
];
