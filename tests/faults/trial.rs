//! Users who write without a pause while something breaks.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kefu_harness::eventually;
use kefu_harness::port::PortLease;
use kefu_harness::process::{Launch, Program};
use kefu_harness::rabbitmq::{DeadLetter, RabbitMq};
use kefu_harness::redis::RedisServer;
use kefu_harness::shop::simulated;
use kefu_harness::stack::{Backend, Servers, Stack, StackOptions};
use kefu_harness::wechat::{Account, Mode};
use kefu_simulator::{Filter, Limits, Message, Outcome, PushReport, PushRequest, Simulator, SimulatorConfig};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::audit::{self, Audit, Written};
use crate::rounds;

/// How long everything may take to settle after the last fault: a dead worker's lease, and the lanes behind it.
const SETTLES: Duration = Duration::from_secs(90);

/// How long something under load may take to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest grace time of a program, and some.
const GRACE: Duration = Duration::from_secs(25);

/// WeChat's patience, and what is kept of it for the way.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_millis(4_700);

/// What a worker logs of such a step.
const AMBIGUOUS: &str = "a reply may or may not have been sent";

/// More than a user writes in any trial.
const MESSAGES: u32 = 600;

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

/// One push and what became of it.
struct Pushed {
    written: Written,
    report: PushReport,
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
    pushed: Arc<Mutex<Vec<Pushed>>>,
    stop: CancellationToken,
    writing: JoinSet<()>,
    started: Instant,
    _port: PortLease,
}

/// What a trial came to.
pub(crate) struct Outcomes {
    pub(crate) audit: Audit,
    /// Pushes that WeChat gave up.
    pub(crate) given_up: usize,
    /// Tries that got no answer in WeChat's time, the connection being there.
    pub(crate) unanswered: usize,
    /// How long the slowest answer took, and the slowest but one in a hundred.
    pub(crate) worst: Duration,
    pub(crate) p99: Duration,
    pub(crate) dead: Vec<DeadLetter>,
    /// Steps that the workers say may or may not have been sent.
    pub(crate) ambiguous: usize,
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
    }

    /// Starts a program in the place of a dead one, with the same configuration.
    pub(crate) async fn bring_back(&mut self, program: usize) {
        let started = Program::start(self.launch(program)).await;
        let gone = std::mem::replace(&mut self.stack.programs[program], started);
        self.logs.push(gone.output());
    }

    fn launch(&self, program: usize) -> Launch {
        match (&self.stack.servers, program) {
            (Servers::Embedded, _) => Launch::serve(self.stack.config()),
            (Servers::Production { .. }, 0) => Launch::ingress(self.stack.config()),
            (Servers::Production { .. }, _) => Launch::worker(self.stack.config()),
        }
    }

    /// Starts one more worker.
    pub(crate) async fn add_worker(&mut self) {
        let started = Program::start(Launch::worker(self.stack.config())).await;
        self.stack.programs.push(started);
    }

    /// SIGTERM to a program of the stack, and waits for its end.
    pub(crate) async fn stop(&mut self, program: usize) {
        let program = self.stack.programs.remove(program);
        program.terminate();
        let (status, output) = program.end_within(GRACE).await;
        assert!(status.success(), "{status}:\n{output}");
        self.logs.push(output);
    }

    /// SIGTERM to a program, and another one in its place once it has ended.
    pub(crate) async fn restart(&mut self, program: usize) {
        let launch = self.launch(program);
        self.stop(program).await;
        self.stack.programs.insert(program, Program::start(launch).await);
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
        let tries: Vec<_> =
            pushed.iter().flat_map(|pushed| &pushed.report.copies).flat_map(|copy| &copy.tries).collect();
        let mut answers: Vec<f64> =
            tries.iter().filter(|attempt| attempt.status.is_some()).map(|attempt| attempt.duration_ms).collect();
        answers.sort_by(f64::total_cmp);
        let quantile = |percent: usize| {
            let rank = (answers.len() * percent).div_ceil(100).saturating_sub(1);
            Duration::from_secs_f64(answers.get(rank).copied().unwrap_or_default() / 1_000.0)
        };
        let running = self.stack.programs.iter().map(Program::output);
        let outcomes = Outcomes {
            given_up: pushed.len() - accepted.len(),
            unanswered: tries.iter().filter(|attempt| attempt.outcome == Outcome::Timeout).count(),
            worst: quantile(100),
            p99: quantile(99),
            dead,
            ambiguous: self.logs.iter().cloned().chain(running).map(|log| log.matches(AMBIGUOUS).count()).sum(),
            audit,
        };
        println!(
            "{name}: {} pushes in {load:.1?}, {} given up by WeChat; answers p99 {:.0?}, worst {:.0?}, {} unanswered; \
             {}; {} ambiguous, {} dead letters; settled in {:.1?}",
            pushed.len(),
            outcomes.given_up,
            outcomes.p99,
            outcomes.worst,
            outcomes.unanswered,
            outcomes.audit,
            outcomes.ambiguous,
            outcomes.dead.len(),
            settling.elapsed(),
        );
        outcomes
    }

    async fn dead_letters(&self) -> Vec<DeadLetter> {
        match &self.stack.servers {
            Servers::Production { vhost, .. } => vhost.dead_letters("kefu.dead").await,
            Servers::Embedded => Vec::new(),
        }
    }
}

impl Outcomes {
    /// Nothing lost, nothing out of order, and nothing doubled but steps that were ambiguous.
    ///
    /// # Panics
    /// When that is not so.
    pub(crate) fn must_be_sound(&self) -> &Self {
        let Audit { accepted, missing, doubled, disordered, .. } = &self.audit;
        assert!(*accepted > 0, "nothing was accepted");
        assert!(missing.is_empty(), "lost: {}", self.audit);
        assert!(disordered.is_empty(), "out of order: {}", self.audit);
        assert!(doubled.len() <= self.ambiguous, "doubled, {} were ambiguous: {}", self.ambiguous, self.audit);
        self
    }

    /// Every request that reached ingress had an answer within WeChat's time.
    ///
    /// # Panics
    /// When that is not so.
    pub(crate) fn must_be_in_time(&self) -> &Self {
        assert_eq!(self.unanswered, 0, "no answer within WeChat's time");
        assert!(self.worst <= ANSWER_LIMIT, "an answer took {:?}", self.worst);
        self
    }

    /// No push was given up by WeChat.
    ///
    /// # Panics
    /// When one was.
    pub(crate) fn must_all_be_accepted(&self) -> &Self {
        assert_eq!(self.given_up, 0, "WeChat gave pushes up");
        self
    }
}

/// The message that a dead letter is of.
fn written_of(letter: &DeadLetter) -> Option<Written> {
    let push = &letter.envelope["push"];
    let text = push.to_string();
    let (_, rest) = text.split_once("message #")?;
    let number = rest.split('#').next()?.parse().ok()?;
    Some((push["from_user"].as_str()?.to_owned(), number))
}

/// One user.
struct Writer {
    simulator: Arc<Simulator>,
    appid: String,
    user: String,
    every: Duration,
    /// When the first message comes.
    late: Duration,
    pushed: Arc<Mutex<Vec<Pushed>>>,
    stop: CancellationToken,
}

impl Writer {
    /// Writes, and waits for WeChat's word each time, until told to stop.
    async fn write(self) {
        let mut turns = tokio::time::interval_at(tokio::time::Instant::now() + self.late, self.every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 1.. {
            assert!(number <= MESSAGES, "the trial takes too long: there is no rule for a user's next message");
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                _ = turns.tick() => {}
            }
            let message = Message::Text { content: audit::text(number) };
            let request = PushRequest::new(&self.appid, &self.user, message);
            let report = self.simulator.push(request).await.expect("the simulator takes the push");
            let pushed = Pushed { written: (self.user.clone(), number), report };
            self.pushed.lock().expect("nothing panics while it holds this").push(pushed);
        }
    }
}
