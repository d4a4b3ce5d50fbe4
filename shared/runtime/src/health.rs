//! Whether a part of the process can do its work right now, for `/readyz`.

/// Whether it can be used right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It can.
    Up,
    /// It can, but not as it should; what is wrong, in words for the operator.
    Degraded(String),
    /// It cannot; why, in words for the operator.
    Down(String),
}
