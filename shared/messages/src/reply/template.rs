//! Placeholders in the texts of rules: `{content}` and the others, filled with values of the push.
//!
//! Only a name in braces is a placeholder: JSON, prices and everything else with braces stays unchanged. `{{name}}` stands
//! for `{name}` itself.

use std::borrow::Cow;

use kefu_wechat::push::{self, Push};

use super::control::cleaned;
use super::{Content, Reply};

/// The character in a push that stands for half a character, and for a reference to no character.
const MENDED: char = char::REPLACEMENT_CHARACTER;

/// The value of a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// The text of a user's message.
    Content,
    /// The page from which the user entered the session.
    SessionFrom,
    /// The title of a mini program card.
    Title,
    /// The page of a mini program card.
    PagePath,
}

impl Field {
    /// All fields.
    pub(crate) const ALL: [Self; 4] = [Self::Content, Self::SessionFrom, Self::Title, Self::PagePath];

    /// The name in braces.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::SessionFrom => "session_from",
            Self::Title => "title",
            Self::PagePath => "page_path",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// The push's value; empty if the push has none.
    fn of(self, push: &Push) -> &str {
        match (self, &push.content) {
            (Self::Content, push::Content::Text { content }) => content,
            (Self::SessionFrom, push::Content::Event { session_from, .. }) => session_from,
            (Self::Title, push::Content::Miniprogrampage { title, .. }) => title,
            (Self::PagePath, push::Content::Miniprogrampage { page_path, .. }) => page_path,
            _ => "",
        }
    }
}

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Literal(&'a str),
    /// The text between the braces.
    Name(&'a str),
}

/// The text with its placeholders filled.
///
/// A value from the push never becomes markup, and never ends any markup: WeChat shows `<a …>` in texts as links, and the
/// push may contain a text of somebody else, such as the title of a card. In a tag of the text itself, quotes, angle
/// brackets and white space of the value are percent-encoded. Elsewhere a `<` of the value that could begin a tag becomes
/// `＜`. Control characters are removed from the value, as they were removed from the text itself when it was read. U+FFFD
/// is removed as well: it stands for a character that was mended in the push.
pub fn fill(text: &str, push: &Push) -> String {
    let (mut filled, mut in_tag) = (String::with_capacity(text.len()), false);
    for piece in pieces(text) {
        match piece {
            Piece::Literal(literal) => {
                filled.push_str(literal);
                in_tag = ends_in_tag(literal, in_tag);
            }
            Piece::Name(name) => {
                // This comes first: after the `<` is disarmed, no character between `<` and `a` may be removed.
                let value = cleaned(Field::of_name(name).map_or("", |field| field.of(push)));
                let value = match value.contains(MENDED) {
                    true => Cow::Owned(value.replace(MENDED, "")),
                    false => value,
                };
                if in_tag { encode(&value, &mut filled) } else { disarm(&value, &mut filled) }
            }
        }
    }
    filled
}

/// The replies with the placeholders of their texts filled. A reply whose text turns out blank is left out, because WeChat
/// does not take it.
pub fn fill_all(replies: &[Reply], push: &Push) -> Vec<Reply> {
    let filled = replies.iter().map(|reply| match &reply.content {
        Content::Text(text) => Reply { content: Content::Text(fill(text, push)), ..reply.clone() },
        _ => reply.clone(),
    });
    filled.filter(|reply| !matches!(&reply.content, Content::Text(text) if text.trim().is_empty())).collect()
}

/// The text without its placeholders: the shortest text that filling can give.
pub(crate) fn without_placeholders(text: &str) -> String {
    let literal = |piece| match piece {
        Piece::Literal(literal) => literal,
        Piece::Name(_) => "",
    };
    pieces(text).into_iter().map(literal).collect()
}

/// The placeholders of a text: the field of each, or its name if there is no such placeholder.
pub(crate) fn placeholders(text: &str) -> Vec<Result<Field, &str>> {
    let name = |piece| match piece {
        Piece::Literal(_) => None,
        Piece::Name(name) => Some(Field::of_name(name).ok_or(name)),
    };
    pieces(text).into_iter().filter_map(name).collect()
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut literal_from, mut at) = (Vec::new(), 0, 0);
    while let Some(found) = text[at..].find('{') {
        let brace = at + found;
        let from_brace = &text[brace..];
        let (piece, length) = if let Some(name) = name_between(from_brace, "{{", "}}") {
            (Piece::Literal(&from_brace[1..name.len() + 3]), name.len() + 4)
        } else if let Some(name) = name_between(from_brace, "{", "}") {
            (Piece::Name(name), name.len() + 2)
        } else {
            at = brace + 1;
            continue;
        };
        pieces.push(Piece::Literal(&text[literal_from..brace]));
        pieces.push(piece);
        at = brace + length;
        literal_from = at;
    }
    pieces.push(Piece::Literal(&text[literal_from..]));
    pieces
}

/// The name at the beginning of a text, between `open` and `close`: letters, digits and `_`, a letter first.
fn name_between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let inner = text.strip_prefix(open)?;
    let name = &inner[..inner.find(|c: char| !c.is_alphanumeric() && c != '_')?];
    (name.starts_with(char::is_alphabetic) && inner[name.len()..].starts_with(close)).then_some(name)
}

/// Whether a text ends between `<` and `>` of a tag, if `in_tag` says whether it begins there.
fn ends_in_tag(text: &str, in_tag: bool) -> bool {
    text.char_indices().fold(in_tag, |in_tag, (at, c)| match c {
        '<' => in_tag || could_begin_tag(&text[at + 1..]),
        '>' => false,
        _ => in_tag,
    })
}

/// Whether a `<` before this text could begin a tag; at the end of a text it could, because the next text is unknown.
fn could_begin_tag(after: &str) -> bool {
    after.chars().next().is_none_or(|next| next.is_ascii_alphabetic() || next == '/')
}

fn disarm(value: &str, out: &mut String) {
    for (at, c) in value.char_indices() {
        out.push(if c == '<' && could_begin_tag(&value[at + 1..]) { '＜' } else { c });
    }
}

fn encode(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '"' | '\'' | '<' | '>' | '`' => out.push_str(&format!("%{:02X}", u32::from(c))),
            _ if c.is_whitespace() || c.is_control() => {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}")));
            }
            _ => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests;
