//! A model's parameters inside the data store, behind a trait.
//!
//! The store server decides nothing about a model: it is given a [`TableFactory`], makes one [`Table`] from the
//! job's model description, and calls it once a message. The split into *check* and *apply* is what makes
//! exactly-once application possible: an update is checked before the store's machine records its name, and what
//! was checked cannot fail afterwards. Inner loops belong to the implementation, so they are monomorphic.
//!
//! Keys travel as a sequence of the key lists of `cirrus_protocol::keys`; no bytes at all stand for all keys. Which
//! keys an update is for (they stand in it, or were those of an earlier read) is resolved by the server: a table is
//! always given keys and update side by side, and need not look at [`Update::keys`].

use std::sync::Arc;

use cirrus_core::ids::Pass;
use cirrus_protocol::gradient::Update;

/// A model's parameters, one cell of `f32`s a key. One per job and shard.
///
/// Calls come one at a time. Cells are little-endian `f32`s.
pub trait Table: Send {
    /// Accepts keys that [`Table::read`] and [`Table::apply`] may then be given, or says what is wrong.
    ///
    /// `keys` comes from the network and may hold anything; empty means all keys.
    ///
    /// # Errors
    /// [`TableError::Keys`] when a list does not parse or names a key that the table does not have.
    fn check_keys(&self, keys: &[u8]) -> Result<(), TableError>;

    /// Accepts an update that [`Table::apply`] may then be given, or says what is wrong.
    ///
    /// `keys` passed [`Table::check_keys`]; `update` comes from the network, its lengths fit its own header.
    ///
    /// # Errors
    /// [`TableError::Update`] when its columns are not those of the optimiser, their length is not the number of
    /// keys, or a value is not finite.
    fn check_update(&self, keys: &[u8], update: Update<'_>) -> Result<(), TableError>;

    /// Appends the cells of `keys`, in key order, to `cells`. `keys` passed [`Table::check_keys`].
    fn read(&mut self, keys: &[u8], cells: &mut Vec<u8>);

    /// Applies an update that passed [`Table::check_update`]. It cannot fail.
    fn apply(&mut self, keys: &[u8], update: Update<'_>, of: Origin);

    /// Appends the whole state to `out`, in a form that [`Table::restore`] takes back.
    fn snapshot(&self, out: &mut Vec<u8>);

    /// Replaces the whole state by an earlier [`Table::snapshot`] of a table with the same description.
    ///
    /// # Errors
    /// [`TableError::Snapshot`] when the bytes are of another model or damaged; the table is then unchanged.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), TableError>;
}

/// What an update was computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// In which pass.
    pub pass: Pass,
    /// From how many rows.
    pub rows: u32,
}

/// Makes a table from a job's model description (JSON text).
pub type TableFactory = Arc<dyn Fn(&[u8]) -> Result<Box<dyn Table>, TableError> + Send + Sync>;

/// Why a table refused something. Each variant's text says what was found and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The model description cannot be used.
    #[error("model description: {0}")]
    Description(String),
    /// A key list is damaged or does not fit the table.
    #[error("keys: {0}")]
    Keys(String),
    /// An update is damaged or does not fit its keys.
    #[error("update: {0}")]
    Update(String),
    /// A snapshot is damaged or of another model.
    #[error("snapshot: {0}")]
    Snapshot(String),
}
