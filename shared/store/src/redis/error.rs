//! The errors of redis-rs, in the words of the seam.
//!
//! The server's own texts are left out: they may repeat arguments, which contain openids and tokens.

use kefu_runtime::Cause;
use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::StoreError;

/// The state of the server, as a call's result shows it. Of several calls at once, the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    /// The server gave no answer, or no answer to a command: the connection itself is in doubt.
    Silent,
    /// The server answers; an error is about the command.
    Sound,
    /// The server accepts no writes: after a failover the address may lead to another server.
    Replica,
}

/// The state of the server, as `error` shows it.
pub(super) fn peer(error: &RedisError) -> Peer {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => Peer::Replica,
        // A refused `SELECT` in the connection's setup gives this error too.
        ErrorKind::Server(ServerErrorKind::ResponseError) if !from_script(error) => Peer::Silent,
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType | ErrorKind::Parse => Peer::Sound,
        _ => Peer::Silent,
    }
}

/// The seam's error for `error`, without keys, values and passwords.
pub(super) fn of(error: &RedisError) -> StoreError {
    let unavailable = |text: String| StoreError::Unavailable(Cause::new(text, error));
    match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            StoreError::Corrupt("an entry has a form that kefu does not write".into())
        }
        ErrorKind::AuthenticationFailed => {
            StoreError::Unavailable("Redis refuses the login: check user and password in the URL".into())
        }
        // Texts of the operating system, the resolver or rustls.
        ErrorKind::Io => unavailable(format!("no connection to Redis: {error}")),
        kind => match error.code() {
            Some("ERR") if from_script(error) => StoreError::Corrupt("an entry lacks a field that kefu writes".into()),
            Some("WRONGTYPE") => {
                StoreError::Corrupt("a key of kefu has a type that kefu does not give to the key".into())
            }
            Some(code) => unavailable(answer(code)),
            None => unavailable(format!("no connection to Redis: {kind:?}")),
        },
    }
}

/// A script that ends in an error has met data that no script wrote.
fn from_script(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("user_script"))
}

fn answer(code: &str) -> String {
    let meaning = match code {
        "LOADING" => "it is loading its data",
        "OOM" => "it is full: raise maxmemory",
        "READONLY" => "it is a read-only replica",
        "MASTERDOWN" => "it is a replica without its master",
        "MISCONF" => "it cannot save to its disk",
        "NOREPLICAS" => "it has too few replicas",
        "NOAUTH" => "it asks for a password, and the URL in [store] has none",
        "NOPERM" => "its ACL forbids this user a command or a key that kefu needs",
        "BUSY" => "a script keeps it busy",
        "MOVED" | "ASK" | "CLUSTERDOWN" | "CROSSSLOT" => "it is a sharded cluster, which kefu does not follow",
        _ => return format!("Redis answered {code}"),
    };
    format!("Redis answered {code}: {meaning}")
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::io;

    use super::*;

    fn answered(line: &str) -> RedisError {
        let reply = format!("-{line}\r\n");
        redis::parse_redis_value(reply.as_bytes()).unwrap().extract_error().unwrap_err()
    }

    #[test]
    fn a_server_that_cannot_work_now_is_unavailable() {
        for line in [
            "LOADING Redis is loading the dataset in memory",
            "OOM command not allowed when used memory > 'maxmemory'. script: 1b, on @user_script:1.",
            "READONLY You can't write against a read only replica.",
            "MISCONF Redis is configured to save RDB snapshots",
            "NOAUTH Authentication required.",
            "BUSY Redis is busy running a script.",
            "ERR max number of clients reached",
        ] {
            let error = answered(line);
            assert!(matches!(of(&error), StoreError::Unavailable(_)), "{line}: {}", of(&error));
        }
    }

    #[test]
    fn data_of_another_form_is_corrupt() {
        for line in [
            "WRONGTYPE Operation against a key holding the wrong kind of value script: 1b, on @user_script:3.",
            "ERR user_script:5: attempt to perform arithmetic on a nil value script: 1b, on @user_script:5.",
        ] {
            assert!(matches!(of(&answered(line)), StoreError::Corrupt(_)), "{line}");
        }
    }

    #[test]
    fn no_argument_of_the_command_is_repeated() {
        let error = of(&answered("ERR unknown command 'EVALSHA', with args beginning with: 'kefu:job:{oSECRET}'"));
        assert_eq!(error.to_string(), "the store cannot be used now: Redis answered ERR");
        let mut next: Option<&dyn Error> = Some(&error);
        while let Some(error) = next {
            assert!(!format!("{error} {error:?}").contains("oSECRET"), "{error:?}");
            next = error.source();
        }
    }

    #[tokio::test]
    async fn the_sources_of_a_refused_connection_reach_the_systems_error() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = redis::Client::open(format!("redis://{}", listener.local_addr().unwrap())).unwrap();
        drop(listener);
        let error = of(&client.get_multiplexed_async_connection().await.err().unwrap());
        let system: &io::Error = error.source().and_then(Error::source).unwrap().downcast_ref().unwrap();
        assert_eq!(system.kind(), io::ErrorKind::ConnectionRefused);
    }
}
