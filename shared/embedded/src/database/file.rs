//! The database file: opens the file, and opens it anew after the disk failed.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kefu_runtime::health::Health;
use parking_lot::RwLock;
use redb::{ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tracing::{debug, warn};

use super::FILE_NAME;
use super::error::{DatabaseError, needs_reopening};
use super::outage::Outage;
use super::reserved::ReservedFile;

/// `format` -> [`FORMAT`]; `openings` -> how often the file was opened by a process.
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");

/// The layout of the tables; kefu does not touch a file with a later layout. Format 1 is the same without the journal.
const FORMAT: u64 = 2;

/// Enough for the upper levels of all trees; redb's own default is 1 GiB.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// How long to wait for an ending process to release the file.
const WAIT_FOR_LOCK: Duration = Duration::from_secs(1);

/// Opens the file of a [`File`], at each opening.
type Opener = Box<dyn Fn() -> Result<redb::Database, redb::DatabaseError> + Send + Sync>;

/// The file, open or (after a failure of the disk) closed.
pub(super) struct File {
    path: PathBuf,
    opener: Opener,
    // Locked for reading only to begin a transaction, which then lives without the lock. So a reopening waits for no
    // reader.
    database: RwLock<Option<redb::Database>>,
    /// The identity of the file at its opening.
    opened: Option<Identity>,
    /// Whether the log has reported that the path leads to another file.
    told: AtomicBool,
    /// Whether the file is to be closed for good.
    ending: AtomicBool,
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
            builder.create_with_backend(ReservedFile::open(&target)?)
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
                    #[expect(clippy::disallowed_methods, reason = "a database is opened on a thread that may block")]
                    thread::sleep(Duration::from_millis(10));
                }
                Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Err(DatabaseError::InUse { path }),
                Err(error) => return Err(unreadable(&path, error.into())),
            }
        };
        let database = RwLock::new(Some(database));
        let opened = identity(&path).ok();
        Ok(Self {
            path,
            opener: Box::new(opener),
            database,
            opened,
            told: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            outage: Outage::default(),
        })
    }

    /// Whether writes can be served, to a file that the next start will find.
    pub(super) fn health(&self) -> Health {
        match self.check_place() {
            Ok(()) => {
                self.told.store(false, Ordering::Relaxed);
                self.outage.health()
            }
            Err(error) => {
                if !self.told.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "the database file is not where it was");
                }
                Health::Down(error.to_string())
            }
        }
    }

    /// Whether the path still leads to the file that was opened.
    fn check_place(&self) -> Result<(), DatabaseError> {
        let Some(opened) = self.opened else { return Ok(()) };
        let path = || self.path.clone();
        match identity(&self.path) {
            Ok(found) if found == opened => Ok(()),
            Ok(_) => Err(DatabaseError::Replaced { path: path() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DatabaseError::Gone { path: path() }),
            // The next write finds out whether the disk fails.
            Err(_) => Ok(()),
        }
    }

    /// Checks the format, then counts this opening of the file and returns its number, from 1.
    pub(super) fn begin_life(&self) -> Result<u64, DatabaseError> {
        let begin = || {
            let transaction = self.begin_write()?;
            let opening = {
                let mut meta = transaction.open_table(META)?;
                let found = meta.get("format")?.map_or(FORMAT, |found| found.value());
                if !(1..=FORMAT).contains(&found) {
                    return Ok(Err(found));
                }
                meta.insert("format", FORMAT)?;
                let opening = meta.get("openings")?.map_or(1, |openings| openings.value() + 1);
                meta.insert("openings", opening)?;
                opening
            };
            transaction.commit()?;
            Ok(Ok(opening))
        };
        let begun: Result<Result<u64, u64>, redb::Error> = begin();
        let reason = match begun {
            Ok(Ok(opening)) => return Ok(opening),
            Ok(Err(found)) => format!("it has format {found}, this version reads formats up to {FORMAT}: update kefu"),
            Err(error) => return Err(unreadable(&self.path, error)),
        };
        Err(DatabaseError::Unreadable { path: self.path.clone(), cause: reason.into() })
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, redb::Error> {
        let database = self.database.read();
        Ok(database.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_write()?)
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, redb::Error> {
        let database = self.database.read();
        Ok(database.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_read()?)
    }

    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, DatabaseError> {
        self.begin_read().and_then(|transaction| work(&transaction)).map_err(|error| self.describe(&error))
    }

    pub(super) fn is_open(&self) -> bool {
        self.database.read().is_some()
    }

    /// Records a failure, and returns the error for the callers. If the failure has made the file unusable, or may have,
    /// the method closes the file and opens it again.
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

    pub(super) fn describe(&self, error: &redb::Error) -> DatabaseError {
        match error {
            redb::Error::DatabaseClosed => self.outage.why_closed(),
            other => DatabaseError::from(other),
        }
    }

    /// Closes the file if it is open, and opens it. Readers wait until then.
    pub(super) fn reopen(&self) {
        let mut database = self.database.write();
        close(database.take());
        // An opening here would create an empty file, or continue in the queue of another file.
        if let Err(error) = self.check_place() {
            self.outage.failed(error, true);
            return;
        }
        match (self.opener)() {
            Ok(opened) => {
                *database = Some(opened);
                self.outage.reopened();
            }
            Err(error) => self.outage.failed(DatabaseError::from(&redb::Error::from(error)), true),
        }
    }

    /// `error` kept the file from being opened.
    pub(super) fn unreadable(&self, error: redb::Error) -> DatabaseError {
        unreadable(&self.path, error)
    }

    /// Asks the writer's thread to close the file.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    pub(super) fn ends(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        close(self.database.write().take());
    }
}

/// Device and inode: no other file has both while the file exists.
type Identity = (u64, u64);

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn close(database: Option<redb::Database>) {
    if let Some(Err(error)) = database.map(redb::Database::close) {
        // Nothing is lost: the file is checked at its next opening.
        debug!(%error, "the database was not closed cleanly");
    }
}

fn unreadable(path: &Path, error: redb::Error) -> DatabaseError {
    match DatabaseError::from(&error) {
        DatabaseError::Failed(cause) => DatabaseError::Unreadable { path: path.to_owned(), cause },
        other => other,
    }
}

/// The folder contains users' messages and accounts' tokens, so only the owner may read a folder that is created here.
fn create_folder(folder: &Path) -> Result<(), DatabaseError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    builder.mode(0o700);
    let failed = |error: io::Error| DatabaseError::Folder { path: folder.to_owned(), cause: error.into() };
    builder.create(folder).map_err(failed)
}

/// A new file survives a power failure only once its folder is on the disk too.
fn sync_folder(folder: &Path) {
    if let Err(error) = fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        debug!(%error, "this platform cannot sync a folder");
    }
}
