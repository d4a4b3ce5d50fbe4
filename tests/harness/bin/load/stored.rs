//! How many messages RabbitMQ's queues hold.

use anyhow::Context;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    /// RabbitMQ's URL, with the virtual host.
    url: String,
    queues: Vec<String>,
}

pub(crate) fn run(order: &Order) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("a runtime")?;
    println!("{}", runtime.block_on(order.count())?);
    Ok(())
}

impl Order {
    async fn count(&self) -> anyhow::Result<u64> {
        let broker = Connection::connect(&self.url, ConnectionProperties::default()).await.context("RabbitMQ")?;
        let channel = broker.create_channel().await.context("a channel")?;
        let mut messages = 0;
        for queue in &self.queues {
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let declared = channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await;
            messages += u64::from(declared.with_context(|| queue.clone())?.message_count());
        }
        broker.close(200, "counted".into()).await.context("RabbitMQ")?;
        Ok(messages)
    }
}
