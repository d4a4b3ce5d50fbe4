//! The one way in which tests read metrics.

use super::{Program, SAYS};
use crate::eventually;

impl Program {
    /// The value of a metric, named as `/metrics` shows it, labels included; 0 while it is not shown, as nothing that
    /// never happened is.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn metric(&self, name: &str) -> f64 {
        value(&self.ask("/metrics").await.1, name).unwrap_or_default()
    }

    /// Waits until a metric, named as for [`Program::metric`], is shown with this value.
    ///
    /// # Panics
    /// When it is not within a minute.
    pub async fn counts(&self, name: &str, expected: impl Into<f64>) {
        let expected = expected.into();
        eventually(SAYS, &format!("{name} is {expected}"), async || {
            let (_, metrics) = self.ask("/metrics").await;
            if value(&metrics, name) == Some(expected) { Ok(()) } else { Err(metrics) }
        })
        .await;
    }
}

fn value(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}
