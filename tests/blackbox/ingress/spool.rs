//! A spool that cannot be used, and a RabbitMQ that comes and goes.

use std::collections::BTreeSet;
use std::path::Path;

use kefu_harness::wechat::{Format, Message, Mode};

use super::trifles::envelopes_until;
use super::*;

/// In blocks of 512 bytes: enough for an empty spool and some messages.
const LARGEST_FILE: u32 = 6_144;

/// Fills it in some dozens.
const LARGE: usize = 60_000;

/// An ingress with a spool, and the folder of its configuration.
struct Spooling {
    ingress: Ingress,
    broker: RabbitMq,
    account: Account,
    /// The `MsgId` of all pushes, and of those that were answered `success`.
    pushed: BTreeSet<String>,
    accepted: BTreeSet<String>,
}

impl Spooling {
    /// `prepare` is given the folder that will have the spool.
    async fn start(launch: impl FnOnce(&Path) -> Launch, prepare: impl FnOnce(&Folder)) -> Self {
        let account = Account::random(Mode::Safe);
        let (redis, broker) = tokio::join!(RedisServer::start(), RabbitMq::start_own());
        let vhost = broker.fresh_vhost().await;
        let mut options = StackOptions::new(Backend::Production, vec![account.clone()], "http://127.0.0.1:9");
        options.settings.push(("queue", "partitions = 4".to_owned()));
        options.settings.push(("ingress", "spool = \"spool\"".to_owned()));
        let folder = Folder::new("spooling");
        prepare(&folder);
        let config = folder.write("kefu.toml", options.config(&vhost.url(), &redis.url()));
        let program = Program::start(launch(&config)).await;
        let pushes = Client::new(program.url(Role::Public));
        // With a spool, ingress is ready before RabbitMQ has all of its queues.
        program.says("/readyz", 200, &["\"ingress_queue\":\"up\""]).await;
        broker.write_queue_names_down().await;
        let ingress = Ingress { program, pushes, vhost, redis, folder, unreadable: Cell::default() };
        Self { ingress, broker, account, pushed: BTreeSet::new(), accepted: BTreeSet::new() }
    }

    async fn push(&mut self, text: &str) -> Answer {
        let message = Message::text(USER, text);
        let msg_id = message.field("MsgId").unwrap().to_owned();
        let answer_time = answer_time();
        let answer = self.ingress.pushes.push(&self.account, Format::Json, &message).await;
        assert_in_time(&answer, answer_time).await;
        self.pushed.insert(msg_id.clone());
        if answer.status == 200 {
            self.accepted.insert(msg_id);
        }
        answer
    }

    /// Waits until all that was answered `success` is on the queue, and takes it off. How often each is there is not
    /// promised: what RabbitMQ has stored and not confirmed within 2 seconds, as on a machine that is busy, is spooled as
    /// well, and the worker's ledger drops the copy.
    async fn stores_what_was_accepted(&self) {
        let mut missing = self.accepted.clone();
        envelopes_until(&self.ingress, STORED, |envelope| {
            let msg_id = envelope["push"]["msg_id"].as_str().unwrap();
            assert!(self.pushed.contains(msg_id), "a message that nobody pushed is stored");
            missing.remove(msg_id);
            missing.is_empty()
        })
        .await;
    }
}

/// A file that may not grow is as good as a full disk.
fn with_a_limit(config: &Path) -> Launch {
    let mut launch = Launch::ingress(config);
    let limit = format!("trap '' XFSZ; ulimit -f {LARGEST_FILE}; exec \"$@\"");
    let own = std::mem::take(&mut launch.args);
    launch.args = ["-c".into(), limit.into(), "sh".into(), launch.program.into()].into_iter().chain(own).collect();
    launch.program = "sh".into();
    launch
}

#[tokio::test]
async fn a_full_disk_is_said_and_refuses_only_what_rabbitmq_does_not_take() {
    let mut spooling = Spooling::start(with_a_limit, |_| {}).await;
    let text = "x".repeat(LARGE);
    assert_success(&spooling.push("before").await, "RabbitMQ is up");
    spooling.broker.kill();
    let mut spooled = 0;
    let refused = loop {
        let answer = spooling.push(&text).await;
        if answer.status != 200 {
            break answer;
        }
        spooled += 1;
        assert!(spooled < 200, "the disk is never full");
    };
    assert_refused(&refused, 503, "the disk is full");
    assert!(spooled > 1, "nothing was spooled");
    spooling
        .ingress
        .program
        .says("/readyz", 503, &["\"ingress_spool\":\"degraded: the spool cannot be used", "is full"])
        .await;
    spooling.broker.restart().await;
    spooling.ingress.program.says("/readyz", 200, &["\"ingress_queue\":\"up\"", "\"ingress_spool\":\"up\""]).await;
    assert_success(&spooling.push("after").await, "RabbitMQ is back");
    assert_eq!(spooling.accepted.len(), spooled + 2);
    spooling.stores_what_was_accepted().await;
}

#[tokio::test]
async fn a_broken_file_is_said_and_kept_and_refuses_only_what_rabbitmq_does_not_take() {
    const FILE: &str = "spool/0/kefu.redb";
    const BROKEN: &str = "what is left of a spool";
    let prepare = |folder: &Folder| drop(folder.write(FILE, BROKEN));
    let mut spooling = Spooling::start(Launch::ingress, prepare).await;
    spooling
        .ingress
        .program
        .says("/readyz", 200, &["\"ingress_queue\":\"up\"", "degraded: the spool cannot be used", FILE])
        .await;
    assert_success(&spooling.push("before").await, "RabbitMQ is up");
    spooling.broker.kill();
    assert_refused(&spooling.push("meanwhile").await, 503, "there is nowhere to put it");
    spooling.ingress.program.says("/readyz", 503, &["\"ingress_queue\":\"down", FILE]).await;
    assert_eq!(std::fs::read_to_string(spooling.ingress.folder.path().join(FILE)).unwrap(), BROKEN);
    spooling.broker.restart().await;
    spooling.ingress.program.says("/readyz", 200, &["\"ingress_queue\":\"up\""]).await;
    assert_success(&spooling.push("after").await, "RabbitMQ is back");
    assert_eq!(spooling.accepted.len(), 2);
    spooling.stores_what_was_accepted().await;
}

#[tokio::test]
async fn what_rabbitmq_does_not_confirm_in_time_is_accepted_and_comes_to_the_queue() {
    let mut spooling = Spooling::start(Launch::ingress, |_| {}).await;
    spooling.broker.stop_signal();
    let answer = spooling.push("late").await;
    spooling.broker.cont_signal();
    assert_success(&answer, "it is spooled");
    spooling.ingress.program.says("/readyz", 200, &["\"ingress_queue\":\"up\"", "\"ingress_spool\":\"up\""]).await;
    spooling.stores_what_was_accepted().await;
}
