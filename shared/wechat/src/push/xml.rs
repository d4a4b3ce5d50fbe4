//! Bodies in XML.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use super::{Fields, PushError};

mod flat;
mod tree;
mod usual;

use tree::{Doubt, Faults, Reading};

/// Reads the children of the root element. Text and CDATA are joined, and entity escapes are resolved. A child with
/// elements of its own is the XML between its tags. White space around text outside CDATA is dropped.
///
/// WeChat puts users' texts into CDATA unchanged. If such a text has ended its section, the body is ill-formed or in doubt,
/// and is read once more as WeChat writes bodies: a flat list of elements. `docs/adr/0015-a-text-that-ends-its-cdata.md`
/// says which texts this second reading can tell from fields.
pub(super) fn parse(text: &str) -> Result<Fields, PushError> {
    if let Some(fields) = usual::read(text) {
        return Ok(fields);
    }
    match tree::read(text, Faults::Mended) {
        Ok(Reading { fields, doubt: None }) => Ok(fields),
        Err(PushError::TooManyFields) => Err(PushError::TooManyFields),
        in_doubt => flat::read(text).map_or_else(|| settle(in_doubt), Ok),
    }
}

/// As [`parse`], for a body that is well-formed XML.
pub(super) fn parse_strictly(text: &str) -> Result<Fields, PushError> {
    tree::read(text, Faults::Refused).map(|reading| reading.fields)
}

fn settle(reading: Result<Reading, PushError>) -> Result<Fields, PushError> {
    match reading? {
        Reading { doubt: Some(Doubt::Fields { at }), .. } => Err(malformed("a text that may be fields", at)),
        Reading { fields, .. } => Ok(fields),
    }
}

/// A text outside CDATA, without the white space around it.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut reader = Reader::from_str(text);
    reader.config_mut().allow_dangling_amp = true;
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Eof => break,
            Event::Text(piece) => plain.push_str(&piece),
            Event::GeneralRef(reference) => match resolve(&reference) {
                Some(character) => plain.push(character),
                None => push_undefined(&mut plain, &reference),
            },
            _ => {}
        }
    }
    plain.trim().to_owned()
}

/// The character of a reference: one of the five entities of XML, or a character reference; nothing that a document could
/// define itself. A reference to no character is U+FFFD.
fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if reference.is_char_ref() {
        return Some(character(reference).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    match reference.as_ref() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

/// The character of a character reference.
fn character(reference: &BytesRef<'_>) -> Option<char> {
    reference.resolve_char_ref().ok().flatten()
}

/// A reference to an entity that XML does not define, as it is written: it is a text whose author did not escape an
/// ampersand.
fn push_undefined(text: &mut String, reference: &BytesRef<'_>) {
    text.push('&');
    text.push_str(reference);
    text.push(';');
}

fn malformed(reason: &str, at: u64) -> PushError {
    PushError::Malformed { format: "XML", reason: format!("{reason}, byte {at}") }
}
