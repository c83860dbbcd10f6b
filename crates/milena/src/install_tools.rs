//! `milena install-tools DIR`: the tools under the names that scripts and tutorials call.

use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::SERVER_SCRIPTS;

/// Makes two links a tool, `kafka-topics` and `kafka-topics.sh`, and says where.
pub fn run(directory: &Path) -> ExitCode {
    match install(directory) {
        Ok(count) => {
            println!("{count} links made in {}", directory.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("milena: cannot make links in {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

/// Links every name in `directory` to the running binary and returns how many links there are.
/// A link of an earlier installation is replaced; a file that is not a link is left alone and is an error.
fn install(directory: &Path) -> io::Result<usize> {
    let binary = std::env::current_exe()?;
    std::fs::create_dir_all(directory)?;
    let mut count = 0;
    for name in milena_tools::TOOLS.iter().chain(milena_sql_tools::TOOLS).chain(SERVER_SCRIPTS) {
        for link in [(*name).to_owned(), format!("{name}.sh")] {
            replace_link(&binary, &directory.join(link))?;
            count += 1;
        }
    }
    Ok(count)
}

fn replace_link(binary: &Path, link: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(link) {
        Ok(found) if found.is_symlink() => std::fs::remove_file(link)?,
        Ok(_) => {
            let message = format!("{} exists and is not a symbolic link", link.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    symlink(binary, link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_made_and_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let first = install(directory.path()).unwrap();
        assert_eq!(install(directory.path()).unwrap(), first);
        let link = directory.path().join("kafka-topics.sh");
        assert_eq!(std::fs::read_link(link).unwrap(), std::env::current_exe().unwrap());
    }

    #[test]
    fn a_file_of_somebody_else_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let theirs = directory.path().join("kafka-topics");
        std::fs::write(&theirs, "precious").unwrap();
        assert!(install(directory.path()).is_err());
        assert_eq!(std::fs::read_to_string(theirs).unwrap(), "precious");
    }
}
