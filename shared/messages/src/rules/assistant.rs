//! The `assistant` of a rule.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::problems::Problems;
use crate::reply::{MAX_TEXT_BYTES, control};

/// The assistant's prompt, and the user's text if there is no answer: the rule's, else those of `[assistant]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Briefing {
    /// The model's prompt before the conversation.
    pub system_prompt: Option<String>,
    /// The text that is sent when no answer can be had. `None`: the message is tried again later, and in the end is a dead
    /// letter.
    pub fallback: Option<String>,
}

/// `assistant` as it is written: `true`, or a table of differences from `[assistant]`.
#[derive(Debug)]
pub enum AssistantSection {
    /// `true` or `false`
    Plain(bool),
    /// The table.
    Other(Differences),
}

/// The values of a rule's `assistant` in place of those of `[assistant]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Differences {
    system_prompt: Option<String>,
    fallback: Option<String>,
}

impl AssistantSection {
    /// The briefing together with `[assistant]`; `None` for `false`, which means no assistant.
    pub(super) fn resolve(
        &self,
        place: &str,
        assistant: Option<&Briefing>,
        problems: &mut Problems,
    ) -> Option<Briefing> {
        let (system_prompt, fallback) = match self {
            Self::Plain(false) => return None,
            Self::Plain(true) => (None, None),
            Self::Other(Differences { system_prompt, fallback }) => {
                let place = format!("{place} assistant.fallback");
                let fallback = fallback.as_deref().map(|text| cleaned_fallback(text, &place, problems));
                (system_prompt.clone(), fallback)
            }
        };
        if assistant.is_none() {
            problems.add(
                place,
                "the rule asks the assistant, but there is no section [assistant]: add it with base_url and model",
            );
        }
        if let Some(problem) = fallback.as_deref().and_then(fallback_problem) {
            problems.add(format!("{place} assistant.fallback"), problem);
        }
        let or_else = |own: Option<String>, common: fn(&Briefing) -> &Option<String>| match own {
            Some(own) => given(own),
            None => assistant.and_then(|assistant| common(assistant).clone()),
        };
        Some(Briefing {
            system_prompt: or_else(system_prompt, |assistant| &assistant.system_prompt),
            fallback: or_else(fallback, |assistant| &assistant.fallback),
        })
    }
}

/// An empty text means none: so the environment, or a rule, can remove a value of the file.
pub fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.trim().is_empty())
}

/// The fallback as it is sent, with a notice of the characters that were removed.
pub fn cleaned_fallback(text: &str, place: &str, problems: &mut Problems) -> String {
    let nothing = || control::blank("the text", text).filter(|_| text.contains(control::is_refused));
    if let Some(notice) = control::notice("the text", text).or_else(nothing) {
        problems.notice(place, notice);
    }
    control::cleaned(text).into_owned()
}

/// Why WeChat would not take the fallback as one text.
pub fn fallback_problem(text: &str) -> Option<String> {
    (text.len() > MAX_TEXT_BYTES).then(|| format!("has {} bytes, the most is {MAX_TEXT_BYTES}", text.len()))
}

impl<'de> Deserialize<'de> for AssistantSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TrueOrTable)
    }
}

/// Not serde's `untagged`, which would lose sight of unknown keys.
struct TrueOrTable;

impl<'de> Visitor<'de> for TrueOrTable {
    type Value = AssistantSection;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or a table: { system_prompt = …, fallback = … }")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(AssistantSection::Plain(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Differences::deserialize(MapAccessDeserializer::new(map)).map(AssistantSection::Other)
    }
}
