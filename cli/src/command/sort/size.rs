//! Sizes as people write them, and times and rates as they read them.

use cirrus_protocol::records::RECORD_BYTES;

/// Endings, and how many bytes each stands for.
const UNITS: [(&str, u64); 9] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

/// How many whole records fit into so many bytes, as in `2GB`, `512 MiB` or `100000`.
pub(super) fn records(text: &str) -> Result<u64, String> {
    bytes(text).map(|bytes| bytes / RECORD_BYTES as u64)
}

/// Bytes, as in `2GB`, `512 MiB` or `100000`.
pub(in crate::command) fn bytes(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let unit = UNITS.iter().find(|(ending, _)| lower.ends_with(ending));
    let (number, factor) = match unit {
        Some((ending, factor)) => (lower.trim_end_matches(ending).trim_end(), *factor),
        None => (lower.as_str(), 1),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    bytes.ok_or_else(|| "a size is a whole number and a unit: 2GB, 512MiB, 100000".to_owned())
}

/// Bytes, for people.
pub(in crate::command) fn of_bytes(bytes: u64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.into_iter().find(|(factor, _)| bytes as f64 >= *factor) {
        Some((factor, unit)) => format!("{:.2} {unit}", bytes as f64 / factor),
        None => format!("{bytes} bytes"),
    }
}

/// How many gigabytes a second that is.
pub(super) fn gigabytes_per_second(bytes: u64, seconds: f64) -> f64 {
    bytes as f64 / 1e9 / seconds.max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let cases = [
            ("2GB", 20_000_000),
            ("1 KiB", 10),
            ("1024", 10),
            ("99b", 0),
            ("3mb", 30_000),
            ("0", 0),
            ("1tb", 10_000_000_000),
        ];
        cases.iter().for_each(|(text, count)| assert_eq!(records(text), Ok(*count), "{text}"));
        for text in ["", "GB", "-1GB", "1.5GB", "2 gigabytes", "99999999999TB"] {
            assert!(records(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_are_told_in_a_unit_that_fits() {
        let cases = [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.50 kB"), (2_000_000_000, "2.00 GB")];
        cases.iter().for_each(|(bytes, text)| assert_eq!(of_bytes(*bytes), *text));
    }
}
