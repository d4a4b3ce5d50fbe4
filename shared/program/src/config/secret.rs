//! Values that the configuration gives directly or in a file. Everybody knows the values that kefu.example.toml shows, so
//! kefu accepts none of them.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::source::read_file;
use super::table::Table;

/// The largest file with one secret: far larger than any real one.
const MAX_FILE_BYTES: u64 = 64 * 1024;

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

impl Table<'_> {
    /// The value of `name`, or the content of the file `name_file` without its final line break.
    pub(super) fn secret(&mut self, name: &str) -> Option<SecretString> {
        self.secret_as(name, |secret| Ok::<_, &str>(secret.clone()))
    }

    /// As [`Table::secret`], for a secret of a certain form.
    pub(super) fn secret_as<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&SecretString) -> Result<T, E>,
    ) -> Option<T> {
        let in_file = format!("{name}_file");
        let (key, shown, secret) = match (self.get::<SecretString>(name), self.get::<PathBuf>(&in_file)) {
            (Some(_), Some(_)) => {
                self.problem(format!("{name} and {in_file} are both given: keep one"));
                self.leave_out(name);
                return None;
            }
            (Some(value), None) => (name, String::new(), value),
            (None, Some(file)) => {
                let path = self.folder.join(file);
                let shown = format!("{} ", path.display());
                let text = match read_file(&path, MAX_FILE_BYTES) {
                    Ok(text) => text,
                    Err(problem) => {
                        self.wrong(&in_file, format!("{shown}{problem}"));
                        return None;
                    }
                };
                self.saw(&in_file, &text);
                (in_file.as_str(), shown, SecretString::from(text.trim_end_matches(['\r', '\n'])))
            }
            (None, None) => return None,
        };
        if let Some(problem) = problem(secret.expose_secret()) {
            self.wrong(key, format!("{shown}{problem}"));
            return None;
        }
        parse(&secret).map_err(|problem| self.wrong(key, problem)).ok()
    }
}

/// Why a text can be no secret. No secret of WeChat's and no URL has white space around it or control characters in it:
/// such a value was cut out or pasted wrongly.
fn problem(secret: &str) -> Option<&'static str> {
    if secret.is_empty() {
        Some("is empty")
    } else if secret.contains(['\n', '\r']) {
        Some("has more than one line")
    } else if secret.contains(char::is_control) {
        Some("has a control character in it, such as NUL or a tab")
    } else if secret.starts_with(PLACEHOLDER) || SHOWN_SECRETS.contains(&secret) {
        Some(IS_SHOWN)
    } else {
        (secret.trim() != secret).then_some("begins or ends with a blank")
    }
}
