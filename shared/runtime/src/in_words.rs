//! Errors in words.

use std::error::Error;

/// An error and its causes, each said once: some texts have that of their cause in them, others do not.
pub fn in_words(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut error = error;
    while let Some(cause) = error.source() {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        error = cause;
    }
    text
}
