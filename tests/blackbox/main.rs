//! Black-box tests: real processes of the real programs, a real Redis, a real RabbitMQ.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

/// Makes a test of a case on each backend: `case::on_servers` and `case::embedded`.
macro_rules! on_each_backend {
    ($case:ident $(, $($option:tt)+)?) => {
        mod $case {
            use kefu_harness::stack::Backend;

            #[tokio::test($($($option)+)?)]
            async fn on_servers() {
                super::$case(Backend::Production).await;
            }

            #[tokio::test($($($option)+)?)]
            async fn embedded() {
                super::$case(Backend::Embedded).await;
            }
        }
    };
}

mod assistant;
mod command;
mod configuration;
mod dead;
mod doctor;
mod ingress;
mod leftovers;
mod operation;
mod program;
mod rabbitmq;
mod redis;
mod reload;
mod replies;
mod secrecy;
mod sending;
mod stack_config;
mod trouble;
mod vectors;
mod waiting;
mod webhooks;
mod wechat_client;
