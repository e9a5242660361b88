//! What the system says of a process, for tests of several kinds.

use std::fs;

/// Ports of this machine on which a process listens; none if it has ended.
pub(crate) fn listening(id: u32) -> Vec<u16> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{id}/fd")) else { return Vec::new() };
    let sockets: Vec<String> = descriptors
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|to| Some(to.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = fs::read_to_string(format!("/proc/{id}/net/tcp")).unwrap_or_default();
    let listening = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let listens = *state == "0A" && sockets.iter().any(|socket| socket == inode);
        listens.then(|| u16::from_str_radix(address.rsplit(':').next()?, 16).ok())?
    });
    listening.collect()
}
