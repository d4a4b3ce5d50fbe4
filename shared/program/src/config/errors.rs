//! The mistakes in a configuration.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use kefu_messages::problems::Problems;

/// All mistakes in a configuration. They contain no secret.
#[derive(Debug)]
pub struct ConfigErrors {
    pub(super) file: PathBuf,
    pub(super) problems: Vec<String>,
    notices: Vec<String>,
}

impl ConfigErrors {
    pub(super) fn of(file: &Path, problems: Problems) -> Self {
        let (problems, notices) = problems.into_lines();
        Self { file: file.to_owned(), problems, notices }
    }

    /// One line for each problem.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Values that kefu would change before use, beside the problems.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.problems.len() == 1 { "" } else { "s" };
        write!(f, "{} has {} problem{plural}:", self.file.display(), self.problems.len())?;
        for (number, problem) in self.problems.iter().enumerate() {
            write!(f, "\n  {}. {}", number + 1, visible(problem))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// The text with `\u{1}` and the like for control characters, which a terminal does not show: names of files may contain
/// them. Lines stay lines.
fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if is_hidden(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}
