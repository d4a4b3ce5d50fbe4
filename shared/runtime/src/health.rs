//! Whether a part of the process can do its work at present, for `/readyz`.

/// Whether the part can be used at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// The part works.
    Up,
    /// The part works, but not fully; the text says why, for the operator.
    Degraded(String),
    /// The part does not work; the text says why, for the operator.
    Down(String),
}
