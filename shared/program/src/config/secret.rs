//! Values that the configuration gives directly or in a file. Everybody knows the values that kefu.example.toml shows, so
//! kefu accepts none of them.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{Problems, file};

/// The largest file with one secret: far larger than any real one.
pub(super) const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The beginning of the texts in the places of secrets.
const PLACEHOLDER: &str = "put the ";

/// The secrets of the example that look like real ones.
pub(super) const SHOWN_SECRETS: [&str; 4] = [
    "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
    "the Token before",
    "GFEDCBA9876543210zyxwvutsrqponmlkjihgfedcba",
    "sk-YOUR-KEY",
];

/// The appid of the example.
pub(super) const SHOWN_APPID: &str = "wx0123456789abcdef";

/// The problem of a value that the example shows.
pub(super) const IS_SHOWN: &str = "is still the text of kefu.example.toml: put your own there";

/// The value of `name`, or the content of the file `name_file` without its final line break. Three mistakes are problems at
/// `place`: both keys, an unreadable file, and a value that can be no secret. The caller must report a value that is not
/// given at all.
pub(super) fn resolve(
    place: &str,
    name: &str,
    value: Option<&SecretString>,
    file: Option<&PathBuf>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<SecretString> {
    let (place, shown, secret) = match (value, file) {
        (Some(_), Some(_)) => {
            problems.add(place, format!("{name} and {name}_file are both given: keep one"));
            return None;
        }
        (Some(value), None) => (format!("{place} {name}"), String::new(), value.clone()),
        (None, Some(file)) => {
            let (place, path) = (format!("{place} {name}_file"), folder.join(file));
            let shown = format!("{} ", path.display());
            let text = file::read(&path, MAX_FILE_BYTES).map_err(|error| format!("{shown}{error}"));
            let text = problems.take(&place, text)?;
            (place, shown, SecretString::from(text.trim_end_matches(['\r', '\n'])))
        }
        (None, None) => return None,
    };
    let verified = verify(secret.expose_secret()).map_err(|error| format!("{shown}{error}"));
    problems.take(place, verified).map(|()| secret)
}

/// No secret of WeChat's and no URL has white space around it or control characters in it: such a value was cut out or
/// pasted wrongly.
fn verify(secret: &str) -> Result<(), &'static str> {
    if secret.is_empty() {
        return Err("is empty");
    }
    if secret.contains(['\n', '\r']) {
        return Err("has more than one line");
    }
    if secret.contains(char::is_control) {
        return Err("has a control character in it, such as NUL or a tab");
    }
    if is_shown(secret) {
        return Err(IS_SHOWN);
    }
    if secret.trim() != secret {
        return Err("begins or ends with a blank");
    }
    Ok(())
}

/// Whether the example shows this secret, Token or key.
fn is_shown(secret: &str) -> bool {
    secret.starts_with(PLACEHOLDER) || SHOWN_SECRETS.contains(&secret)
}
