//! The programs of kefu as users start them: real processes of the real binaries.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use crate::owned::OwnedProcess;
use crate::{eventually, target};

mod metrics;
mod output;

pub use output::Output;

/// How long it may take until a program has noticed something.
const SAYS: Duration = Duration::from_secs(60);

/// How long a program may take until it listens and is ready, the machine being busy.
const START: Duration = Duration::from_secs(60);

/// The ports of a program, as its log names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Where WeChat pushes to.
    Public,
    /// `/livez /readyz /metrics`.
    Internal,
}

/// What to wait for after the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until `/readyz` says 200.
    Ready,
    /// Until it listens; for starts without a server that it needs.
    Listening,
    /// Not at all; for starts that must fail.
    Nothing,
}

/// How to start a program.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// What it has in its environment besides that of the test.
    pub environment: Vec<(String, String)>,
    /// The ports that it opens.
    pub listens: Vec<Role>,
    /// What to wait for.
    pub wait: Wait,
}

impl Launch {
    /// `kefu-ingress --config FILE`
    pub fn ingress(config: &Path) -> Self {
        Self::kefu("kefu-ingress", &[], config, &[Role::Public, Role::Internal])
    }

    /// `kefu-worker --config FILE`
    pub fn worker(config: &Path) -> Self {
        Self::kefu("kefu-worker", &[], config, &[Role::Internal])
    }

    /// `kefu serve --config FILE`: both in one process.
    pub fn serve(config: &Path) -> Self {
        Self::kefu("kefu", &["serve"], config, &[Role::Public, Role::Internal])
    }

    fn kefu(name: &str, args: &[&str], config: &Path, listens: &[Role]) -> Self {
        let mut args: Vec<OsString> = args.iter().map(OsString::from).collect();
        args.extend(["--config".into(), config.into()]);
        let program = target::program(name);
        Self { program, args, environment: Vec::new(), listens: listens.to_vec(), wait: Wait::Ready }
    }
}

/// A running program; killed on drop, with its output shown when the test fails.
#[derive(Debug)]
pub struct Program {
    name: String,
    process: OwnedProcess,
    output: Arc<Output>,
    client: reqwest::Client,
}

impl Program {
    /// Starts it and waits for what `launch.wait` says.
    ///
    /// # Panics
    /// When it ends meanwhile, or takes more than a minute; the text holds its output.
    pub async fn start(launch: Launch) -> Self {
        let name = launch.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut process = OwnedProcess::start(&launch.program, &launch.args, |command| {
            command.envs(launch.environment).stdout(Stdio::piped()).stderr(Stdio::piped());
        })
        .unwrap_or_else(|error| panic!("{}: {error}", launch.program.display()));
        let output = Output::of(process.child());
        // No connection is left open, which the program would have to close when it ends.
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build();
        let client = client.expect("a plain client can be built");
        let mut program = Self { name, process, output, client };
        if launch.wait != Wait::Nothing {
            program.listens(&launch.listens).await;
        }
        if launch.wait == Wait::Ready {
            program.ready().await;
        }
        program
    }

    /// The address of its first port of this role.
    pub fn address(&self, role: Role) -> SocketAddr {
        let address = self.output.addresses(role).first().copied();
        address.unwrap_or_else(|| panic!("{} has no {role:?} port:\n{}", self.name, self.output()))
    }

    /// `http://127.0.0.1:PORT` of a role.
    pub fn url(&self, role: Role) -> String {
        format!("http://{}", self.address(role))
    }

    /// All it has printed so far, standard output and standard error.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// How long it has kept processors busy so far, all its threads together.
    pub fn cpu_time(&self) -> Duration {
        self.process.cpu_time()
    }

    /// The most memory that it has had so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.process.peak_memory()
    }

    /// SIGTERM, as an operator stops it.
    pub fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// SIGHUP, by which it is asked to read its rules again.
    pub fn hang_up(&self) {
        self.process.signal(Signal::HUP);
    }

    /// Whether SIGHUP would not end it now.
    pub fn catches_hang_up(&self) -> bool {
        let caught = self.process.proc("status");
        let mask = caught.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default().trim();
        u64::from_str_radix(mask, 16).is_ok_and(|mask| mask & 1 != 0)
    }

    /// Its exit status and all of its output; waits for it.
    ///
    /// # Panics
    /// When it still runs after `deadline`.
    pub async fn end_within(mut self, deadline: Duration) -> (ExitStatus, String) {
        let what = format!("{} ends", self.name);
        let status = eventually(deadline, &what, async || self.process.exited().ok_or("it runs")).await;
        let output = Arc::clone(&self.output);
        (status, eventually(START, "its output is read", async || output.whole().ok_or("there is more")).await)
    }

    /// SIGKILL: a crash.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Status and text that its internal port answers to a GET of this path.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn ask(&self, path: &str) -> (u16, String) {
        let url = format!("{}{path}", self.url(Role::Internal));
        let response = self.client.get(&url).send().await.unwrap_or_else(|error| panic!("{url}: {error}"));
        let status = response.status().as_u16();
        (status, response.text().await.unwrap_or_else(|error| panic!("{url}: {error}")))
    }

    /// Waits until its internal port says this status, and these parts of a text, at this path.
    ///
    /// # Panics
    /// When it does not within a minute.
    pub async fn says(&self, path: &str, status: u16, parts: &[&str]) {
        eventually(SAYS, &format!("{path} says {status} and {parts:?}"), async || {
            let (found, text) = self.ask(path).await;
            let fits = found == status && parts.iter().all(|part| text.contains(part));
            if fits { Ok(()) } else { Err(format!("{found}: {text}")) }
        })
        .await;
    }

    /// Waits until this is somewhere in what it prints.
    ///
    /// # Panics
    /// When it is not within a minute.
    pub async fn logs(&self, part: &str) {
        eventually(SAYS, &format!("{part:?} is in the log"), async || {
            let output = self.output();
            if output.contains(part) { Ok(()) } else { Err(output) }
        })
        .await;
    }

    /// Waits until `/readyz` of its internal ports says 200.
    pub async fn ready(&mut self) {
        let what = format!("{} is ready", self.name);
        let (client, output) = (self.client.clone(), Arc::clone(&self.output));
        eventually(START, &what, async || {
            self.must_run();
            for address in output.addresses(Role::Internal) {
                let answer = client.get(format!("http://{address}/readyz")).send().await.map_err(|e| e.to_string())?;
                let status = answer.status();
                if status != 200 {
                    return Err(format!("/readyz says {status}: {}", answer.text().await.unwrap_or_default()));
                }
            }
            Ok(())
        })
        .await;
    }

    async fn listens(&mut self, roles: &[Role]) {
        let what = format!("{} listens", self.name);
        let output = Arc::clone(&self.output);
        eventually(START, &what, async || {
            self.must_run();
            let missing = roles.iter().find(|role| output.addresses(**role).is_empty());
            missing.map_or(Ok(()), |role| Err(format!("no {role:?} port; its output:\n{}", output.text())))
        })
        .await;
    }

    fn must_run(&mut self) {
        if let Some(status) = self.process.exited() {
            panic!("{} ended with {status}:\n{}", self.name, self.output());
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}:\n{}", self.name, self.output());
        }
    }
}
