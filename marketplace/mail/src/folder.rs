//! The way out for a market without a relay: letters as files, for a trial and
//! for newcomers. A letter's file has its id as name, so that writing it again is
//! the same as once.

use crate::{Message, SendError};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};
use veilbourse_domain::id::MailId;

/// Name of the list of letters: id, address, subject, separated by tabs.
const INDEX: &str = "index.tsv";

/// A folder of letters, readable by its owner alone: they hold links that act.
#[derive(Debug, Clone)]
pub struct Folder {
    dir: PathBuf,
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

impl Folder {
    /// The folder, made if it is not there.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    fn file(&self, id: MailId) -> PathBuf {
        self.dir.join(format!("{id}.eml"))
    }

    fn write(&self, m: &Message) -> io::Result<()> {
        let file = self.file(m.id);
        if file.exists() {
            return Ok(());
        }
        let part = self.dir.join(format!(".{}.part", m.id));
        let mut f =
            private(OpenOptions::new().write(true).create(true).truncate(true)).open(&part)?;
        f.write_all(&m.bytes)?;
        f.sync_all()?;
        let index = self.dir.join(INDEX);
        let mut index = private(OpenOptions::new().append(true).create(true)).open(index)?;
        writeln!(index, "{}\t{}\t{}", m.id, m.to, m.subject)?;
        fs::rename(part, file)
    }

    /// Writes a letter; once, however often it is asked.
    pub async fn put(&self, m: &Message) -> Result<(), SendError> {
        let (folder, message) = (self.clone(), m.clone());
        let later = |why: String| SendError::Later { why, shut: true };
        match tokio::task::spawn_blocking(move || folder.write(&message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(later(format!("{}: {e}", self.dir.display()))),
            Err(e) => Err(later(e.to_string())),
        }
    }

    /// Removes a letter's file; one that is gone is fine (MAIL-8).
    pub fn forget(&self, id: MailId) -> io::Result<()> {
        match fs::remove_file(self.file(id)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }
}
