//! Values that are given in place or by a file.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::Problems;

/// The value of `name`, or the content of the file `name_file` without its final line break. Both, neither where one is
/// required, an unreadable file or an empty value are problems at `place`.
pub(super) fn resolve(
    place: &str,
    name: &str,
    value: Option<&SecretString>,
    file: Option<&PathBuf>,
    folder: &Path,
    problems: &mut Problems,
) -> Option<SecretString> {
    let secret = match (value, file) {
        (Some(_), Some(_)) => {
            problems.add(place, format!("{name} and {name}_file are both given: keep one"));
            return None;
        }
        (Some(value), None) => value.clone(),
        (None, Some(file)) => {
            let path = folder.join(file);
            match std::fs::read_to_string(&path) {
                Ok(text) => SecretString::from(text.trim_end_matches(['\r', '\n'])),
                Err(error) => {
                    problems.add(place, format!("{name}_file {} cannot be read: {error}", path.display()));
                    return None;
                }
            }
        }
        (None, None) => return None,
    };
    if secret.expose_secret().is_empty() {
        problems.add(place, format!("{name} is empty"));
        return None;
    }
    Some(secret)
}
