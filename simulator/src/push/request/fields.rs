//! The fields of a push in their order, written as XML or JSON.

use kefu_wechat::push::Format;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Number, Value};

use super::Cdata;

/// Fields, in the order of writing.
#[derive(Default)]
pub(super) struct PushFields(Vec<(String, Value)>);

impl PushFields {
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), Value::String(value.to_owned())));
    }

    pub(super) fn number(&mut self, name: &str, value: impl Into<Number>) {
        self.0.push((name.to_owned(), Value::Number(value.into())));
    }

    /// Adds fields. A new field replaces a field of the same name, so that a caller can send another `CreateTime`.
    pub(super) fn extend(&mut self, further: &Map<String, Value>) {
        for (name, value) in further {
            match self.0.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = value.clone(),
                None => self.0.push((name.clone(), value.clone())),
            }
        }
    }

    pub(super) fn write(&self, format: Format, cdata: Cdata) -> String {
        match format {
            // Numbers, strings and their nesting can always be written as text.
            Format::Json => serde_json::to_string(self).unwrap_or_default(),
            Format::Xml => {
                let mut out = String::from("<xml>");
                for (name, value) in &self.0 {
                    element(&mut out, name, value, cdata);
                }
                out.push_str("</xml>");
                out
            }
        }
    }
}

impl Serialize for PushFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Writes a text in CDATA and a number without CDATA. A list becomes one element for each entry.
fn element(out: &mut String, name: &str, value: &Value, cdata: Cdata) {
    if let Value::Array(entries) = value {
        return entries.iter().for_each(|entry| element(out, name, entry, cdata));
    }
    out.push_str(&format!("<{name}>"));
    match value {
        Value::Object(children) => children.iter().for_each(|(name, value)| element(out, name, value, cdata)),
        Value::String(text) => out.push_str(&section(text, cdata)),
        Value::Null => {}
        scalar => out.push_str(&scalar.to_string()),
    }
    out.push_str(&format!("</{name}>"));
}

fn section(text: &str, cdata: Cdata) -> String {
    match cdata {
        Cdata::Split => format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>")),
        Cdata::AsItIs => format!("<![CDATA[{text}]]>"),
    }
}
