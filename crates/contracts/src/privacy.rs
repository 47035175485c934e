//! What every context does for people who want to see or lose what is stored about them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::failure::INTERNAL;
use kernel::{Failure, UserId};
use serde_json::Value;

/// Most bytes of one export before it is packed.
pub const MAX_EXPORT_BYTES: usize = 256 * 1024 * 1024;

/// The event after which a context erases what it stores about a user; its key is the user.
pub const ERASURE_DUE: &str = "identity.erasure_due.v1";

/// A context that stores something about people. It also handles [`ERASURE_DUE`] and answers with
/// `<context>.user_erased.v1`, whose key is the user.
#[async_trait]
pub trait PersonalData: Send + Sync + 'static {
    /// Its name, as in its schema and events.
    fn context(&self) -> &'static str;

    /// Puts what is stored about a user into the bundle.
    async fn export(&self, user: UserId, to: &mut Bundle) -> Result<(), Failure>;

    /// What has to be settled before the user can be erased, as stable codes; mostly nothing.
    async fn erasure_blockers(&self, _: UserId) -> Result<Vec<&'static str>, Failure> {
        Ok(Vec::new())
    }
}

/// An export in the making: JSON arrays by file name, all in memory and bounded.
#[derive(Debug)]
pub struct Bundle {
    files: BTreeMap<String, Vec<u8>>,
    left: usize,
}

impl Bundle {
    /// An empty one that takes `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Bundle {
            files: BTreeMap::new(),
            left: max_bytes,
        }
    }

    /// Adds rows to `context/table.json`; a file is there also without rows.
    ///
    /// # Errors
    ///
    /// 500 when the bundle is full: an export that leaves something out would be a lie.
    pub fn add(&mut self, context: &str, table: &str, rows: &[Value]) -> Result<(), Failure> {
        let file = self.files.entry(format!("{context}/{table}.json"));
        let bytes = file.or_default();
        let before = bytes.len();
        for row in rows {
            bytes.extend_from_slice(if bytes.is_empty() { b"[\n" } else { b",\n" });
            serde_json::to_writer(&mut *bytes, row)
                .map_err(|error| INTERNAL.fail().because(error))?;
        }
        let grown = bytes.len() - before;
        let left = self.left.checked_sub(grown);
        self.left = left.ok_or_else(|| INTERNAL.fail().because("an export that is too large"))?;
        Ok(())
    }

    /// The files by name, each a JSON array.
    pub fn into_files(self) -> impl Iterator<Item = (String, Vec<u8>)> {
        self.files.into_iter().map(|(name, mut bytes)| {
            bytes.extend_from_slice(if bytes.is_empty() { b"[]\n" } else { b"\n]\n" });
            (name, bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_are_json_arrays() {
        let mut bundle = Bundle::new(100);
        bundle.add("shop", "orders", &[json!({"id": 1})]).unwrap();
        bundle
            .add("shop", "orders", &[json!({"id": 2}), json!(3)])
            .unwrap();
        bundle.add("shop", "carts", &[]).unwrap();
        let files: Vec<(String, Value)> = bundle
            .into_files()
            .map(|(name, bytes)| (name, serde_json::from_slice(&bytes).unwrap()))
            .collect();
        let orders = (
            "shop/orders.json".to_owned(),
            json!([{"id": 1}, {"id": 2}, 3]),
        );
        assert_eq!(files, [("shop/carts.json".to_owned(), json!([])), orders]);
    }

    #[test]
    fn a_full_bundle_refuses() {
        let mut bundle = Bundle::new(5);
        bundle.add("a", "b", &[json!(123)]).unwrap();
        assert!(bundle.add("a", "b", &[json!(1)]).is_err());
    }
}
