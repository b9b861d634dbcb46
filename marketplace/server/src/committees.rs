//! The committees that the operator put up: files in `committees/` of the data
//! folder, read when somebody asks (WEB-8).

use crate::{App, service::Market};
use std::{fs, io::ErrorKind, path::PathBuf};
use veilbourse_documents::CommitteeFile;
use veilbourse_domain::{DomainError, Result};
use veilbourse_graphql::Committees;

/// Files at most; more are not for people to choose from.
const MOST: usize = 8;
/// Bytes of a file at most: five nodes and their keys are far from it.
const LIMIT: u64 = 64 << 10;

impl App {
    fn committee_files(&self) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(self.config.dir.join("committees")) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(DomainError::storage)?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(DomainError::storage)?.path();
            if path.extension().is_some_and(|e| e == "json") {
                files.push(path);
            }
        }
        files.sort();
        files.truncate(MOST);
        Ok(files)
    }

    /// WEB-8: those of this marketplace whose entries are signed by their nodes;
    /// a file that is neither is said in the log and left out.
    pub(crate) fn committees(&self) -> Result<Vec<(String, CommitteeFile)>> {
        let mut found = Vec::new();
        for path in self.committee_files()? {
            let size = fs::metadata(&path).map_err(DomainError::storage)?.len();
            let read = match size {
                0..=LIMIT => fs::read(&path).map_err(|e| e.to_string()),
                _ => Err(format!("{size} bytes, at most {LIMIT}")),
            };
            let parsed =
                read.and_then(|bytes| CommitteeFile::parse(&bytes).map_err(|e| e.to_string()));
            match parsed {
                Ok(file) if file.marketplace == self.id => {
                    let name = path.file_stem().and_then(|n| n.to_str());
                    found.push((name.unwrap_or("committee").to_owned(), file));
                }
                Ok(_) => tracing::warn!(?path, "a committee of another marketplace"),
                Err(reason) => tracing::warn!(?path, reason, "no committee's file"),
            }
        }
        Ok(found)
    }
}

impl Committees for Market {
    fn committees(&self) -> Result<Vec<(String, CommitteeFile)>> {
        self.0.committees()
    }
}
