//! Reads a body as WeChat writes bodies: one level of elements, with users' texts unchanged in CDATA.

use std::borrow::Cow;
use std::collections::HashMap;

use super::plain;
use crate::push::Fields;
use crate::push::fields::{Collected, WRITTEN_BY_WECHAT};

const CDATA: &str = "<![CDATA[";
const CDATA_END: &str = "]]>";

/// The fields of an `<xml>` that contains nothing but elements without attributes, each with one CDATA section or plain
/// text. `None` if the body is something else, or can be read in more than one way.
///
/// A field that WeChat itself writes ends at its first `]]>`. Any other field ends at a `]]></Name>` that is followed by
/// another element or by the end of the body. If there is only one such place, the field ends there: WeChat's own closing
/// tag is such a place. If there are several places, the field ends at the last one, unless another text follows: all
/// places but WeChat's own are in texts. So no text can set a field.
///
/// The time is proportional to the length of the body.
pub(super) fn read(body: &str) -> Option<Fields> {
    let inner = inside_root(body)?;
    let ends = Ends::of(inner);
    let mut fields = Collected::of(body.len());
    let mut texts_may_follow = true;
    let mut rest = inner.trim_start();
    while !rest.is_empty() {
        let (name, is_empty, after) = opening_tag(rest)?;
        let (value, after) = match after.trim_start().strip_prefix(CDATA) {
            _ if is_empty => (Cow::default(), after),
            None => {
                let (value, _) = after.split_once('<')?;
                let end = after.get(value.len()..)?;
                // Here `]]>` could only be the end of another field's section.
                if value.contains(CDATA_END) {
                    return None;
                }
                (Cow::from(plain(value)), closing_tag(end, name)?)
            }
            Some(section) if WRITTEN_BY_WECHAT.contains(&name) => {
                let (value, end) = section.split_once(CDATA_END)?;
                (Cow::from(value), closing_tag(end.trim_start(), name)?)
            }
            Some(_) if !texts_may_follow => return None,
            Some(section) => {
                let start = inner.len() - section.len();
                let end = ends.of_text(name, start)?;
                texts_may_follow = end.is_only;
                (Cow::from(inner.get(start..end.value)?), inner.get(end.tag..)?)
            }
        };
        fields.insert(name, &value).ok()?;
        rest = after.trim_start();
    }
    Some(fields.into_fields())
}

/// The text between `<xml>` and `</xml>`; a declaration may stand before it.
fn inside_root(body: &str) -> Option<&str> {
    let body = match body.strip_prefix("<?xml ") {
        Some(declaration) => declaration.split_once("?>")?.1.trim_start(),
        None => body,
    };
    body.strip_prefix("<xml>")?.strip_suffix('>')?.trim_end().strip_suffix("</xml")
}

/// The name of the element that begins here, whether the element is empty, and the text after its tag.
fn opening_tag(text: &str) -> Option<(&str, bool, &str)> {
    let (name, rest) = name(text.strip_prefix('<')?)?;
    let rest = rest.trim_start();
    match rest.strip_prefix("/>") {
        Some(rest) => Some((name, true, rest)),
        None => Some((name, false, rest.strip_prefix('>')?)),
    }
}

/// The text after the closing tag of this name.
fn closing_tag<'t>(text: &'t str, expected: &str) -> Option<&'t str> {
    let (name, rest) = any_closing_tag(text)?;
    (name == expected).then_some(rest)
}

fn any_closing_tag(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = name(text.strip_prefix("</")?)?;
    Some((name, rest.trim_start().strip_prefix('>')?))
}

fn name(text: &str) -> Option<(&str, &str)> {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    let length = text.find(|c| !is_in_name(c)).unwrap_or(text.len());
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_').then(|| text.split_at(length))
}

/// Where texts may end: at `]]></Name>` before an opening tag or the end.
struct Ends<'t>(HashMap<&'t str, LastTwo>);

/// The last two places for one name.
struct LastTwo {
    /// Where the value ends, if there is more than one place.
    former: Option<usize>,
    /// Where the value ends.
    value: usize,
    /// Where the closing tag ends.
    tag: usize,
}

/// The end of one text.
struct TextEnd {
    value: usize,
    tag: usize,
    /// Whether the text may end at no other place.
    is_only: bool,
}

impl<'t> Ends<'t> {
    fn of(inner: &'t str) -> Self {
        let mut ends: HashMap<&str, LastTwo> = HashMap::new();
        for (value, found) in inner.match_indices(CDATA_END) {
            let behind = inner.get(value + found.len()..).unwrap_or_default().trim_start();
            let Some((name, behind)) = any_closing_tag(behind) else { continue };
            let next = behind.trim_start();
            if next.is_empty() || opening_tag(next).is_some() {
                let former = ends.get(name).map(|last| last.value);
                ends.insert(name, LastTwo { former, value, tag: inner.len() - behind.len() });
            }
        }
        Self(ends)
    }

    /// The end of the text in the element `name` whose section begins at `start`: the last possible place.
    fn of_text(&self, name: &str, start: usize) -> Option<TextEnd> {
        let last = self.0.get(name).filter(|last| last.value >= start)?;
        Some(TextEnd { value: last.value, tag: last.tag, is_only: last.former.is_none_or(|former| former < start) })
    }
}
