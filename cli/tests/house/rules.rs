//! The rules of the house over source files. Each answers with its offences, an empty list being the aim.

use std::fmt;

use crate::source::{Source, body, in_name, item_end, line, words};

/// Lines of a file outside its tests.
const FILE_LINES_MAX: usize = 500;
/// Lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 9] =
    ["utils", "util", "common", "helpers", "helper", "manager", "managers", "misc", "miscellaneous"];
/// What the model checker's states must derive: a field that a hand-written one leaves out hides a bug.
const DERIVED: [&str; 7] = ["Clone", "Debug", "PartialEq", "Eq", "PartialOrd", "Ord", "Hash"];

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offence {
    /// The file, or the package.
    pub(crate) place: String,
    /// What is wrong with it, and where.
    pub(crate) what: String,
}

impl Offence {
    /// An offence at a place.
    pub(crate) fn new(place: &str, what: impl Into<String>) -> Self {
        Self { place: place.to_owned(), what: what.into() }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Files have at most 500 lines, tests aside.
pub(crate) fn long_file(source: &Source) -> Vec<Offence> {
    if source.test_file {
        return Vec::new();
    }
    let tests: usize =
        source.test_items().iter().map(|item| source.line(item.end) - source.line(item.start) + 1).sum();
    let lines = source.text.lines().count() - tests;
    if lines > FILE_LINES_MAX {
        return vec![Offence::new(
            &source.path,
            format!("{lines} lines without tests, {FILE_LINES_MAX} at most"),
        )];
    }
    Vec::new()
}

/// Functions have at most 70 lines, tests aside.
pub(crate) fn long_functions(source: &Source) -> Vec<Offence> {
    let code = source.product_code();
    let long = words(&code, "fn").filter_map(|place| {
        let name: String = code[place + 2..]
            .trim_start()
            .bytes()
            .take_while(|byte| in_name(*byte))
            .map(char::from)
            .collect();
        let block = body(&code, place)?;
        let lines = line(&code, block.end) - line(&code, place) + 1;
        (!name.is_empty() && lines > FUNCTION_LINES_MAX).then(|| {
            let first = source.line(place);
            let what =
                format!("line {first}: function {name} has {lines} lines, {FUNCTION_LINES_MAX} at most");
            Offence::new(&source.path, what)
        })
    });
    long.collect()
}

/// No module, folder or file is called by a name that says nothing.
pub(crate) fn empty_names(source: &Source) -> Vec<Offence> {
    let stem = source.path.strip_suffix(".rs").unwrap_or(&source.path);
    let parts = stem.split('/').filter(|part| EMPTY_NAMES.contains(part));
    let mut found: Vec<Offence> = parts
        .map(|part| Offence::new(&source.path, format!("'{part}' does not say what is inside")))
        .collect();
    for name in EMPTY_NAMES {
        for place in words(&source.code, name) {
            if source.code[..place].trim_end().ends_with("mod") {
                let at = source.line(place);
                found.push(Offence::new(
                    &source.path,
                    format!("line {at}: module '{name}' does not say what is inside"),
                ));
            }
        }
    }
    found
}

/// Core derives equality, order, hash, clone and debug, always.
pub(crate) fn hand_written_derives(source: &Source) -> Vec<Offence> {
    let code = source.product_code();
    let found = words(&code, "impl").filter_map(|place| {
        let head = &code[place + 4..item_end(&code, place)];
        let head = head.split('{').next().unwrap_or(head);
        let (implemented, _) = skip_generics(head).split_once(" for ")?;
        let name = implemented.split('<').next().unwrap_or(implemented).rsplit("::").next()?.trim();
        DERIVED.contains(&name).then(|| {
            let at = source.line(place);
            Offence::new(&source.path, format!("line {at}: {name} is written by hand; derive it"))
        })
    });
    found.collect()
}

/// What follows the generics that an `impl` begins with.
fn skip_generics(head: &str) -> &str {
    let head = head.trim_start();
    if !head.starts_with('<') {
        return head;
    }
    let mut depth = 0_i32;
    let mut before = ' ';
    for (place, character) in head.char_indices() {
        match character {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return head[place + 1..].trim_start();
        }
        before = character;
    }
    head
}

/// Core and protocol live without std.
pub(crate) fn std_used(source: &Source) -> Vec<Offence> {
    let code = source.product_code();
    let mut found: Vec<Offence> = words(&code, "std")
        .filter(|place| {
            let path = code[place + 3..].trim_start().starts_with("::");
            path || code[..*place].trim_end().ends_with("extern crate")
        })
        .map(|place| Offence::new(&source.path, format!("line {}: std is used", source.line(place))))
        .collect();
    if source.path.ends_with("src/lib.rs") && !code.contains("#![no_std]") {
        found.push(Offence::new(&source.path, "does not begin with #![no_std]"));
    }
    found
}

/// The parts of Cirrus that compute leave sockets and threads to the runtime.
pub(crate) fn sockets_or_threads(source: &Source) -> Vec<Offence> {
    let code = source.product_code();
    let banned =
        ["std::net", "tokio::net", "tokio::spawn", "thread::spawn", "thread::scope", "thread::Builder"];
    let found = banned.iter().flat_map(|name| words(&code, name).map(move |place| (name, place)));
    found
        .map(|(name, place)| {
            let at = source.line(place);
            Offence::new(&source.path, format!("line {at}: {name}; hand the work to the runtime"))
        })
        .collect()
}

/// No `unsafe`.
pub(crate) fn unsafe_used(source: &Source) -> Vec<Offence> {
    let places = words(&source.code, "unsafe");
    places.map(|place| Offence::new(&source.path, format!("line {}: unsafe", source.line(place)))).collect()
}

/// Tests wait for conditions, not for time.
pub(crate) fn sleeping_tests(source: &Source) -> Vec<Offence> {
    let code = source.test_code();
    let places: Vec<usize> = ["sleep", "sleep_ms", "sleep_until"]
        .iter()
        .flat_map(|name| words(&code, name).map(move |place| (place, place + name.len())))
        .filter(|(_, end)| code[*end..].trim_start().starts_with('('))
        .map(|(place, _)| place)
        .collect();
    places
        .iter()
        .map(|place| {
            let at = source.line(*place);
            Offence::new(&source.path, format!("line {at}: a test sleeps; wait for what it waits for"))
        })
        .collect()
}

/// No test is switched off.
pub(crate) fn ignored_tests(source: &Source) -> Vec<Offence> {
    let places = words(&source.code, "ignore").filter(|place| begins_attribute(&source.code[..*place]));
    places
        .map(|place| Offence::new(&source.path, format!("line {}: a test is ignored", source.line(place))))
        .collect()
}

/// No lint is switched off: what decides and what decodes has no place of its own for an exception.
pub(crate) fn lints_off(source: &Source) -> Vec<Offence> {
    let code = source.product_code();
    let places = ["allow", "expect"].into_iter().flat_map(|name| words(&code, name));
    let found = places.filter(|place| begins_attribute(&code[..*place])).map(|place| {
        Offence::new(&source.path, format!("line {}: a lint is switched off", source.line(place)))
    });
    found.collect()
}

/// Whether what follows `before` is an attribute, or one behind a condition.
fn begins_attribute(before: &str) -> bool {
    let open = ["#[", "#!["].iter().filter_map(|open| before.rfind(open)).max();
    open.is_some_and(|open| {
        let inside = &before[open..];
        !inside.contains(']') && (inside.trim_end().ends_with('[') || inside.contains("cfg_attr"))
    })
}

/// Nothing is left for later.
pub(crate) fn unfinished(source: &Source) -> Vec<Offence> {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("//! To be ", "written.")];
    let mut found = Vec::new();
    for mark in marks {
        for place in words(&source.text, mark) {
            let at = source.line(place);
            found.push(Offence::new(&source.path, format!("line {at}: '{mark}'; do it, or leave it out")));
        }
    }
    found
}

/// No text names a folder of the machine it was written on.
pub(crate) fn machine_paths(path: &str, text: &str) -> Vec<Offence> {
    let mut found = Vec::new();
    for folder in [concat!("/wor", "k/"), concat!("/roo", "t/")] {
        for (place, _) in text.match_indices(folder) {
            // Behind another path it is a folder of that one.
            let inside =
                text[..place].bytes().last().is_some_and(|byte| in_name(byte) || b"-.})~".contains(&byte));
            if !inside {
                found.push(Offence::new(
                    path,
                    format!("line {}: a path of one machine, {folder}", line(text, place)),
                ));
            }
        }
    }
    found
}

/// Documents name only files and folders of the checkout that are there.
pub(crate) fn missing_paths(path: &str, text: &str, files: &[String]) -> Vec<Offence> {
    let is_path = |name: &&str| {
        let plain = name.bytes().all(|byte| in_name(byte) || b"-./".contains(&byte));
        let folder = name.split('/').next().unwrap_or(name);
        // What begins with no folder of ours is a path of the reader's, or no path.
        plain && name.contains('/') && files.iter().any(|file| file.starts_with(&format!("{folder}/")))
    };
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for name in line.split('`').skip(1).step_by(2).filter(is_path) {
            let folder = format!("{}/", name.trim_end_matches('/'));
            if !files.iter().any(|file| file == name || file.starts_with(&folder)) {
                found.push(Offence::new(path, format!("line {}: {name} is not there", number + 1)));
            }
        }
    }
    found
}
