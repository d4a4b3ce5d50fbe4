//! Black-box tests: real processes of the real programs, a real Redis, a real RabbitMQ.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

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
