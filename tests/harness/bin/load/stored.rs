//! How many messages RabbitMQ's queues hold.

use anyhow::Context;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ErrorKind};
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

fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == 404)
}

impl Order {
    async fn count(&self) -> anyhow::Result<u64> {
        let broker = Connection::connect(&self.url, ConnectionProperties::default()).await.context("RabbitMQ")?;
        let mut channel = broker.create_channel().await.context("a channel")?;
        let mut messages = 0;
        for queue in &self.queues {
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            match channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await {
                Ok(declared) => messages += u64::from(declared.message_count()),
                // Versions of kefu differ in the number of partitions. RabbitMQ closes the channel over a missing queue.
                Err(error) if is_missing(&error) => channel = broker.create_channel().await.context("a channel")?,
                Err(error) => return Err(error).with_context(|| queue.clone()),
            }
        }
        broker.close(200, "counted".into()).await.context("RabbitMQ")?;
        Ok(messages)
    }
}
