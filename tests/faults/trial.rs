//! Users who write without a pause while something breaks.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kefu_harness::eventually;
use kefu_harness::port::PortLease;
use kefu_harness::process::{Launch, Program, Role};
use kefu_harness::rabbitmq::{DeadLetter, RabbitMq};
use kefu_harness::redis::RedisServer;
use kefu_harness::shop::simulated;
use kefu_harness::stack::{Backend, Servers, Stack, StackOptions};
use kefu_harness::wechat::{Account, Mode};
use kefu_simulator::{Filter, Limits, Simulator, SimulatorConfig};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::audit::{self, Audit, Written};
use crate::outcomes::{Outcomes, written_of};
use crate::rounds;
use crate::writer::{MESSAGES, Pushed, Writer};

/// How long everything may take to settle after the last fault: a dead worker's lease, and the lanes behind it.
const SETTLES: Duration = Duration::from_secs(90);

/// How long something under load may take to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// `[ingress] grace_ms` and `[worker] grace_ms` as they are by default, and some for the end of the process.
const INGRESS_GRACE: Duration = Duration::from_secs(12);
const WORKER_GRACE: Duration = Duration::from_secs(22);

/// What a trial is made of. Set what differs, then start it.
pub(crate) struct TrialOptions {
    pub(crate) backend: Backend,
    pub(crate) users: u32,
    /// Pushes a second, of all users together.
    pub(crate) rate: f64,
    /// Further settings by table.
    pub(crate) settings: Vec<(&'static str, String)>,
}

impl TrialOptions {
    pub(crate) fn new(backend: Backend) -> Self {
        // Short calls make short leases: a dead worker's messages wait for no longer than that.
        let settings = vec![("wechat", "timeout_ms = 2000".to_owned())];
        Self { backend, users: 100, rate: rounds::rate(), settings }
    }
}

/// A kefu on servers of its own, and users who write to it until [`Trial::end`].
pub(crate) struct Trial {
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) stack: Stack,
    /// The broker of a production stack.
    pub(crate) broker: Option<RabbitMq>,
    pub(crate) appid: String,
    /// Of programs that are gone.
    logs: Vec<String>,
    /// The simulator's last journal entry before each kill of a program.
    kills: Vec<u64>,
    pushed: Arc<Mutex<Vec<Pushed>>>,
    stop: CancellationToken,
    writing: JoinSet<()>,
    started: Instant,
    _port: PortLease,
}

impl Trial {
    /// Starts servers, programs and users.
    pub(crate) async fn start(options: TrialOptions) -> Self {
        let account = Account::random(Mode::Safe);
        let mut config = SimulatorConfig::new(vec![simulated(&account)]);
        config.limits = Limits {
            message_replies: 1_000,
            journal_entries: 1_000_000,
            // Time for a process to come back. WeChat's own pause is not documented.
            resend_after_ms: 500,
            ..Limits::default()
        };
        let simulator = Arc::new(Simulator::start(config).await.expect("the simulator starts"));

        let port = PortLease::take();
        let mut stack_options = StackOptions::new(options.backend, vec![account.clone()], simulator.url());
        stack_options.rules = audit::rules(MESSAGES);
        stack_options.settings = options.settings;
        // The same after each restart.
        stack_options.listen = format!("127.0.0.1:{}", port.port());
        let (broker, servers) = match options.backend {
            Backend::Embedded => (None, Servers::Embedded),
            Backend::Production => {
                let (broker, redis) = tokio::join!(RabbitMq::start_own(), RedisServer::start());
                let vhost = broker.fresh_vhost().await;
                (Some(broker), Servers::Production { redis, vhost })
            }
        };
        let stack = Stack::start_on(servers, stack_options).await;
        simulator.set_callback(&account.appid, &stack.callback(&account)).expect("it knows the account");
        if let Some(broker) = &broker {
            broker.write_queue_names_down().await;
        }

        let pushed = Arc::new(Mutex::new(Vec::new()));
        let stop = CancellationToken::new();
        let mut writing = JoinSet::new();
        for number in 0..options.users {
            let writer = Writer {
                simulator: Arc::clone(&simulator),
                appid: account.appid.clone(),
                user: format!("oWriter{number}"),
                every: Duration::from_secs_f64(f64::from(options.users) / options.rate),
                late: Duration::from_secs_f64(f64::from(number) / options.rate),
                pushed: Arc::clone(&pushed),
                stop: stop.clone(),
            };
            writing.spawn(writer.write());
        }
        Self {
            simulator,
            stack,
            broker,
            appid: account.appid,
            logs: Vec::new(),
            kills: Vec::new(),
            pushed,
            stop,
            writing,
            started: Instant::now(),
            _port: port,
        }
    }

    /// The broker, which the test may break.
    pub(crate) fn broker(&mut self) -> &mut RabbitMq {
        self.broker.as_mut().expect("a production stack has a broker")
    }

    /// The Redis, which the test may break.
    pub(crate) fn redis(&mut self) -> &mut RedisServer {
        match &mut self.stack.servers {
            Servers::Production { redis, .. } => redis,
            Servers::Embedded => panic!("an embedded stack has no Redis"),
        }
    }

    /// SIGKILL to a program of the stack. [`Trial::bring_back`] starts it again.
    pub(crate) fn kill(&mut self, program: usize) {
        self.stack.programs[program].kill();
        // What the program had sent is in the journal, or comes within the simulator's own time.
        self.kills.push(self.simulator.journal_last());
    }

    /// Starts a program in the place of a dead one, with the same configuration.
    pub(crate) async fn bring_back(&mut self, program: usize) {
        let started = Program::start(self.stack.launch(program)).await;
        let gone = std::mem::replace(&mut self.stack.programs[program], started);
        self.logs.push(gone.output());
    }

    /// Starts one more worker.
    pub(crate) async fn add_worker(&mut self) {
        let started = Program::start(Launch::worker(self.stack.config())).await;
        self.stack.programs.push(started);
    }

    /// SIGTERM to a program of the stack, and waits for its end.
    pub(crate) async fn stop(&mut self, program: usize) {
        let grace = match (&self.stack.servers, program) {
            (Servers::Production { .. }, 0) => INGRESS_GRACE,
            _ => WORKER_GRACE,
        };
        let program = self.stack.programs.remove(program);
        program.terminate();
        let (status, output) = program.end_within(grace).await;
        assert!(status.success(), "{status}:\n{output}");
        self.logs.push(output);
    }

    /// SIGTERM to a program, and another one in its place once it has ended.
    pub(crate) async fn restart(&mut self, program: usize) {
        let launch = self.stack.launch(program);
        self.stop(program).await;
        self.stack.programs.insert(program, Program::start(launch).await);
    }

    /// Asks ingress for what needs nobody else, again and again for so long.
    ///
    /// # Panics
    /// When an answer takes a second: something holds the event loop.
    pub(crate) async fn answers_others_for(&self, time: Duration) {
        let url = format!("{}/push/none", self.stack.programs[0].url(Role::Public));
        let started = Instant::now();
        while started.elapsed() < time {
            let asked = Instant::now();
            assert_eq!(reqwest::get(&url).await.expect("it answers").status(), 404);
            assert!(asked.elapsed() < Duration::from_secs(1), "an answer took {:?}", asked.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many partitions each worker is the active consumer of.
    pub(crate) async fn active_partitions(&self) -> Vec<usize> {
        match &self.stack.servers {
            Servers::Production { vhost, .. } => vhost.active_consumers().await,
            Servers::Embedded => panic!("an embedded stack has no workers apart"),
        }
    }

    /// Waits until so many further pushes have been answered `success`.
    pub(crate) async fn accepts(&self, further: usize) {
        let before = self.accepted().len();
        let what = format!("{further} more pushes are accepted");
        eventually(PATIENCE, &what, async || {
            let since = self.accepted().len() - before;
            if since >= further { Ok(()) } else { Err(format!("{since} were")) }
        })
        .await;
    }

    /// Waits until so many further replies have reached users.
    pub(crate) async fn delivers(&self, further: usize) {
        let filter = Filter::delivered(self.simulator.journal_last());
        let seen = self.simulator.journal_wait(&filter, further, PATIENCE).await.len();
        assert!(seen >= further, "{seen} replies instead of {further} within {PATIENCE:?}");
    }

    fn accepted(&self) -> BTreeSet<Written> {
        let pushed = self.pushed.lock().expect("nothing panics while it holds this");
        pushed.iter().filter(|pushed| pushed.report.answered).map(|pushed| pushed.written.clone()).collect()
    }

    /// Lets the users finish, waits until every push is accounted for, and says what it came to.
    pub(crate) async fn end(mut self, name: &str) -> Outcomes {
        self.stop.cancel();
        while let Some(ended) = self.writing.join_next().await {
            ended.expect("a user's writing does not fail");
        }
        let load = self.started.elapsed();
        let accepted = self.accepted();
        let deliveries = Filter::delivered(0);
        let settling = Instant::now();
        let (audit, dead) = loop {
            let dead = self.dead_letters().await;
            let written = dead.iter().filter_map(written_of).collect();
            let audit = Audit::of(&accepted, &written, &self.simulator.journal(&deliveries));
            if audit.missing.is_empty() || settling.elapsed() > SETTLES {
                break (audit, dead);
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        };
        let pushed = std::mem::take(&mut *self.pushed.lock().expect("nothing panics while it holds this"));
        self.logs.extend(self.stack.programs.iter().map(Program::output));
        let doubled_by_kills = audit.doubled_by(&self.kills);
        let outcomes = Outcomes { doubled_by_kills, ..Outcomes::of(audit, &pushed, dead, &self.logs) };
        println!("{name}: {load:.1?} of load, then settled in {:.1?}; {outcomes}", settling.elapsed());
        outcomes
    }

    async fn dead_letters(&self) -> Vec<DeadLetter> {
        match &self.stack.servers {
            Servers::Production { vhost, .. } => vhost.dead_letters("kefu.dead").await,
            Servers::Embedded => Vec::new(),
        }
    }
}
