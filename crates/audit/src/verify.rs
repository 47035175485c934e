//! Looking whether the chains are what was sealed.

use std::fmt;

use crate::error::Result;
use crate::model::head_mac;
use crate::sql::End;
use crate::{Audit, sql};

/// Findings told at most.
const MAX_FINDINGS: i64 = 1_000;

/// Something that was not sealed like this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The chain; 0 is the platform.
    pub chain: i64,
    /// The entry, or where the chain ends.
    pub seq: i64,
    /// What is wrong.
    pub verdict: Verdict,
}

/// What can be wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The entry's bytes, number or hash were changed.
    Edited,
    /// What stood before this entry is gone, or something was put there.
    Unlinked,
    /// Entries after this one are gone, or were appended by somebody else.
    Tail,
    /// The end of the chain is not signed by this installation.
    Unsigned,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Edited => "edited",
            Verdict::Unlinked => "an entry before it was removed, inserted or edited",
            Verdict::Tail => "the chain does not end here",
            Verdict::Unsigned => "the end is not signed by this installation",
        })
    }
}

impl Audit {
    /// Recomputes every chain; what does not hold.
    pub async fn verify(&self) -> Result<Vec<Finding>> {
        let breaks = sql::breaks(&self.db, MAX_FINDINGS).await?;
        let mut findings: Vec<Finding> = breaks
            .into_iter()
            .map(|found| Finding {
                chain: found.chain,
                seq: found.seq,
                verdict: if found.edited {
                    Verdict::Edited
                } else {
                    Verdict::Unlinked
                },
            })
            .collect();
        for end in sql::ends(&self.db).await? {
            findings.extend(self.judge(&end));
        }
        Ok(findings)
    }

    fn judge(&self, end: &End) -> Option<Finding> {
        let signed = head_mac(&self.key.0, end.chain, end.seq, &end.hash);
        let verdict =
            if aws_lc_rs::constant_time::verify_slices_are_equal(&signed, &end.mac).is_err() {
                Verdict::Unsigned
            } else if end.last_seq.unwrap_or(0) != end.seq
                || end.last_hash.as_deref().unwrap_or_default() != end.hash
            {
                Verdict::Tail
            } else {
                return None;
            };
        Some(Finding {
            chain: end.chain,
            seq: end.last_seq.unwrap_or(0),
            verdict,
        })
    }
}
