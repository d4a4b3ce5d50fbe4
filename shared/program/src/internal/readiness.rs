//! The parts that must be up before the process is ready.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use kefu_runtime::health::Health;
use kefu_store::Probe;
use parking_lot::Mutex;
use serde_json::{Map, Value};

/// How long a probe of the store may take.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// The checks behind `/readyz`. Clones share the checks. Until [`Readiness::complete`], the process is starting and not
/// ready.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<Checks>>);

#[derive(Default)]
struct Checks {
    all: Vec<Check>,
    complete: bool,
}

type Ask = Arc<dyn Fn() -> BoxFuture<'static, Health> + Send + Sync>;

#[derive(Clone)]
struct Check {
    name: &'static str,
    required: bool,
    ask: Ask,
}

/// The status of a process that can do its work.
pub(super) const READY: &str = "ready";

impl Readiness {
    /// Adds a check. A check that is not `required` appears in the answer as degraded, and leaves the process ready.
    pub fn add(
        &self,
        name: &'static str,
        required: bool,
        ask: impl Fn() -> BoxFuture<'static, Health> + Send + Sync + 'static,
    ) {
        self.0.lock().all.push(Check { name, required, ask: Arc::new(ask) });
    }

    /// Adds the check of a store: the store is up if it answers `probe` within a second.
    pub fn add_store(&self, name: &'static str, required: bool, probe: Arc<dyn Probe>) {
        self.add(name, required, move || {
            let probe = Arc::clone(&probe);
            async move {
                match tokio::time::timeout(PROBE_LIMIT, probe.probe()).await {
                    Ok(Ok(())) => Health::Up,
                    Ok(Err(error)) => Health::Down(error.to_string()),
                    Err(_) => Health::Down("the store does not answer".to_owned()),
                }
            }
            .boxed()
        });
    }

    /// Declares that every part of the process has added its checks: from now on the checks decide.
    pub fn complete(&self) {
        self.0.lock().complete = true;
    }

    /// Runs all checks at the same time. Returns the status of the process, and the answer of each check.
    pub(super) async fn ask(&self) -> (&'static str, Map<String, Value>) {
        let (checks, complete) = {
            let checks = self.0.lock();
            (checks.all.clone(), checks.complete)
        };
        let answers = join_all(checks.iter().map(|check| (check.ask)())).await;
        let mut status = if complete { READY } else { "starting" };
        let mut details = Map::new();
        for (check, health) in checks.iter().zip(answers) {
            let text = match health {
                Health::Up => "up".to_owned(),
                Health::Down(why) if check.required => {
                    status = if complete { "not ready" } else { status };
                    format!("down: {why}")
                }
                Health::Degraded(why) | Health::Down(why) => format!("degraded: {why}"),
            };
            details.insert(check.name.to_owned(), text.into());
        }
        (status, details)
    }
}
