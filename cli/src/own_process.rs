//! What this process has taken so far, from the kernel's accounts.

use std::time::Duration;

/// The most resident memory so far, in bytes; 0 where the kernel does not say.
pub(crate) fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// How long ago the kernel started this process, to a hundredth of a second; `None` where it does not say.
pub(crate) fn age() -> Option<Duration> {
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold anything; the start time is the 20th field behind it.
    let start: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let age = uptime - start / TICKS_PER_SECOND;
    (age >= 0.0).then(|| Duration::from_secs_f64(age))
}

/// The unit of times in /proc on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// How much memory the system can give to whoever asks, if it says so.
pub(crate) fn available_memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says() {
        assert!(peak_memory_bytes() > 1 << 20);
        assert!(available_memory_bytes() > Some(1 << 20));
        assert!(age().is_some_and(|age| age < Duration::from_secs(3600)));
    }
}
