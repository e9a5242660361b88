//! The rules of the house as a test: what a reviewer would otherwise have to look for.
//!
//! `rules` holds the rules over source files, `packages` those over dependencies, `source` what both need to read
//! Rust. The tests in here hold them against the checkout; those in `planted` hold each against an offender made
//! for it, so that a rule that has stopped seeing anything fails too. A rule may be broken where `EXCEPTIONS`
//! says so and why; an exception that nothing needs any more fails.

mod packages;
mod planted;
mod rules;
mod source;

use std::path::{Path, PathBuf};
use std::process::Command;

use packages::Member;
use rules::Offence;
use source::Source;

/// Where a rule does not hold: the rule's name, the file, how many offences, and the reason.
const EXCEPTIONS: [(&str, &str, usize, &str); 5] = [
    (
        "unsafe",
        "transport/src/shared/segment.rs",
        13,
        "memory that processes share is mapped, and reached by its address",
    ),
    (
        "unsafe",
        "transport/src/shared/hold.rs",
        2,
        "a slab is read and written where it lies, by who holds it",
    ),
    (
        "unsafe",
        "transport/src/shared/loom_tests.rs",
        3,
        "the cells in which data races are looked for are shared without a lock",
    ),
    (
        "unsafe",
        ".ci/no-std-proof/src/lib.rs",
        4,
        "a crate without std needs an allocator of its own and a symbol to keep; nothing runs it",
    ),
    ("no std", "protocol/src/partition/bound.rs", 1, "logarithms are std's; it is behind the feature std"),
];

/// The root of the checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in a folder of the root")
        .to_owned()
}

/// Files that git knows or would take, from the root, with `/`.
fn files() -> Vec<String> {
    let listing = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root())
        .output()
        .expect("the house test asks git which files there are, so it needs git");
    assert!(listing.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listing.stderr));
    let names = String::from_utf8(listing.stdout).expect("file names are UTF-8");
    let present = names.split('\0').filter(|name| !name.is_empty() && root().join(name).is_file());
    present.map(str::to_owned).collect()
}

/// Every Rust file, marked as a test where another declares it so.
fn sources() -> Vec<Source> {
    let paths = files().into_iter().filter(|path| path.ends_with(".rs"));
    let mut sources: Vec<Source> = paths
        .map(|path| {
            let text = std::fs::read_to_string(root().join(&path)).expect("Rust files are text");
            Source::new(&path, &text)
        })
        .collect();
    mark_test_modules(&mut sources);
    assert!(sources.len() > 10, "only {} Rust files were found", sources.len());
    sources
}

/// Marks files that are modules declared behind `#[cfg(test)]`.
fn mark_test_modules(sources: &mut [Source]) {
    let mut homes = Vec::new();
    for source in sources.iter() {
        let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
        let folder = match file {
            "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
            other => format!("{folder}/{}", other.trim_end_matches(".rs")),
        };
        homes.extend(source.test_modules().iter().map(|module| format!("{folder}/{module}")));
    }
    for source in sources {
        let path = source.path.trim_end_matches(".rs");
        source.test_file |= homes.iter().any(|home| path == home || path.starts_with(&format!("{home}/")));
    }
}

/// Every package.
fn members() -> Vec<Member> {
    let members = packages::all(&root());
    assert!(members.len() > 5, "only {} packages were found", members.len());
    members
}

/// Fails with the offences, but for the exceptions to this rule.
fn assert_none(rule: &str, mut offences: Vec<Offence>) {
    for (_, path, count, reason) in EXCEPTIONS.iter().filter(|exception| exception.0 == rule) {
        let before = offences.len();
        offences.retain(|offence| offence.place != *path);
        assert_eq!(before - offences.len(), *count, "offences in {path}, an exception because {reason}");
    }
    let list: String = offences.iter().map(|offence| format!("\n  {offence}")).collect();
    assert!(offences.is_empty(), "{} offences against the rule '{rule}':{list}", offences.len());
}

/// Holds a rule against every Rust file below one of the folders.
fn hold(rule: &str, check: fn(&Source) -> Vec<Offence>, folders: &[&str]) {
    let sources = sources();
    let inside = sources.iter().filter(|source| folders.iter().any(|folder| source.path.starts_with(folder)));
    let inside: Vec<&Source> = inside.collect();
    assert!(!inside.is_empty(), "no file lies in {folders:?}");
    assert_none(rule, inside.into_iter().flat_map(check).collect());
}

#[test]
fn files_are_short() {
    hold("file length", rules::long_file, &[""]);
}

#[test]
fn functions_are_short() {
    hold("function length", rules::long_functions, &[""]);
}

#[test]
fn names_say_what_is_inside() {
    hold("names", rules::empty_names, &[""]);
}

#[test]
fn core_derives_what_the_checker_relies_on() {
    hold("derives", rules::hand_written_derives, &["core/src/"]);
}

#[test]
fn core_and_protocol_use_no_std() {
    hold("no std", rules::std_used, &["core/src/", "protocol/src/"]);
}

#[test]
fn learning_leaves_sockets_and_threads_to_the_runtime() {
    hold("sockets and threads", rules::sockets_or_threads, &["core/src/", "protocol/src/", "ml/src/"]);
}

#[test]
fn no_code_is_unsafe() {
    hold("unsafe", rules::unsafe_used, &[""]);
}

#[test]
fn no_test_sleeps() {
    hold("sleep", rules::sleeping_tests, &[""]);
}

#[test]
fn no_test_is_ignored() {
    hold("ignored tests", rules::ignored_tests, &[""]);
}

#[test]
fn core_and_protocol_switch_no_lint_off() {
    hold("lints", rules::lints_off, &["core/src/", "protocol/src/"]);
}

#[test]
fn nothing_is_left_for_later() {
    hold("unfinished", rules::unfinished, &[""]);
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    let texts = files().into_iter().filter_map(|path| {
        let bytes = std::fs::read(root().join(&path)).expect("a listed file can be read");
        String::from_utf8(bytes).ok().map(|text| (path, text))
    });
    assert_none("machine paths", texts.flat_map(|(path, text)| rules::machine_paths(&path, &text)).collect());
}

#[test]
fn documents_name_files_that_exist() {
    let files = files();
    let documents: Vec<&String> = files.iter().filter(|path| path.ends_with(".md")).collect();
    assert!(documents.len() > 3, "only {documents:?} were found");
    let offences = documents.into_iter().flat_map(|path| {
        let text = std::fs::read_to_string(root().join(path)).expect("a document is text");
        rules::missing_paths(path, &text, &files)
    });
    assert_none("paths in documents", offences.collect());
}

#[test]
fn dependencies_point_down_the_layers() {
    assert_none("directions", packages::directions(&members()));
}

#[test]
fn core_depends_on_nothing() {
    assert_none("core alone", packages::core_alone(&members()));
}

#[test]
fn dependencies_say_their_version() {
    assert_none("any version", packages::any_version(&members()));
}

#[test]
fn dependencies_come_from_the_workspace() {
    let inside =
        files().into_iter().filter(|path| path.ends_with("/Cargo.toml") && path.matches('/').count() == 1);
    let members: Vec<String> = inside.filter(|path| path != "fuzz/Cargo.toml").collect();
    assert!(!members.is_empty(), "no manifest of a member was found");
    let offences = members.iter().flat_map(|path| {
        let text = std::fs::read_to_string(root().join(path)).expect("a manifest is text");
        packages::own_versions(path, &text)
    });
    assert_none("workspace dependencies", offences.collect());
}

#[test]
fn only_cirrus_is_what_cargo_run_means() {
    assert_none("default run", packages::default_run(&members()));
}

#[test]
fn only_verification_asks_for_seeded_bugs() {
    assert_none("seeded bugs", packages::seeded_bugs(&members()));
}

#[test]
fn this_build_has_no_seeded_bugs() {
    let size = size_of::<cirrus_core::bug::Bugs>();
    assert_eq!(
        size, 0,
        "core was built with seeded-bugs: build cirrus-verification in a cargo call of its own"
    );
}

#[test]
fn every_exception_belongs_to_a_file() {
    for (rule, path, count, reason) in EXCEPTIONS {
        assert!(root().join(path).is_file(), "the exception to '{rule}' names {path}, which is not there");
        assert!(count > 0 && !reason.is_empty(), "the exception to '{rule}' in {path} says nothing");
    }
}
