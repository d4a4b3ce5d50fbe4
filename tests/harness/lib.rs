//! What the black-box tests stand on: real servers, real processes, and a WeChat of their own.
//!
//! * [`redis`] and [`rabbitmq`]: servers on private ports with private data, which tests may kill, stop and restart.
//! * [`process`]: the programs of kefu, as users start them.
//! * [`wechat`]: pushes, signed and encrypted by code that shares nothing with the code under test, so that a mistake
//!   made on both sides cannot cancel itself out.
//! * [`stack`]: all of kefu together; [`shop`]: that, and the simulated WeChat that it serves.
//! * [`crowd`]: users who write as fast as they can; [`proxy`]: what holds up and cuts connections to a server.
//! * [`schemathesis`]: what compares `/v1` with its OpenAPI document.
//! * [`webhook`]: a team's own service; [`assistant`]: a server with OpenAI's API; [`stand_in`]: what both are made of.
//! * [`secrets`]: what must not be in a log, and all the forms in which it could be.
//! * [`mod@eventually`]: the one way to wait for something.
//!
//! Whatever a test starts ends with it: on drop, and also when the test process or its runner is killed ([`owned`]).
//!
//! `tests/run` tells test processes where the servers are; one that is started by itself finds them by the same rules:
//!
//! | variable | says | without it |
//! |---|---|---|
//! | `KEFU_TEST_REDIS_SERVER` | the program redis-server | the one on the `PATH` |
//! | `KEFU_TEST_RABBITMQ_ROOT` | the folder RabbitMQ is installed in, `/` for this system | `servers/trixie` in cargo's target folder, else `/` |
//! | `KEFU_TEST_RABBITMQ_BIN` | the folder of RabbitMQ's programs, as seen from there | `/usr/lib/rabbitmq/bin` |
//! | `KEFU_TEST_BROKER` | the run's one RabbitMQ, as [`rabbitmq::Broker`] in JSON | a test process starts its own |
//! | `KEFU_TEST_SCHEMATHESIS` | the program schemathesis | `servers/schemathesis/bin/schemathesis` in cargo's target folder |
//! | `KEFU_TEST_RUN` | a mark on every process of the run | no mark |

// A fixture that cannot do its work fails the test that wants it, with its reason: it has nobody to hand an error to.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr)]

pub mod assistant;
pub mod crowd;
pub mod eventually;
pub mod folder;
pub mod owned;
pub mod port;
pub mod process;
pub mod proxy;
pub mod rabbitmq;
pub mod redis;
pub mod schemathesis;
pub mod secrets;
pub mod shop;
pub mod stack;
pub mod stand_in;
pub mod target;
pub mod webhook;
pub mod wechat;

pub use eventually::eventually;
