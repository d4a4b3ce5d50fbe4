//! Why there is no connection, and who must act.

use lapin::ErrorKind;

/// Why there is no connection.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The fault may pass by the next attempt: try again soon.
    Passing(String),
    /// The fault stays until somebody changes the broker or the configuration: report it once, and try seldom.
    Standing(String),
}

impl Fault {
    /// The meaning of a library error outside of declarations.
    pub(super) fn of(error: &lapin::Error) -> Self {
        match protocol_code(error) {
            Some((403, reason)) => Self::Standing(format!(
                "the broker refuses access ({reason}); check the user and password in the AMQP URL, and the user's \
                 permissions on the vhost"
            )),
            // A vhost that is starting is "down" for a moment.
            Some((530, reason)) if !reason.contains("is down") => Self::Standing(format!(
                "the broker refuses the connection ({reason}); check the vhost in the AMQP URL (the default one is \
                 written /%2f) and the user's permissions and limits"
            )),
            _ => match error.kind() {
                ErrorKind::IOError(io) if io.to_string().contains("peer certificate") => Self::Standing(format!(
                    "the broker's TLS certificate is refused ({io}); connect by the name that the certificate is for, and \
                     have its authority among the system's certificates"
                )),
                _ => Self::Passing(error.to_string()),
            },
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Passing(text) | Self::Standing(text) => text,
        }
    }
}

/// The code and the words of an error that the broker itself reported.
pub(super) fn protocol_code(error: &lapin::Error) -> Option<(u16, &str)> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some((error.get_id(), error.get_message().as_str())),
        _ => None,
    }
}
