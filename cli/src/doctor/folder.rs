//! Folders that kefu writes to: the spool, and the data folder of an embedded database.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kefu_embedded::FILE_NAME;
use kefu_program::config::{BackendUrls, Config};
use rustix::fs::{Access, AtFlags, CWD, accessat, major, minor, statfs, statvfs};
use tokio::time::timeout;

use super::{Finding, PATIENCE};

/// How many times larger than its content a spool file can become.
const SPOOL_GROWTH: u64 = 3;
/// How many free bytes an embedded database should have.
const DATA_BYTES: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// File systems that lose their files with the machine or the container.
const PASSING: [(u32, &str); 3] = [
    (0x0102_1994, "in memory (tmpfs): a restart of the machine or the container loses all files"),
    (0x8584_58f6, "in memory (ramfs): a restart of the machine or the container loses all files"),
    (0x794c_7630, "in the container's own layer (overlayfs): the files disappear with the container"),
];

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let (spool, spool_bytes) = (config.ingress.spool.clone(), config.ingress.spool_max_bytes);
    let data = match &config.backend {
        BackendUrls::Embedded(folder) => Some(folder.clone()),
        BackendUrls::Servers { .. } => None,
    };
    let look = tokio::task::spawn_blocking(move || {
        let spool = spool.map(|folder| judge("spool", folder, "[ingress] spool", spool_bytes * SPOOL_GROWTH));
        let data = data.map(|folder| {
            let mut findings = judge("data folder", folder.clone(), "[queue] url", DATA_BYTES);
            findings.extend(database(&folder.join(FILE_NAME)));
            findings
        });
        spool.into_iter().chain(data).flatten().collect()
    });
    match timeout(PATIENCE, look).await {
        Ok(found) => found.unwrap_or_default(),
        Err(_) => {
            vec![Finding::failed("folders", format!("no answer within {} s", PATIENCE.as_secs()), "check the disk")]
        }
    }
}

fn judge(check: &str, folder: PathBuf, setting: &str, needed: u64) -> Vec<Finding> {
    let Ok(folder) = std::path::absolute(folder) else { return Vec::new() };
    // kefu creates a missing folder below the nearest folder that exists.
    let Some(existing) = folder.ancestors().find(|path| path.exists()) else { return Vec::new() };
    let shown = folder.display();
    let is_there = existing == folder;
    let cannot = |why: String| {
        let mend = format!("make it a folder that this user may write to, or name another one in {setting}");
        vec![Finding::failed(check, format!("{shown} {why}"), mend)]
    };
    if !existing.is_dir() {
        return cannot(if is_there {
            "is no folder".to_owned()
        } else {
            format!("cannot be made: {} is no folder", existing.display())
        });
    }
    // The doctor asks for the permission instead of trying, so that it writes nothing.
    if let Err(error) = accessat(CWD, existing, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS) {
        return cannot(format!("cannot be written to: {error}"));
    }
    let will_be = if is_there { "" } else { ", will be made when kefu starts" };
    let mut findings = vec![Finding::ok(check, format!("{shown} can be written to{will_be}"))];
    findings.extend(space(check, existing, needed));
    findings.extend(lasting(check, existing));
    findings
}

fn space(check: &str, folder: &Path, needed: u64) -> Option<Finding> {
    let volume = statvfs(folder).ok()?;
    let free = volume.f_bavail.saturating_mul(volume.f_frsize);
    let check = format!("{check} space");
    Some(match free >= needed {
        true => Finding::ok(check, format!("{} MiB are free", free / MIB)),
        false => {
            let text = format!("{} MiB are free, kefu may need {} MiB", free / MIB, needed / MIB);
            Finding::warning(check, text, "free some space on this disk")
        }
    })
}

fn lasting(check: &str, folder: &Path) -> Option<Finding> {
    let kind = statfs(folder).ok()?.f_type;
    // The type of `f_type` differs between platforms in sign and width.
    let (_, passing) = PASSING.iter().find(|(magic, _)| *magic == kind as u32)?;
    let check = format!("{check} disk");
    Some(Finding::warning(check, format!("{} is {passing}", folder.display()), "mount a lasting volume there"))
}

/// Checks the file of an embedded database. A running kefu holds this file locked.
fn database(path: &Path) -> Option<Finding> {
    const CHECK: &str = "database";
    let shown = path.display();
    let mend = "run kefu and this command as the same user, who may read and write the file";
    if !path.try_exists().ok()? {
        return Some(Finding::ok(CHECK, format!("{shown} will be made when kefu starts")));
    }
    let file = match File::options().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) => return Some(Finding::failed(CHECK, format!("{shown} cannot be opened: {error}"), mend)),
    };
    Some(Finding::ok(
        CHECK,
        match is_locked(&file) {
            Some(true) => format!("{shown} is in use by a kefu that runs"),
            Some(false) => format!("{shown} exists, and no kefu has it open now"),
            None => format!("{shown} exists; this system does not show whether a kefu has the file open"),
        },
    ))
}

/// How often, at most, the doctor reads the system's list of locks before a file counts as not locked. The system gives
/// the list in pieces, and omits a lock when earlier locks disappear between two pieces. The list is complete when the
/// doctor reads the same list twice.
const LOOKS: usize = 30;

/// Whether a process has locked the file, as this system reports it; `None` where the system reports nothing. The
/// doctor does not try to lock the file: a kefu that starts, or reopens its file, in that moment would find the file
/// locked.
fn is_locked(file: &File) -> Option<bool> {
    let metadata = file.metadata().ok()?;
    let (device, inode) = (metadata.dev(), metadata.ino());
    let is_it = |line: &str| {
        // 1: FLOCK  ADVISORY  WRITE 17310 fe:00:10733899 0 EOF
        let place = line.split_whitespace().nth(5).unwrap_or_default();
        let [on_major, on_minor, number] = place.split(':').collect::<Vec<_>>()[..] else { return false };
        let number_is = |text, number| u32::from_str_radix(text, 16) == Ok(number);
        // Some file systems (btrfs, overlayfs) report one device number for their locks and another for their files.
        // The device numbers of such files begin with 0.
        let device_is =
            major(device) == 0 || (number_is(on_major, major(device)) && number_is(on_minor, minor(device)));
        device_is && number.parse() == Ok(inode)
    };
    let mut before = String::new();
    for _ in 0..LOOKS {
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        if locks.lines().any(is_it) {
            return Some(true);
        }
        if locks == before {
            break;
        }
        before = locks;
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    fn said(path: &Path) -> String {
        format!("{:?}", database(path).unwrap())
    }

    #[test]
    fn a_kefu_that_starts_meanwhile_never_finds_its_file_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let file = File::create(&path).unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let starts = scope.spawn(|| {
                let mut refused = 0;
                while !is_over.load(Ordering::Relaxed) {
                    match file.try_lock() {
                        Ok(()) => file.unlock().unwrap(),
                        Err(_) => refused += 1,
                    }
                }
                refused
            });
            for _ in 0..2_000 {
                said(&path);
            }
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(starts.join().unwrap(), 0, "it was locked");
        });
    }

    #[test]
    fn a_file_that_is_locked_is_in_use_and_another_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join(FILE_NAME), folder.path().join("other"));
        let file = File::create(&path).unwrap();
        File::create(&other).unwrap();
        assert!(said(&path).contains("no kefu has it open now"), "{}", said(&path));
        file.lock().unwrap();
        assert!(said(&path).contains("is in use by a kefu that runs"), "{}", said(&path));
        assert!(said(&other).contains("no kefu has it open now"), "{}", said(&other));
    }

    #[test]
    fn a_locked_file_is_in_use_whatever_else_is_locked_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let others: Vec<File> =
            (0..400).map(|other| File::create(folder.path().join(other.to_string())).unwrap()).collect();
        let file = File::create(&path).unwrap();
        file.lock().unwrap();
        let is_over = AtomicBool::new(false);
        let missed = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    others.iter().for_each(|other| other.lock().unwrap());
                    others.iter().for_each(|other| other.unlock().unwrap());
                }
            });
            let missed = (0..2_000).filter(|_| !said(&path).contains("is in use")).count();
            is_over.store(true, Ordering::Relaxed);
            missed
        });
        assert_eq!(missed, 0);
    }

    #[test]
    fn a_look_at_a_folder_leaves_it_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let before = folder.path().metadata().unwrap();
        for _ in 0..10 {
            let findings = judge("spool", folder.path().to_owned(), "[ingress] spool", 0);
            assert!(format!("{findings:?}").contains("can be written to"), "{findings:?}");
        }
        let after = folder.path().metadata().unwrap();
        assert_eq!((before.mtime_nsec(), before.ctime_nsec()), (after.mtime_nsec(), after.ctime_nsec()));
    }
}
