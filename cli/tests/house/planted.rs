//! Each rule against an offender planted for it, and against the nearest thing that is allowed.

use crate::packages::{self, Ask, Member};
use crate::rules::{self, Offence};
use crate::source::Source;

/// A check of one source.
type Check = fn(&Source) -> Vec<Offence>;

/// How many offences a check sees in a text.
fn count(check: Check, path: &str, text: &str) -> usize {
    check(&Source::new(path, text)).len()
}

/// A function of so many lines.
fn function(lines: usize) -> String {
    format!("fn long(a: [u8; 2]) -> u8 {{\n{}}}\n", "    call();\n".repeat(lines - 2))
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = r##"let a = "} // {"; /* { /* } */ unsafe */ let b = '{'; // }
let c = r#"{ " }"#; let d: &'static str = b"\"{"; let e = '\''; let for_r = br"\"; let f = 'é'; x"##;
    let source = Source::new("core/src/a.rs", text);
    assert!(!source.code.contains(['{', '}']), "{}", source.code);
    assert!(!source.code.contains("unsafe"), "{}", source.code);
    assert!(source.code.contains("&'static str") && source.code.ends_with("; x"), "{}", source.code);
    assert_eq!(source.code.len(), text.len());
    assert_eq!(source.code.lines().count(), 2);
}

#[test]
fn code_behind_the_test_attribute_is_a_test() {
    let text =
        "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n#[cfg(test)]\nmod cases;\nfn c() {}\n";
    let source = Source::new("core/src/a.rs", text);
    let product = source.product_code();
    assert!(product.contains("fn a") && product.contains("fn c") && !product.contains("fn b"), "{product}");
    assert!(source.test_code().contains("fn b") && !source.test_code().contains("fn c"));
    assert_eq!(source.test_modules(), ["cases"]);
    let mut sources = [source, Source::new("core/src/a/cases.rs", ""), Source::new("core/src/cases.rs", "")];
    crate::mark_test_modules(&mut sources);
    assert_eq!(sources.map(|source| source.test_file), [false, true, false]);
}

#[test]
fn a_long_file_is_seen() {
    let limit = "//\n".repeat(500);
    let tests = format!("{limit}#[cfg(test)]\nmod tests {{\n{limit}}}\n");
    assert_eq!(count(rules::long_file, "ml/src/a.rs", &tests), 0);
    assert_eq!(count(rules::long_file, "ml/src/a.rs", &format!("//\n{tests}")), 1);
    assert_eq!(count(rules::long_file, "ml/tests/a.rs", &format!("//\n{tests}")), 0);
}

#[test]
fn a_long_function_is_seen() {
    assert_eq!(count(rules::long_functions, "ml/src/a.rs", &function(70)), 0);
    let long = function(71);
    let found = rules::long_functions(&Source::new("ml/src/a.rs", &format!("type F = fn(u8);\n{long}")));
    assert_eq!(found, [Offence::new("ml/src/a.rs", "line 2: function long has 71 lines, 70 at most")]);
    assert_eq!(
        count(rules::long_functions, "ml/src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{long}}}\n")),
        0
    );
    assert_eq!(count(rules::long_functions, "ml/src/a.rs", "trait T {\n    fn a() -> [u8; 2];\n}\n"), 0);
}

#[test]
fn an_empty_name_is_seen() {
    assert_eq!(count(rules::empty_names, "ml/src/utils.rs", ""), 1);
    assert_eq!(count(rules::empty_names, "ml/src/misc/mod.rs", ""), 1);
    assert_eq!(count(rules::empty_names, "ml/src/a.rs", "mod helpers {}"), 1);
    assert_eq!(count(rules::empty_names, "ml/src/commons.rs", "let common = 1;"), 0);
}

#[test]
fn a_hand_written_derive_is_seen() {
    let see = |text| count(rules::hand_written_derives, "core/src/a.rs", text);
    assert_eq!(see("impl Hash for A { }"), 1);
    assert_eq!(see("impl<T: Fn(u8) -> u8> core::cmp::PartialEq<B<T>> for A<T>\nwhere T: Eq { }"), 1);
    assert_eq!(see("impl Ord for A { }\nimpl Eq for A {}"), 2);
    assert_eq!(
        see(
            "#[derive(Hash)]\nstruct A;\nimpl<T: Hash> Default for A<T> {}\nimpl A { fn a() { for b in c {} } }"
        ),
        0
    );
}

#[test]
fn std_is_seen() {
    let see = |text: &str| count(rules::std_used, "core/src/lib.rs", text);
    assert_eq!(
        see("#![no_std]\nuse core::fmt; // not std::fmt\n#[cfg(test)]\nmod tests { use std::fmt; }"),
        0
    );
    assert_eq!(see("use core::fmt;"), 1);
    assert_eq!(see("#![no_std]\nuse std::fmt;"), 1);
    assert_eq!(see("#![no_std]\nextern crate std;"), 1);
}

#[test]
fn sockets_and_threads_are_seen() {
    let see = |text| count(rules::sockets_or_threads, "ml/src/a.rs", text);
    assert_eq!(see("use std::net::TcpStream;"), 1);
    assert_eq!(see("std::thread::spawn(f)"), 1);
    assert_eq!(see("pool.spawn(f)"), 0);
}

#[test]
fn unsafe_code_is_seen() {
    assert_eq!(count(rules::unsafe_used, "ml/src/a.rs", "unsafe { f() }"), 1);
    assert_eq!(
        count(rules::unsafe_used, "ml/src/a.rs", "#![forbid(unsafe_code)] // unsafe\nf(\"unsafe\")"),
        0
    );
}

#[test]
fn a_sleeping_test_is_seen() {
    assert_eq!(count(rules::sleeping_tests, "cli/tests/a.rs", "thread::sleep(ONE_SECOND);"), 1);
    assert_eq!(
        count(rules::sleeping_tests, "cli/src/a.rs", "#[cfg(test)]\nmod tests { fn a() { sleep(b).await } }"),
        1
    );
    assert_eq!(count(rules::sleeping_tests, "cli/src/a.rs", "fn a() { sleep(b) }"), 0);
    assert_eq!(count(rules::sleeping_tests, "cli/tests/a.rs", "fn sleeper() { a.sleep = 1; }"), 0);
}

#[test]
fn an_ignored_test_is_seen() {
    assert_eq!(count(rules::ignored_tests, "cli/tests/a.rs", "#[test]\n#[ignore]\nfn a() {}"), 1);
    assert_eq!(count(rules::ignored_tests, "cli/tests/a.rs", "#[ignore = \"slow\"]"), 1);
    assert_eq!(count(rules::ignored_tests, "cli/tests/a.rs", "#[cfg_attr(debug_assertions, ignore)]"), 1);
    assert_eq!(count(rules::ignored_tests, "cli/tests/a.rs", "#[test]\nfn a() { let ignore = 1; }"), 0);
}

#[test]
fn a_lint_that_is_off_is_seen() {
    let see = |text| count(rules::lints_off, "core/src/a.rs", text);
    assert_eq!(see("#[allow(clippy::indexing_slicing)] // it is safe\nfn a() {}"), 1);
    assert_eq!(see("#![expect(clippy::unwrap_used)]"), 1);
    assert_eq!(see("#[cfg_attr(not(test), allow(clippy::panic))]"), 1);
    assert_eq!(see("#![deny(clippy::expect_used)]\n#[must_use]\nfn a() { b.expect(c); allow(d) }"), 0);
    assert_eq!(see("#[cfg(test)]\n#[allow(clippy::panic)]\nmod tests {}"), 0);
}

#[test]
fn unfinished_work_is_seen() {
    assert_eq!(count(rules::unfinished, "ml/src/a.rs", concat!("// TO", "DO: all of it")), 1);
    assert_eq!(count(rules::unfinished, "ml/src/a.rs", concat!("//! To be ", "written.")), 1);
    assert_eq!(count(rules::unfinished, "ml/src/a.rs", "// to do is to be"), 0);
}

#[test]
fn a_machine_path_is_seen() {
    let see = |text| rules::machine_paths("README.md", text).len();
    assert_eq!(see(concat!("cd /wor", "k/main")), 1);
    assert_eq!(see(concat!("file:///roo", "t/a\n\"/wor", "k/b\"")), 2);
    assert_eq!(see(concat!("runtime/src/wor", "k/pool.rs, $HOME/wor", "k/, ../wor", "k/")), 0);
}

#[test]
fn a_path_that_is_not_there_is_seen() {
    let files = ["core/src/lib.rs".to_owned()];
    let see = |text| rules::missing_paths("README.md", text, &files).len();
    assert_eq!(see("`core/`, `core/src/lib.rs`, `core/src`, `origin/hour`, `target/a`, core/b"), 0);
    assert_eq!(see("`core/b.rs` and `core/src/li` and\n`core/c/`"), 3);
}

/// A member that asks for one package.
fn member(name: &str, ask: Ask) -> Member {
    Member { name: name.to_owned(), asks: vec![ask], ..Member::default() }
}

/// One of ours.
fn ours(name: &str) -> Ask {
    Ask { name: name.to_owned(), ours: true, versions: "*".to_owned(), ..Ask::default() }
}

#[test]
fn an_upward_dependency_is_seen() {
    let see = |from, to| packages::directions(&[member(from, ours(to))]).len();
    assert_eq!(see("cirrus-ml", "cirrus-runtime"), 0);
    assert_eq!(see("cirrus-runtime", "cirrus-ml"), 1);
    assert_eq!(see("cirrus-core", "cirrus-protocol"), 1);
    assert_eq!(see("cirrus", "cirrus-verification"), 1);
    assert_eq!(see("cirrus-fuzz", "cirrus-core"), 1);
    assert_eq!(see("cirrus-new", "cirrus-core"), 1);
    let mut of_tests = ours("cirrus-verification");
    of_tests.tests = true;
    assert_eq!(packages::directions(&[member("cirrus", of_tests)]).len(), 1);
}

#[test]
fn a_dependency_of_core_is_seen() {
    let outside = Ask { name: "serde".to_owned(), versions: "^1".to_owned(), ..Ask::default() };
    let of_tests = Ask { tests: true, ..outside.clone() };
    let optional = Ask { optional: true, ..outside.clone() };
    let another = Ask { name: "rand".to_owned(), ..optional.clone() };
    assert_eq!(packages::core_alone(&[member("cirrus-core", outside.clone())]).len(), 1);
    assert_eq!(packages::core_alone(&[member("cirrus-core", another)]).len(), 1);
    let by_default = Member {
        features: vec![("default".to_owned(), vec!["serde".to_owned()])],
        ..member("cirrus-core", optional.clone())
    };
    assert_eq!(packages::core_alone(&[by_default]).len(), 1);
    assert_eq!(packages::core_alone(&[member("cirrus-core", optional)]).len(), 0);
    assert_eq!(packages::core_alone(&[member("cirrus-core", of_tests), member("cirrus", outside)]).len(), 0);
}

#[test]
fn a_dependency_of_any_version_is_seen() {
    let see = |versions: &str| {
        let ask = Ask { name: "serde".to_owned(), versions: versions.to_owned(), ..Ask::default() };
        packages::any_version(&[member("cirrus", ask), member("cirrus", ours("cirrus-ml"))]).len()
    };
    assert_eq!([see("*"), see("1.*"), see("^1.0")], [1, 1, 0]);
}

#[test]
fn a_version_of_its_own_is_seen() {
    let see = |text| packages::own_versions("ml/Cargo.toml", text).len();
    assert_eq!(
        see("[package]\nname = \"a\"\n[dependencies]\nbytes.workspace = true\n# a = 1\n[lints]\na = 1"),
        0
    );
    assert_eq!(see("[dev-dependencies]\nbytes = \"1\"\nserde = { workspace = true, features = [\"a\"] }"), 1);
    assert_eq!(see("[target.'cfg(unix)'.dependencies]\nbytes = { version = \"1\" }"), 1);
}

#[test]
fn another_default_run_is_seen() {
    let run = |name: &str, run: Option<&str>| Member {
        name: name.to_owned(),
        default_run: run.map(str::to_owned),
        ..Member::default()
    };
    assert_eq!(packages::default_run(&[run("cirrus", Some("cirrus")), run("cirrus-benches", None)]).len(), 0);
    assert_eq!(packages::default_run(&[run("cirrus", None), run("cirrus-benches", Some("a"))]).len(), 2);
}

#[test]
fn a_seeded_bug_in_a_product_is_seen() {
    let mut bugs = ours("cirrus-core");
    bugs.features = vec!["seeded-bugs".to_owned()];
    let passed_on = Member {
        name: "cirrus-runtime".to_owned(),
        features: vec![("trace".to_owned(), vec!["cirrus-core/seeded-bugs".to_owned()])],
        ..Member::default()
    };
    assert_eq!(packages::seeded_bugs(&[member("cirrus-verification", bugs.clone())]).len(), 0);
    assert_eq!(packages::seeded_bugs(&[member("cirrus", bugs), passed_on]).len(), 2);
    let declares = Member {
        name: "cirrus-core".to_owned(),
        features: vec![("seeded-bugs".to_owned(), Vec::new()), ("default".to_owned(), Vec::new())],
        ..Member::default()
    };
    assert_eq!(packages::seeded_bugs(&[declares]).len(), 0);
}
