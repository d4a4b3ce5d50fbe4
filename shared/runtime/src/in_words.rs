//! Errors in words.

use std::error::Error;

/// An error and its causes, each said once: the texts of some errors contain the text of their cause, others do not.
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
