//! Where RabbitMQ is installed, and how its programs are run from there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::target::target_folder;

/// Enters a Debian folder: needs /proc and /dev there, and the server's files at /mnt. All three are mounted in a
/// mount namespace of this process, so nothing has to be undone. $1 the folder, $2 the server's files.
const ENTER: &str = r#"
mount --rbind /proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --bind "$2" "$1/mnt" || exit 70
root=$1; shift 2; exec chroot "$root" "$@""#;

/// Where a server in a Debian folder sees its files.
const INSIDE: &str = "/mnt";

/// An installation of RabbitMQ: that of this system, or one in a folder with a Debian system of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Installation {
    /// The folder; `/` for this system.
    root: PathBuf,
    /// The programs' folder, as seen from there. Debian's wrappers in `/usr/sbin` change the user: not those.
    bin: PathBuf,
}

impl Installation {
    /// The one named by the environment, or else the folder that `tests/run` makes, or else this system's.
    pub(super) fn find() -> Self {
        let made = target_folder().join("servers/trixie");
        let root = match std::env::var_os("KEFU_TEST_RABBITMQ_ROOT") {
            Some(root) => PathBuf::from(root),
            None if made.exists() => made,
            None => PathBuf::from("/"),
        };
        let bin =
            std::env::var_os("KEFU_TEST_RABBITMQ_BIN").map_or_else(|| "/usr/lib/rabbitmq/bin".into(), PathBuf::from);
        let program = root.join(bin.strip_prefix("/").unwrap_or(&bin)).join("rabbitmq-server");
        assert!(program.exists(), "there is no {}: run tests/run, which provides it", program.display());
        Self { root, bin }
    }

    fn is_this_system(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where the system's programs are: Erlang's, and those that enter a Debian folder.
    pub(super) fn system_path(&self) -> String {
        let usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        match std::env::var("PATH") {
            Ok(path) if self.is_this_system() => format!("{path}:{usual}"),
            _ => usual.to_owned(),
        }
    }

    /// The server's files as the server sees them.
    pub(super) fn seen(&self, files: &Path) -> PathBuf {
        if self.is_this_system() { files.to_owned() } else { INSIDE.into() }
    }

    /// The command line that runs a shell script with RabbitMQ's programs first on the `PATH`, in the installation,
    /// for a server with its files in `files`.
    pub(super) fn shell(&self, files: &Path, script: &str, args: &[&str]) -> Vec<OsString> {
        let mut line: Vec<OsString> = Vec::new();
        if !self.is_this_system() {
            line.push("unshare".into());
            if !rustix::process::geteuid().is_root() {
                line.extend(["--user".into(), "--map-root-user".into()]);
            }
            line.extend(["--mount", "sh", "-c", ENTER, "enter"].map(OsString::from));
            line.extend([self.root.clone().into_os_string(), files.as_os_str().to_owned()]);
        }
        let path = format!("PATH={}:{}", self.bin.display(), self.system_path());
        line.extend(["env", &path, "sh", "-c", script, "rabbitmq"].map(OsString::from));
        line.extend(args.iter().map(OsString::from));
        line
    }
}
