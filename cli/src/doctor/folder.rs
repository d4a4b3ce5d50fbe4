//! Folders that kefu writes to: the spool, and the data folder of an embedded database.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use kefu_shared::config::{BackendUrls, Config};
use kefu_shared::embedded::FILE_NAME;
use rustix::fs::{statfs, statvfs};

use super::{Finding, in_time};

/// How many times as large as what it keeps a spool file can become.
const SPOOL_GROWTH: u64 = 3;
/// What an embedded database should have left.
const DATA_BYTES: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// File systems that end with the machine or the container.
const PASSING: [(u32, &str); 3] = [
    (0x0102_1994, "in memory (tmpfs): a restart of the machine or the container forgets it"),
    (0x8584_58f6, "in memory (ramfs): a restart of the machine or the container forgets it"),
    (0x794c_7630, "in the container's own layer (overlayfs): it goes with the container"),
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
    in_time("folders", "look at the disk", async { look.await.unwrap_or_default() }).await
}

fn judge(check: &str, folder: PathBuf, setting: &str, needed: u64) -> Vec<Finding> {
    let Ok(folder) = std::path::absolute(folder) else { return Vec::new() };
    // What is not there is made by kefu, below what is.
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
    // Without a name from the start, so nothing is left whatever happens.
    if let Err(error) = tempfile::tempfile_in(existing) {
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
            let text = format!("{} MiB are free, it may need {} MiB", free / MIB, needed / MIB);
            Finding::warning(check, text, "make room")
        }
    })
}

fn lasting(check: &str, folder: &Path) -> Option<Finding> {
    let kind = statfs(folder).ok()?.f_type;
    // Signed or not, wide or not: that differs between platforms.
    let (_, passing) = PASSING.iter().find(|(magic, _)| *magic == kind as u32)?;
    let check = format!("{check} disk");
    Some(Finding::warning(check, format!("{} is {passing}", folder.display()), "mount a volume there that lasts"))
}

/// The file of an embedded database, which a running kefu holds locked.
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
    Some(match file.try_lock() {
        Ok(()) => Finding::ok(CHECK, format!("{shown} is there, and no kefu has it open now")),
        Err(TryLockError::WouldBlock) => Finding::ok(CHECK, format!("{shown} is in use by a kefu that runs")),
        Err(TryLockError::Error(error)) => {
            let mend = "put it on a local disk: kefu locks it";
            Finding::failed(CHECK, format!("{shown} cannot be locked: {error}"), mend)
        }
    })
}
