//! Checks that no reader should have to make: module docs, no placeholders, fresh generated code.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::codegen;

/// Directories with our Rust sources.
const SOURCES: [&str; 5] = ["crates", "examples", "xtask", "system-tests", "fuzz"];

/// Fails with the list of everything untidy.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let mut complaints = complaints_about_sources(root)?;
    if let Err(error) = codegen::check(root) {
        complaints.push(format!("{error:#}"));
    }
    ensure!(complaints.is_empty(), "{} complaints\n{}", complaints.len(), complaints.join("\n"));
    Ok(())
}

fn complaints_about_sources(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for dir in SOURCES {
        for file in rust_files(&root.join(dir))? {
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let name = file.strip_prefix(root)?.display();
            complaints.extend(complaints_about(&text).iter().map(|what| format!("{name}: {what}")));
        }
    }
    Ok(complaints)
}

/// What is wrong with one source file.
fn complaints_about(text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let is_plain_comment = |line: &&str| line.starts_with("//") && !line.starts_with("//!");
    if !lines.find(|line| !is_plain_comment(line)).is_some_and(|line| line.starts_with("//!")) {
        complaints.push("no module documentation at the head".to_owned());
    }
    // Spelled in pieces so that this file does not complain about itself.
    for placeholder in [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME")] {
        for (index, _) in text.lines().enumerate().filter(|(_, line)| line.contains(placeholder)) {
            complaints.push(format!("line {}: {placeholder}", index + 1));
        }
    }
    complaints
}

fn rust_files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(next) = pending.pop() {
        if !next.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_are_tidy() {
        let root = crate::workspace_root().expect("workspace");
        let complaints = complaints_about_sources(&root).expect("readable");
        assert!(complaints.is_empty(), "{complaints:#?}");
    }

    #[test]
    fn a_documented_file_is_tidy_and_an_undocumented_one_is_not() {
        assert!(complaints_about("// generated\n\n//! Doc.\nfn f() {}\n").is_empty());
        assert_eq!(complaints_about("use std::fs;\n//! Late.\n").len(), 1);
        assert_eq!(complaints_about("").len(), 1);
    }

    #[test]
    fn placeholders_are_named_with_their_line() {
        let text = concat!("//! Doc.\nfn f() { todo", "!() }\n");
        assert_eq!(complaints_about(text), [concat!("line 2: todo", "!(")]);
    }
}
