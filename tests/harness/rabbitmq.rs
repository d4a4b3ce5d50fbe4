//! RabbitMQ: one server for a run of tests, with a virtual host for each; or one of a test's own, to be broken.

use rustix::process::Signal;
use tokio::sync::OnceCell;

mod broker;
mod installation;
mod management;
mod server;
mod vhost;

pub use broker::Broker;
pub use vhost::{DeadLetter, Depth, Taken, Vhost};

use server::Server;

/// A rabbitmq-server that belongs to one test, which may do to it what it likes.
#[derive(Debug)]
pub struct RabbitMq {
    server: Server,
}

impl RabbitMq {
    /// An empty virtual host on the server that the whole run shares.
    ///
    /// A test process that was started without one (`KEFU_TEST_BROKER`) starts its own, about 5 s, and keeps it.
    pub async fn vhost() -> Vhost {
        static OWN: OnceCell<Server> = OnceCell::const_new();
        let broker = match std::env::var("KEFU_TEST_BROKER") {
            Ok(json) => serde_json::from_str(&json).unwrap_or_else(|error| panic!("KEFU_TEST_BROKER: {error}")),
            Err(_) => OWN.get_or_init(Server::start).await.broker().clone(),
        };
        Vhost::create(broker, true).await
    }

    /// Starts a server, about 5 s.
    pub async fn start_own() -> Self {
        Self { server: Server::start().await }
    }

    /// An empty virtual host on this server. It does not keep the server alive.
    pub async fn fresh_vhost(&self) -> Vhost {
        Vhost::create(self.broker().clone(), false).await
    }

    /// Where it is and how it is called, for other processes too.
    pub fn broker(&self) -> &Broker {
        self.server.broker()
    }

    /// Makes the server write down which quorum queues it has.
    ///
    /// It does that by itself twice a second only. A queue that was declared later than that is empty after a crash,
    /// with the loss of messages that were confirmed, or never has a leader again: a test that declares and crashes at once
    /// calls this in between, once all queues are there. An ingress with a spool is ready before they are.
    pub async fn write_queue_names_down(&self) {
        let order = "dets:sync(maps:get(directory_rev, maps:get(names, ra_system:fetch(quorum_queues)))).";
        self.broker().rabbitmqctl(&["eval", order]).await;
    }

    /// SIGKILL: a crash. Data and ports stay for [`RabbitMq::restart`].
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it again on its ports and data, after killing it if it still runs. Its queues are recovered when this
    /// returns.
    pub async fn restart(&mut self) {
        self.server.restart().await;
    }

    /// SIGSTOP: connections stay open and nobody answers.
    pub fn stop_signal(&self) {
        self.server.signal(Signal::STOP);
    }

    /// SIGCONT: ends [`RabbitMq::stop_signal`].
    pub fn cont_signal(&self) {
        self.server.signal(Signal::CONT);
    }

    /// Raises the memory alarm: the broker stops reading from connections that publish.
    pub async fn raise_memory_alarm(&self) {
        self.broker().rabbitmqctl(&["set_vm_memory_high_watermark", "0"]).await;
    }

    /// Ends [`RabbitMq::raise_memory_alarm`].
    pub async fn clear_memory_alarm(&self) {
        self.broker().rabbitmqctl(&["set_vm_memory_high_watermark", "0.6"]).await;
    }

    /// The end of what it printed and logged.
    pub fn log(&self) -> String {
        self.broker().log()
    }
}
