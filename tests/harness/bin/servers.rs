//! `kefu-test-servers`: one RabbitMQ or Redis that lives as long as its standard input is open.
//!
//! It prints one line when the server answers: for RabbitMQ the value of `KEFU_TEST_BROKER`, for Redis its URL.

use std::io::{Read, Write};

use anyhow::{Context, bail};
use kefu_harness::rabbitmq::RabbitMq;
use kefu_harness::redis::RedisServer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("rabbitmq") => {
            let server = RabbitMq::start_own().await;
            serve_until_the_end_of_input(&serde_json::to_string(server.broker())?)
        }
        Some("redis") => {
            let server = RedisServer::start().await;
            serve_until_the_end_of_input(&server.url())
        }
        _ => bail!("say which server: rabbitmq or redis"),
    }
}

fn serve_until_the_end_of_input(address: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout();
    writeln!(output, "{address}").and_then(|()| output.flush()).context("nobody reads the address")?;
    std::io::stdin().read_to_end(&mut Vec::new()).context("standard input")?;
    Ok(())
}
