//! Values of which there are only some.

use serde::{Deserialize, Deserializer, de};

/// One of `choices`, by its name. The error names them all, and not what was given: it may have been a secret in the
/// wrong place.
pub(super) fn choice<'de, D: Deserializer<'de>, T: Copy>(
    deserializer: D,
    choices: &[(&str, T)],
) -> Result<T, D::Error> {
    let given = String::deserialize(deserializer)?;
    choices.iter().find(|(name, _)| *name == given).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        de::Error::custom(format!("must be one of {}", names.join(", ")))
    })
}
