//! Bodies in XML.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use super::fields::{Collected, Unfit};
use super::{Fields, MAX_DEPTH, PushError};

/// Reads the children of the root element: text and CDATA joined, entity escapes resolved; a child with elements of
/// its own as the XML between its tags. Surrounding white space of text outside CDATA is dropped.
pub(super) fn parse(text: &str, mut fields: Collected) -> Result<Fields, PushError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().allow_dangling_amp = true;
    let mut depth = 0_usize;
    let mut closed = false;
    let mut child = Child::default();

    loop {
        let before = reader.buffer_position();
        let event = reader.read_event().map_err(|error| malformed(in_words(&error), before))?;
        match event {
            Event::Eof => break,
            Event::DocType(_) => return Err(PushError::Entity),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            _ if closed && !is_blank(&event) => return Err(malformed("text after the root element", before)),
            Event::Start(start) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(PushError::TooDeep);
                }
                match depth {
                    1 => {}
                    2 => child = Child::opened(start.name().as_ref().to_owned(), reader.buffer_position()),
                    _ => child.has_elements = true,
                }
            }
            Event::Empty(start) => match depth {
                0 => closed = true,
                1 => insert(&mut fields, start.name().as_ref().to_owned(), String::new(), before)?,
                _ => child.has_elements = true,
            },
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                match depth {
                    0 => closed = true,
                    1 => {
                        let child = std::mem::take(&mut child);
                        let value = match child.has_elements {
                            _ if !fields.wants(&child.name) => String::new(),
                            true => slice(text, child.start, before).trim().to_owned(),
                            false if child.has_cdata => child.text,
                            false => child.text.trim().to_owned(),
                        };
                        insert(&mut fields, child.name, value, before)?;
                    }
                    _ => {}
                }
            }
            Event::Text(piece) => match depth {
                2 => child.push_text(&piece),
                0 | 1 if !piece.trim().is_empty() => return Err(malformed("text between elements", before)),
                _ => {}
            },
            Event::CData(piece) => match depth {
                2 => child.push_cdata(&piece),
                0 | 1 => return Err(malformed("text between elements", before)),
                _ => {}
            },
            Event::GeneralRef(reference) => {
                let character = resolve(&reference)?;
                match depth {
                    2 => child.text.push(character),
                    0 | 1 => return Err(malformed("text between elements", before)),
                    _ => {}
                }
            }
        }
    }
    match closed {
        true => Ok(fields.into_fields()),
        false => Err(malformed("it ends too early", reader.buffer_position())),
    }
}

/// The element one level below the root that is being read.
#[derive(Default)]
struct Child {
    name: String,
    start: u64,
    text: String,
    has_cdata: bool,
    has_elements: bool,
}

impl Child {
    fn opened(name: String, start: u64) -> Self {
        Self { name, start, ..Self::default() }
    }

    fn push_text(&mut self, piece: &str) {
        // White space around CDATA is layout; a sender may split one text over two sections.
        if !(self.has_cdata && piece.trim().is_empty()) {
            self.text.push_str(piece);
        }
    }

    fn push_cdata(&mut self, piece: &str) {
        if self.text.trim().is_empty() && !self.has_cdata {
            self.text.clear();
        }
        self.has_cdata = true;
        self.text.push_str(piece);
    }
}

fn is_blank(event: &Event<'_>) -> bool {
    matches!(event, Event::Text(piece) if piece.trim().is_empty())
}

fn insert(fields: &mut Collected, name: String, value: String, at: u64) -> Result<(), PushError> {
    fields.insert(name, value).map_err(|unfit| match unfit {
        Unfit::Twice => malformed("an element comes twice", at),
        Unfit::TooMany => PushError::TooManyFields,
    })
}

fn slice(text: &str, start: u64, end: u64) -> &str {
    let (start, end) = (usize::try_from(start).unwrap_or(0), usize::try_from(end).unwrap_or(0));
    text.get(start..end).unwrap_or_default()
}

/// The five entities of XML and character references; nothing that a document could define itself. A reference to no
/// character is U+FFFD.
fn resolve(reference: &BytesRef<'_>) -> Result<char, PushError> {
    if reference.is_char_ref() {
        return Ok(reference.resolve_char_ref().ok().flatten().unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    match reference.as_ref() {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(PushError::Entity),
    }
}

/// What is wrong, in fixed words: the parser's own repeat the body.
fn in_words(error: &quick_xml::Error) -> &'static str {
    match error {
        quick_xml::Error::IllFormed(_) => "tags that do not match",
        quick_xml::Error::Syntax(_) => "a tag, comment or CDATA section that does not end",
        quick_xml::Error::InvalidAttr(_) => "a broken attribute",
        _ => "a syntax error",
    }
}

fn malformed(reason: &str, at: u64) -> PushError {
    PushError::Malformed { format: "XML", reason: format!("{reason}, byte {at}") }
}
