//! What can be wrong with bytes from a file or a socket, and with a row that is to be written.
//!
//! One type for all formats of this crate. It names the part of the format and the two numbers that disagree;
//! whoever knows the file or the connection (the runtime) puts that name in front.

/// Why bytes were refused, or why a value cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// There are fewer bytes than the format calls for.
    #[error("{what} is cut short: {needed} bytes expected, {found} found; write or fetch it again")]
    Truncated {
        /// The part that is too short.
        what: &'static str,
        /// Bytes that it must have at least.
        needed: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The first bytes are not those of this format.
    #[error("not a {what}: the first bytes are {found:02x?}")]
    BadMagic {
        /// The format that was expected.
        what: &'static str,
        /// The bytes in the place of the magic.
        found: [u8; 8],
    },
    /// The bytes are of another version of the format.
    #[error(
        "{what} has format version {found}, this program reads version {supported}; \
         write it again with this program"
    )]
    Version {
        /// The format.
        what: &'static str,
        /// The version in the bytes.
        found: u32,
        /// The version this program reads and writes.
        supported: u32,
    },
    /// The bytes are not those that were written.
    #[error(
        "{what} is damaged: its CRC-32C is {computed:#010x}, {stored:#010x} was written; fetch or write it again"
    )]
    Checksum {
        /// The part that the checksum covers.
        what: &'static str,
        /// The checksum that was written with the bytes.
        stored: u32,
        /// The checksum of the bytes as they are.
        computed: u32,
    },
    /// The bytes break a rule of the format.
    #[error("corrupt data: {0}")]
    Corrupt(&'static str),
    /// A count or length is above what the format or the reader allows.
    #[error("{what} is {found}, at most {limit} is allowed")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// The count.
        found: u64,
        /// The highest count that is allowed.
        limit: u64,
    },
    /// A value cannot be written in this format.
    #[error("cannot be written: {0}")]
    Unwritable(&'static str),
    /// A JSON text does not have the expected form.
    #[error("{what} is not valid: {detail}")]
    Json {
        /// The document.
        what: &'static str,
        /// The parser's words, with line and column.
        detail: alloc::string::String,
    },
}
