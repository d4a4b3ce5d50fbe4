//! Processes that end with the test process, however that ends.
//!
//! Dropping is not enough: a test process can be killed, and statics are never dropped. So each test process has one
//! *guard*, a shell that reads from a pipe whose other end only the test process holds. When the pipe ends, the guard
//! kills what is still running and removes the files. And a test process whose runner is gone ends itself.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, kill_process_group, waitid};

mod group;

/// The guard of this process.
struct Guard {
    shell: Mutex<Child>,
    folder: PathBuf,
}

impl Guard {
    fn get() -> &'static Self {
        static GUARD: OnceLock<Guard> = OnceLock::new();
        GUARD.get_or_init(|| {
            let run = std::env::var("KEFU_TEST_RUN").unwrap_or_else(|_| "alone".to_owned());
            let name = format!("kefu-test-{run}-{}-{:08x}", std::process::id(), rand::random::<u32>());
            let folder = std::env::temp_dir().join(name);
            let shell = Command::new("sh")
                .args(["-c", include_str!("owned/guard.sh"), "guard"])
                .arg(&folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                // Ctrl-C and a runner's kill go to the test's process group: the guard must outlive them.
                .process_group(0)
                .spawn()
                .expect("sh must start");
            std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            end_with_the_runner();
            Guard { shell: Mutex::new(shell), folder }
        })
    }

    fn tell(&self, word: &str, group: Pid) {
        let mut shell = self.shell.lock().expect("nothing panics while it holds this");
        let orders = shell.stdin.as_mut().expect("its input is a pipe");
        writeln!(orders, "{word} {}", group.as_raw_nonzero()).expect("the guard listens as long as this process lives");
    }
}

/// Kills this process when the one that started it (cargo, nextest) has died without a word.
fn end_with_the_runner() {
    let runner = parent_id();
    thread::spawn(move || {
        while parent_id() == runner {
            thread::sleep(Duration::from_millis(200));
        }
        kill_process(getpid(), Signal::KILL)
    });
}

/// The folder for all files of this test process; the guard removes it.
pub(crate) fn process_folder() -> &'static Path {
    &Guard::get().folder
}

/// A process and its descendants, as one process group.
#[derive(Debug)]
pub struct OwnedProcess {
    child: Child,
    group: Pid,
    status: Option<ExitStatus>,
}

impl OwnedProcess {
    /// Starts `program`; `setup` sets environment, folder and output. Its input is empty.
    pub fn start<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
        setup: impl FnOnce(&mut Command),
    ) -> io::Result<Self> {
        // It waits for a line before it becomes the program: until the guard knows of it. When this process dies
        // before that, there is no line, and no program.
        let mut command = Command::new("sh");
        command.args(["-c", "read -r _ && exec \"$@\" </dev/null", "sh"]).arg(program).args(args);
        setup(&mut command);
        let mut child = command.stdin(Stdio::piped()).process_group(0).spawn()?;
        let group = Pid::from_child(&child);
        Guard::get().tell("started", group);
        let mut go = child.stdin.take().expect("its input is a pipe");
        go.write_all(b"go\n")?;
        Ok(Self { child, group, status: None })
    }

    /// The pipes that `setup` asked for, to be taken.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its exit status, once it has one. What it left behind in its group is killed then.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            // Looks without taking the process away, so that its number is not given to another one meanwhile.
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if matches!(waitid(WaitId::Pid(self.group), look), Ok(Some(_))) {
                self.kill();
            }
        }
        self.status
    }

    /// How long the process, without its children, has kept processors busy.
    pub fn cpu_time(&self) -> Duration {
        let stat = self.proc("stat");
        // The name, in parentheses, may hold spaces; of the fields after it, the 12th and 13th are user and system time.
        let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
        let ticks: u64 = fields.split(' ').skip(12).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        // Linux counts 100 ticks a second here on every architecture that these tests run on.
        Duration::from_millis(ticks * 10)
    }

    /// The most memory that the process, without its children, has had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = self.proc("status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak.expect("Linux notes it").parse::<u64>().expect("a number") * 1_024
    }

    pub(crate) fn proc(&self, file: &str) -> String {
        let file = std::fs::read_to_string(format!("/proc/{}/{file}", self.group.as_raw_nonzero()));
        file.expect("a process that is not waited for has its files")
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            kill_process(self.group, signal).expect("a process that is not waited for takes signals");
        }
    }

    /// Sends a signal to the process and all in its group.
    pub fn signal_group(&self, signal: Signal) {
        if self.status.is_none() {
            kill_process_group(self.group, signal).expect("a process that is not waited for takes signals");
        }
    }

    /// SIGKILL to the whole group; returns when nothing of it is left.
    pub fn kill(&mut self) {
        if self.status.is_some() {
            return;
        }
        // Fails only where nothing is left to kill; the wait below shows it.
        kill_process_group(self.group, Signal::KILL).ok();
        Guard::get().tell("ended", self.group);
        self.status = Some(self.child.wait().expect("a child can be waited for"));
        let started = Instant::now();
        while !group::is_gone(self.group) && started.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for OwnedProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
