//! Folders that go with the test.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::owned;

/// A fresh folder for one fixture's files, removed on drop and, at the latest, when the test process is gone.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes one; `name` is there for people who look at it.
    pub fn new(name: &str) -> Self {
        let path = owned::process_folder().join(format!("{name}-{}", &Uuid::new_v4().simple().to_string()[..8]));
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file, with the folders it needs, and says where it is.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
        }
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// The last `lines` lines of a file in it; says so when there is none.
    pub fn tail(&self, name: impl AsRef<Path>, lines: usize) -> String {
        let path = self.path.join(name);
        match std::fs::read(&path) {
            Ok(content) => tail(&String::from_utf8_lossy(&content), lines),
            Err(error) => format!("({}: {error})", path.display()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is still being written by a process that is dying goes with the process folder.
        std::fs::remove_dir_all(&self.path).ok();
    }
}

/// The last `lines` lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
