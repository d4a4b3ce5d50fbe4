//! The rests of cut texts, and the steps with them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CUT, fit};
use crate::reply::{Content, Reply};

/// The missing rest of a cut text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// The step with the cut end of the text.
    pub step: u32,
    /// The text that follows the text of that step, without the step's `…`.
    pub text: String,
}

/// Shows the length only: texts to users must not reach a log.
impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rest({} bytes behind step {})", self.text.len(), self.step)
    }
}

/// Restores cut texts. The first `sent` steps stay; the missing rest of each follows as a step of its own.
pub fn restored(steps: Vec<Reply>, rests: &[Rest], sent: usize) -> Vec<Reply> {
    let rest_of = |step: usize| rests.iter().find(|rest| rest.step as usize == step).map(|rest| rest.text.as_str());
    let with_text = |reply: &Reply, text: String| Reply { content: Content::Text(text), ..reply.clone() };
    let lacking = steps.iter().enumerate().take(sent).filter_map(|(step, reply)| {
        let text = rest_of(step)?.trim_start().to_owned();
        Some(with_text(reply, text))
    });
    let lacking: Vec<Reply> = lacking.collect();
    let unsent = steps.iter().enumerate().skip(sent).map(|(step, reply)| match (rest_of(step), &reply.content) {
        (Some(rest), Content::Text(text)) => with_text(reply, text.strip_suffix(CUT).unwrap_or(text).to_owned() + rest),
        _ => reply.clone(),
    });
    let whole = fit(lacking.into_iter().chain(unsent).collect(), usize::MAX, usize::MAX);
    steps.into_iter().take(sent).chain(whole.steps).collect()
}
