//! The phases of the spool.

use super::state::Figures;

/// What the spool does, for the log and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Every push goes to the broker.
    Direct,
    /// The broker accepts nothing.
    Spooling,
    /// The broker is back, and receives the waiting messages.
    Relaying,
    /// A push that the broker does not accept is lost.
    Unusable,
}

impl Phase {
    pub(super) const ALL: [Self; 4] = [Self::Direct, Self::Spooling, Self::Relaying, Self::Unusable];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Spooling => "spooling",
            Self::Relaying => "relaying",
            Self::Unusable => "unusable",
        }
    }

    pub(super) fn of(figures: &Figures) -> Self {
        match figures {
            Figures { trouble: Some(_), .. } | Figures { is_open: false, .. } => Self::Unusable,
            Figures { away: true, .. } => Self::Spooling,
            Figures { waiting: 1.., .. } => Self::Relaying,
            _ => Self::Direct,
        }
    }
}
