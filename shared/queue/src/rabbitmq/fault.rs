//! Why there is no connection, and who must act.

use kefu_runtime::Cause;
use lapin::ErrorKind;

use crate::QueueError;

/// Why there is no connection.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The fault may pass by the next attempt: try again soon.
    Passing(Cause),
    /// The fault stays until somebody changes the broker or the configuration: report it once, and try seldom.
    Lasting(Cause),
}

impl Fault {
    /// The meaning of a library error outside of declarations.
    pub(super) fn of(error: &lapin::Error) -> Self {
        let lasting = |text: String| Self::Lasting(Cause::new(text, error));
        match protocol_code(error) {
            Some((403, reason)) => lasting(format!(
                "the broker refuses access ({reason}); check the user and password in the AMQP URL, and the user's \
                 permissions on the vhost"
            )),
            // A vhost that is starting is "down" for a moment.
            Some((530, reason)) if !reason.contains("is down") => lasting(format!(
                "the broker refuses the connection ({reason}); check the vhost in the AMQP URL (the default one is \
                 written /%2f) and the user's permissions and limits"
            )),
            _ => match error.kind() {
                ErrorKind::IOError(io) if io.to_string().contains("peer certificate") => lasting(format!(
                    "the broker's TLS certificate is refused ({io}); connect by the name that the certificate is for, and \
                     have its authority among the system's certificates"
                )),
                _ => Self::Passing(cause(error)),
            },
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Passing(cause) | Self::Lasting(cause) => cause.text(),
        }
    }
}

impl From<Fault> for QueueError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Passing(cause) | Fault::Lasting(cause) => Self::Unavailable(cause),
        }
    }
}

/// The codes of the errors in which the broker names exchanges, queues, users and vhosts. In other errors the broker may
/// quote the octets of a frame.
const NAMING: [u16; 6] = [320, 403, 404, 405, 406, 530];

/// The library's error, without the words that may repeat a part of a message.
fn cause(error: &lapin::Error) -> Cause {
    let text = match error.kind() {
        ErrorKind::ProtocolError(broker) if !NAMING.contains(&broker.get_id()) => {
            format!("protocol error: {}", broker.kind())
        }
        ErrorKind::ParsingError(_) => "the broker sent a frame that is no AMQP".to_owned(),
        ErrorKind::SerialisationError(_) => "a frame cannot be written as AMQP".to_owned(),
        ErrorKind::AuthProviderError(_) => "the login cannot be prepared".to_owned(),
        _ => error.to_string(),
    };
    Cause::new(text, error)
}

/// Whether the broker says that a queue or an exchange does not exist. The broker answers 404 also while it only cannot reach
/// a queue.
pub(super) fn is_missing(error: &lapin::Error) -> bool {
    let says_so = |reason: &str| reason.contains("no queue '") || reason.contains("no exchange '");
    protocol_code(error).is_some_and(|(code, reason)| code == 404 && says_so(reason))
}

/// The code and the words of an error that the broker itself reported.
pub(super) fn protocol_code(error: &lapin::Error) -> Option<(u16, &str)> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some((error.get_id(), error.get_message().as_str())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::io;

    use lapin::protocol::{AMQPError, AMQPHardError, AMQPSoftError};
    use lapin::{Connection, ConnectionProperties};

    use super::*;

    fn reported(error: AMQPError) -> QueueError {
        Fault::of(&ErrorKind::ProtocolError(error).into()).into()
    }

    #[test]
    fn no_octet_of_a_message_is_repeated() {
        let quoting = "FRAME_ERROR - type 2, first 16 octets = <<\"oSECRET\">>";
        let error = reported(AMQPError::new(AMQPHardError::FRAMEERROR.into(), quoting.into()));
        let mut next: Option<&dyn Error> = Some(&error);
        while let Some(error) = next {
            assert!(!format!("{error} {error:?}").contains("oSECRET"), "{error:?}");
            next = error.source();
        }
        assert!(error.to_string().ends_with("protocol error: AMQP hard error: FRAME-ERROR"), "{error}");
        let naming = "NOT_FOUND - no exchange 'kefu.in' in vhost '/'";
        let error = reported(AMQPError::new(AMQPSoftError::NOTFOUND.into(), naming.into()));
        assert!(error.to_string().contains(naming), "{error}");
    }

    #[test]
    fn a_queue_that_cannot_be_reached_is_not_missing() {
        let answered = |reason: &str| {
            is_missing(&ErrorKind::ProtocolError(AMQPError::new(AMQPSoftError::NOTFOUND.into(), reason.into())).into())
        };
        assert!(answered("NOT_FOUND - no queue 'kefu.in.p08' in vhost '/'"));
        assert!(!answered(
            "NOT_FOUND - home node 'rabbit@mq2' of durable queue 'kefu.in.p08' in vhost '/' is down or inaccessible"
        ));
    }

    #[tokio::test]
    async fn the_sources_of_a_refused_connection_reach_the_systems_error() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("amqp://kefu:hunter2@{}", listener.local_addr().unwrap());
        drop(listener);
        let refused = Connection::connect(&url, ConnectionProperties::default()).await.unwrap_err();
        let error = QueueError::from(Fault::of(&refused));
        let system: &io::Error = error.source().and_then(Error::source).unwrap().downcast_ref().unwrap();
        assert_eq!(system.kind(), io::ErrorKind::ConnectionRefused);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
