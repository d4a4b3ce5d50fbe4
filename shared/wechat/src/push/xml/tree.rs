//! Well-formed XML.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::{character, malformed, push_undefined, resolve};
use crate::push::fields::{Collected, TEXTS, Unfit, is_decisive};
use crate::push::{Fields, MAX_DEPTH, PushError};

/// How to treat references that stand for nothing, and ampersands that begin no reference.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Faults {
    /// Read them as the text that they can mean.
    Mended,
    /// Treat them as errors.
    Refused,
}

/// A well-formed body.
pub(super) struct Reading {
    pub(super) fields: Fields,
    /// Why the body may have been meant otherwise.
    pub(super) doubt: Option<Doubt>,
}

/// Signs in a well-formed body that a user's text may have ended its CDATA section. The later variant weighs more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    /// Something stands behind a CDATA section in its element; the fields are right in any case.
    Text,
    /// The text may have set a field, or hidden a field.
    Fields {
        /// At this byte.
        at: u64,
    },
}

/// Reads the children of the root element.
pub(super) fn read(text: &str, faults: Faults) -> Result<Reading, PushError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().allow_dangling_amp = faults == Faults::Mended;
    let mut fields = Collected::of(text.len());
    let mut repeatable = Repeatable::default();
    let mut doubt = None;
    let mut depth = 0_usize;
    let mut closed = false;
    let mut child = Child::default();

    loop {
        let before = reader.buffer_position();
        let event = reader.read_event().map_err(|error| malformed(in_words(&error), before))?;
        let written = || slice(text, before, reader.buffer_position());
        let in_section = depth == 2 && child.has_cdata;
        doubt = doubt.max(match &event {
            // A tag or comment may hide WeChat's own end of a section.
            Event::Start(start) | Event::Empty(start) if !start.attributes_raw().is_empty() => {
                written().contains("]]>").then_some(Doubt::Fields { at: before })
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => match written().contains("]]>") {
                true => Some(Doubt::Fields { at: before }),
                false => in_section.then_some(Doubt::Text),
            },
            Event::Text(piece) => (in_section && !piece.trim().is_empty()).then_some(Doubt::Text),
            Event::GeneralRef(_) => in_section.then_some(Doubt::Text),
            _ => None,
        });
        match event {
            Event::Eof => break,
            Event::DocType(_) => return Err(PushError::Doctype),
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
                    _ => {
                        child.has_elements = true;
                        let name = start.name();
                        // A text field is nested in no other field, unless another text has put it there.
                        let nested = TEXTS.contains(&name.as_ref()) && fields.has(name.as_ref());
                        if nested || in_section {
                            doubt = Some(Doubt::Fields { at: before });
                        }
                    }
                }
            }
            Event::Empty(start) => match depth {
                0 => closed = true,
                1 => {
                    let name = start.name();
                    doubt = doubt.max(repeatable.doubt(name.as_ref(), before));
                    insert(&mut fields, name.as_ref(), "", before)?;
                }
                _ => {
                    child.has_elements = true;
                    if in_section {
                        doubt = Some(Doubt::Fields { at: before });
                    }
                }
            },
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                match depth {
                    0 => closed = true,
                    1 => {
                        let child = std::mem::take(&mut child);
                        let value = match child.has_elements {
                            true => slice(text, child.start, before).trim(),
                            false if child.has_cdata => &child.text,
                            false => child.text.trim(),
                        };
                        doubt = doubt.max(repeatable.doubt(&child.name, child.start));
                        insert(&mut fields, &child.name, value, before)?;
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
                let is_sound = match reference.is_char_ref() {
                    true => character(&reference).is_some(),
                    false => resolve(&reference).is_some(),
                };
                match (depth, resolve(&reference)) {
                    _ if !is_sound && faults == Faults::Refused => {
                        return Err(malformed("a reference to nothing", before));
                    }
                    (0 | 1, _) => return Err(malformed("text between elements", before)),
                    (2, Some(character)) => child.text.push(character),
                    (2, None) => push_undefined(&mut child.text, &reference),
                    _ => {}
                }
            }
        }
    }
    match closed {
        true => Ok(Reading { fields: fields.into_fields(), doubt }),
        false => Err(malformed("it ends too early", reader.buffer_position())),
    }
}

/// The fields so far that may repeat.
#[derive(Default)]
struct Repeatable {
    /// The name of each field, and how many decisive fields came before it.
    seen: Vec<(String, usize)>,
    decisive: usize,
}

impl Repeatable {
    /// Notes a field. WeChat writes the entries of a list one behind the other: a decisive field between two entries comes
    /// from a text.
    fn doubt(&mut self, name: &str, at: u64) -> Option<Doubt> {
        if is_decisive(name) {
            self.decisive += 1;
            return None;
        }
        match self.seen.iter_mut().find(|(seen, _)| seen == name) {
            None => self.seen.push((name.to_owned(), self.decisive)),
            Some((_, decisive)) if *decisive == self.decisive => {}
            Some(_) => return Some(Doubt::Fields { at }),
        }
        None
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
        // Checked before the first section only. A check at each section would take the square of the length of a text with
        // many sections.
        if !self.has_cdata && self.text.trim().is_empty() {
            self.text.clear();
        }
        self.has_cdata = true;
        self.text.push_str(piece);
    }
}

fn is_blank(event: &Event<'_>) -> bool {
    matches!(event, Event::Text(piece) if piece.trim().is_empty())
}

fn insert(fields: &mut Collected, name: &str, value: &str, at: u64) -> Result<(), PushError> {
    fields.insert(name, value).map_err(|unfit| match unfit {
        Unfit::Twice => malformed("an element comes twice", at),
        Unfit::TooMany => PushError::TooManyFields,
    })
}

fn slice(text: &str, start: u64, end: u64) -> &str {
    let (start, end) = (usize::try_from(start).unwrap_or(0), usize::try_from(end).unwrap_or(0));
    text.get(start..end).unwrap_or_default()
}

/// The fault in fixed words: the parser's own words repeat the body.
fn in_words(error: &quick_xml::Error) -> &'static str {
    match error {
        quick_xml::Error::IllFormed(_) => "tags that do not match",
        quick_xml::Error::Syntax(_) => "a tag, comment or CDATA section that does not end",
        quick_xml::Error::InvalidAttr(_) => "a broken attribute",
        _ => "a syntax error",
    }
}
