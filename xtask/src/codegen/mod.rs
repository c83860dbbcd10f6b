//! Generates `crates/protocol/src/generated/` from `crates/protocol/schema/*.txt`.
//!
//! ```text
//! schema/*.txt ──parse──► model::Schema ──names──► one list of structs a message ──emit──► *.rs ──rustfmt──►
//! ```

mod emit;
mod model;
mod names;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use model::Schema;

/// Files of messages that are neither request nor response.
const DATA_FILES: [&str; 7] = [
    "consumer_protocol",
    "control_records",
    "group_records",
    "metadata_records",
    "share_group_records",
    "storage",
    "transaction_records",
];

/// Generated files: path below `generated/` and content.
type Files = BTreeMap<PathBuf, String>;

/// Replaces the generated files.
pub fn write(root: &Path) -> anyhow::Result<()> {
    let target = generated_dir(root);
    let fresh = scratch_dir(root);
    render_formatted(root, &fresh)?;
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    fs::rename(&fresh, &target).context("moving the generated files into place")
}

/// Fails when the generated files are not what `write` would make.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let fresh = scratch_dir(root);
    render_formatted(root, &fresh)?;
    let stale = differences(&read_tree(&fresh)?, &read_tree(&generated_dir(root))?);
    fs::remove_dir_all(&fresh)?;
    let first: Vec<_> = stale.iter().take(3).collect();
    let count = stale.len();
    ensure!(stale.is_empty(), "{count} stale generated files, run `cargo xtask codegen`: {first:?}");
    Ok(())
}

fn generated_dir(root: &Path) -> PathBuf {
    root.join("crates/protocol/src/generated")
}

fn scratch_dir(root: &Path) -> PathBuf {
    root.join(format!("target/xtask-codegen-{}", std::process::id()))
}

/// Every file that would be generated, before formatting.
fn render(root: &Path) -> anyhow::Result<Files> {
    let dir = root.join("crates/protocol/schema");
    let read = |name: &str| {
        let path = dir.join(format!("{name}.txt"));
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    let mut schema = Schema {
        apis: parse::apis(&read("apis")?).context("apis.txt")?,
        errors: parse::error_codes(&read("error_codes")?).context("error_codes.txt")?,
        data: Vec::new(),
    };
    for name in DATA_FILES {
        let messages = parse::messages(&read(name)?).with_context(|| format!("{name}.txt"))?;
        schema.data.extend(messages);
    }
    emit::files(&schema)
}

fn render_formatted(root: &Path, dir: &Path) -> anyhow::Result<()> {
    let files = render(root)?;
    for (path, text) in &files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().context("a file has a directory")?)?;
        fs::write(&path, text)?;
    }
    let status = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .arg(dir.join("mod.rs"))
        .status()
        .context("running rustfmt")?;
    if !status.success() {
        bail!("rustfmt failed on {}", dir.display());
    }
    Ok(())
}

fn read_tree(dir: &Path) -> anyhow::Result<Files> {
    let mut files = Files::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else {
                files.insert(path.strip_prefix(dir)?.to_owned(), fs::read_to_string(&path)?);
            }
        }
    }
    Ok(files)
}

fn differences(fresh: &Files, present: &Files) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fresh.keys().chain(present.keys()).cloned().collect();
    paths.sort();
    paths.dedup();
    paths.retain(|path| fresh.get(path) != present.get(path));
    paths
}
