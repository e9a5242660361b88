//! Stories of a channel as text: a script, and beside every line what comes of it.
//!
//! A file in `verification/transcripts/` is one story. A line at the left margin is a step (see `script`); the
//! indented lines below it are what the real machines did, and must do again. After every step all rules are asked.
//! A story whose machines answer otherwise fails with its whole transcript; `TRANSCRIPTS=write cargo test ...`
//! writes what they answer now, for review. A new story is a new file, and nothing else.

mod changes;
mod scene;
mod script;
mod shuffles;
mod words;

use std::path::{Path, PathBuf};

use scene::Scene;

/// Says what the machines answer.
const WRITE: &str = "TRANSCRIPTS";

/// Takes a script, whatever is beside its lines, and gives back the script with what comes of it.
fn tell(text: &str) -> Result<String, String> {
    let mut scene = None;
    let mut told = String::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with(' ') {
            continue; // What came of it the last time.
        }
        told.push_str(line);
        told.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let lines = take(&mut scene, line).map_err(|wrong| format!("line {number}, '{line}': {wrong}"))?;
        for line in lines {
            told.push_str("  ");
            told.push_str(&line);
            told.push('\n');
        }
    }
    Ok(told)
}

/// Takes one line of a script.
fn take(scene: &mut Option<Scene>, line: &str) -> Result<Vec<String>, String> {
    match (script::parse(line)?, scene) {
        (script::Line::Channel { members, fan_out, sort, together }, scene @ None) => {
            let new = Scene::new((members, fan_out), sort, together);
            let tree = new.tree();
            *scene = Some(new);
            Ok(vec![tree])
        }
        (script::Line::Channel { .. }, Some(_)) => Err("there is a channel already".to_owned()),
        (script::Line::Do(_), None) => {
            Err("a story begins with 'channel of 3 members, fan-out 2'".to_owned())
        }
        (script::Line::Do(step), Some(scene)) => scene.take(&step),
    }
}

fn stories() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    // Those of shuffles, in a folder of their own, have no script.
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[test]
fn every_story_goes_as_it_is_told() {
    let write = std::env::var(WRITE).is_ok_and(|value| value == "write");
    let mut wrong = Vec::new();
    for file in stories() {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let before = std::fs::read_to_string(&file).unwrap();
        match tell(&before) {
            Err(why) => wrong.push(format!("{name}: {why}")),
            Ok(now) if now == before => {}
            Ok(now) if write => std::fs::write(&file, now).unwrap(),
            Ok(now) => {
                let differs = now.lines().zip(before.lines()).position(|(now, before)| now != before);
                let at = differs.unwrap_or_else(|| now.lines().count().min(before.lines().count())) + 1;
                wrong.push(format!(
                    "{name} goes otherwise from line {at} on; if that is right, {WRITE}=write keeps it:\n{now}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_story_says_first_what_it_is_about() {
    let files = stories();
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let comment = text.lines().take_while(|line| line.starts_with('#')).count();
        assert!(
            (3..=8).contains(&comment),
            "{}: {comment} lines of comment, 3 to 8 expected",
            file.display()
        );
        assert!(!text.contains('{'), "{}: something has no words yet", file.display());
    }
}

#[test]
fn a_script_that_makes_no_sense_is_told_so_by_line() {
    let begun = |line: &str| tell(&format!("channel of 3 members, fan-out 2\n{line}\n")).unwrap_err();
    assert_eq!(begun("dance 1"), "line 2, 'dance 1': there is no such step");
    assert_eq!(begun("deliver 0>1"), "line 2, 'deliver 0>1': nothing is on its way there");
    assert_eq!(begun("crash 7"), "line 2, 'crash 7': member 7 is not there");
    assert_eq!(begun("fire probe 1"), "line 2, 'fire probe 1': that timer is not set");
    assert!(tell("settle\n").unwrap_err().contains("a story begins with"));
}

#[test]
fn what_was_told_before_is_replaced() {
    let told = tell("# A story.\nchannel of 1 members, fan-out 2\n  nonsense\n\nsettle\n").unwrap();
    assert_eq!(told, "# A story.\nchannel of 1 members, fan-out 2\n  tree: 0\n\nsettle\n");
}
