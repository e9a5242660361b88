//! What all manifests have in common: JSON text with a version, in a folder whose parts they name.

use alloc::string::ToString;
use alloc::vec::Vec;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::FormatError;

/// What every version has.
#[derive(Deserialize)]
struct AnyVersion {
    format_version: u32,
}

/// The text of a manifest that is in order; `what` it is, for people.
pub(crate) fn encode<T: Serialize>(what: &'static str, manifest: &T) -> Result<Vec<u8>, FormatError> {
    let mut json = serde_json::to_vec_pretty(manifest).map_err(|error| invalid(what, &error))?;
    json.push(b'\n');
    Ok(json)
}

/// A manifest of this version; whether it is in order is for the caller to see.
pub(crate) fn decode<T: DeserializeOwned>(
    what: &'static str,
    supported: u32,
    json: &[u8],
) -> Result<T, FormatError> {
    let any: AnyVersion = serde_json::from_slice(json).map_err(|error| invalid(what, &error))?;
    if any.format_version != supported {
        return Err(FormatError::Version { what, found: any.format_version, supported });
    }
    serde_json::from_slice(json).map_err(|error| invalid(what, &error))
}

/// Whether the name of a part, which is appended to the place of its manifest, does not lead out of it.
pub(crate) fn is_inside(name: &str) -> bool {
    name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn invalid(what: &'static str, error: &serde_json::Error) -> FormatError {
    FormatError::Json { what, detail: error.to_string() }
}
