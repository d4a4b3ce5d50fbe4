//! The database file: opening it, and opening it anew after the disk failed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use redb::{ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tracing::{debug, warn};

use super::FILE_NAME;
use super::error::{DatabaseError, needs_reopening};
use super::outage::Outage;

/// `format` -> [`FORMAT`].
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");

/// The layout of the tables; a file of a later one is not touched.
const FORMAT: u64 = 1;

/// Enough for the upper levels of all trees and the young messages; redb's own default is 1 GiB.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// How long to wait for a process that is ending to let go of the file.
const WAIT_FOR_LOCK: Duration = Duration::from_secs(1);

/// Opens the file that a [`File`] stands for, each time it has to be opened.
type Opener = Box<dyn Fn() -> Result<redb::Database, redb::DatabaseError> + Send + Sync>;

/// The file, open or (after a failure of the disk) not.
pub(super) struct File {
    path: PathBuf,
    opener: Opener,
    // Held for reading only to begin a transaction, which then lives without it: so whoever reopens waits for nobody.
    database: RwLock<Option<redb::Database>>,
    pub(super) outage: Outage,
}

impl File {
    pub(super) fn open(folder: &Path) -> Result<Self, DatabaseError> {
        create_folder(folder)?;
        let path = folder.join(FILE_NAME);
        let is_new = !path.exists();
        let target = path.clone();
        let file = Self::open_with(path, move || {
            let mut builder = redb::Builder::new();
            builder.set_cache_size(CACHE_BYTES);
            let shown = target.clone();
            builder.set_repair_callback(move |session| {
                warn!(file = %shown.display(), progress = session.progress(), "the file was not closed: checking it");
            });
            builder.create(&target)
        })?;
        if is_new {
            sync_folder(folder);
        }
        Ok(file)
    }

    pub(super) fn open_with(
        path: PathBuf,
        opener: impl Fn() -> Result<redb::Database, redb::DatabaseError> + Send + Sync + 'static,
    ) -> Result<Self, DatabaseError> {
        let give_up = Instant::now() + WAIT_FOR_LOCK;
        let database = loop {
            match opener() {
                Ok(database) => break database,
                // redb has no waiting lock.
                Err(redb::DatabaseError::DatabaseAlreadyOpen) if Instant::now() < give_up => {
                    thread::sleep(Duration::from_millis(10));
                }
                Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Err(DatabaseError::InUse { path }),
                Err(error) => return Err(unreadable(&path, error.into())),
            }
        };
        let database = RwLock::new(Some(database));
        Ok(Self { path, opener: Box::new(opener), database, outage: Outage::default() })
    }

    /// Checks the format, then runs `work` in a transaction of its own.
    pub(super) fn load<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, DatabaseError> {
        let load = || {
            let transaction = self.begin_write()?;
            let found = {
                let mut meta = transaction.open_table(META)?;
                let found = meta.get("format")?.map(|found| found.value());
                if found.is_none() {
                    meta.insert("format", FORMAT)?;
                }
                found.unwrap_or(FORMAT)
            };
            if found != FORMAT {
                return Ok(Err(found));
            }
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(Ok(value))
        };
        let loaded: Result<Result<T, u64>, redb::Error> = load();
        let reason = match loaded {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(found)) => format!("it has format {found}, this version reads format {FORMAT}: update kefu"),
            Err(error) => return Err(unreadable(&self.path, error)),
        };
        Err(DatabaseError::Unreadable { path: self.path.clone(), reason })
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        Ok(database.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_write()?)
    }

    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, DatabaseError> {
        let begin = || {
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            Ok(database.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_read()?)
        };
        begin().and_then(|transaction| work(&transaction)).map_err(|error| self.describe(&error))
    }

    pub(super) fn is_open(&self) -> bool {
        self.database.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Takes note of a failure, and returns what to tell the callers. Closes the file if the failure has, or may have,
    /// made it unusable, and opens it again.
    pub(super) fn recover(&self, error: &redb::Error) -> DatabaseError {
        let told = self.describe(error);
        if !matches!(error, redb::Error::DatabaseClosed) {
            self.outage.failed(told.clone(), false);
        }
        if needs_reopening(error) {
            self.reopen();
        }
        told
    }

    fn describe(&self, error: &redb::Error) -> DatabaseError {
        match error {
            redb::Error::DatabaseClosed => self.outage.why_closed(),
            other => DatabaseError::from(other),
        }
    }

    /// Closes the file if it is open, and opens it. Readers wait meanwhile.
    pub(super) fn reopen(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        close(database.take());
        match (self.opener)() {
            Ok(opened) => {
                *database = Some(opened);
                self.outage.reopened();
            }
            Err(error) => self.outage.failed(DatabaseError::from(&redb::Error::from(error)), true),
        }
    }

    pub(super) fn close(&self) {
        close(self.database.write().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn close(database: Option<redb::Database>) {
    if let Some(Err(error)) = database.map(redb::Database::close) {
        // Nothing is lost: the file is checked when it is opened the next time.
        debug!(%error, "the database was not closed cleanly");
    }
}

fn unreadable(path: &Path, error: redb::Error) -> DatabaseError {
    match DatabaseError::from(&error) {
        DatabaseError::Failed(reason) => DatabaseError::Unreadable { path: path.to_owned(), reason },
        other => other,
    }
}

/// What lies there are messages of users and tokens of accounts: a folder that is created is its owner's alone.
fn create_folder(folder: &Path) -> Result<(), DatabaseError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let failed = |error: std::io::Error| DatabaseError::Folder { path: folder.to_owned(), reason: error.to_string() };
    builder.create(folder).map_err(failed)
}

/// A new file survives a loss of power only once the folder that names it is on the disk too.
fn sync_folder(folder: &Path) {
    if let Err(error) = fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        debug!(%error, "this platform cannot sync a folder");
    }
}
