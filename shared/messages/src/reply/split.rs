//! Long texts in parts of a size that WeChat takes, and as many parts as the window allows.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Content, MAX_TEXT_BYTES, Reply, cluster, markup};

#[cfg(test)]
mod tests;

/// How far before the end of a part the search for a good end begins, in bytes.
const NEAR: usize = MAX_TEXT_BYTES / 4;

/// The end of a text that was cut.
const CUT: &str = "…";

/// Replies in the form in which they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// The steps of a plan.
    pub steps: Vec<Reply>,
    /// Whether a text was too long even for all remaining sends, and is cut.
    pub cut: bool,
    /// The missing rests of the cut texts, as far as more sends would have had room for them.
    pub rests: Vec<Rest>,
}

/// The missing rest of a cut text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// The step with the cut end of the text.
    pub step: u32,
    /// The text that follows the text of that step, without the step's `…`.
    pub text: String,
}

/// Shows the length only: texts to users must not reach a log.
impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rest({} bytes behind step {})", self.text.len(), self.step)
    }
}

/// The text in parts of at most [`MAX_TEXT_BYTES`] bytes; joined, the parts are the text. A part ends with a line, sentence
/// or word if one ends near its limit, and not within a link that fits into one part (unless the link begins within the
/// first cluster). Otherwise a part ends with a grapheme cluster, such as a flag of two code points. Only a cluster that is
/// longer than a part is cut, at a character.
pub fn split(text: &str) -> Vec<&str> {
    parts(text).collect()
}

/// How many sends a text takes.
pub fn count(text: &str) -> usize {
    sent(text).count().max(1)
}

/// The parts that are sent: WeChat refuses a part of nothing but white space.
fn sent(text: &str) -> impl Iterator<Item = &str> {
    parts(text.trim_end()).filter(|part| !part.trim().is_empty())
}

/// [`split`], one part at a time: of a text of any length the function reads no more than it needs.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (part, after) = rest.split_at(end_of_part(rest, MAX_TEXT_BYTES));
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

/// The replies in order, with long texts split, in at most `most` steps: the rest of a longer text is cut. No reply is left
/// out altogether unless it is blank, so there are more steps if there are more replies than `most`. The cut rests are
/// kept, as far as `whole` steps (more than `most`) would have had room for them.
pub fn fit(replies: Vec<Reply>, most: usize, whole: usize) -> Fitted {
    let mut spare = most.saturating_sub(replies.len());
    let mut spare_if_whole = whole.saturating_sub(replies.len());
    let mut fitted = Fitted { steps: Vec::new(), cut: false, rests: Vec::new() };
    for reply in replies {
        let Content::Text(text) = &reply.content else {
            fitted.steps.push(reply);
            continue;
        };
        let (parts, rest) = parts_within(text, spare.saturating_add(1));
        let more = parts.len().saturating_sub(1);
        spare -= more;
        spare_if_whole = spare_if_whole.saturating_sub(more);
        if let Some(rest) = rest {
            fitted.cut = true;
            if spare_if_whole > 0 {
                let step = (fitted.steps.len() + more) as u32;
                let (whole, beyond) = parts_within(text, parts.len() + spare_if_whole);
                spare_if_whole -= whole.len() - parts.len();
                let (rest, end) = match beyond {
                    Some(beyond) => (&rest[..rest.len() - beyond.len()], CUT),
                    None => (rest, ""),
                };
                fitted.rests.push(Rest { step, text: rest.to_owned() + end });
            }
        }
        fitted.steps.extend(parts.into_iter().map(|part| Reply { content: Content::Text(part), ..reply.clone() }));
    }
    fitted
}

/// Restores cut texts. The first `sent` steps stay; the missing rest of each follows as a step of its own.
pub fn restored(steps: Vec<Reply>, rests: &[Rest], sent: usize) -> Vec<Reply> {
    let rest_of = |step: usize| rests.iter().find(|rest| rest.step as usize == step).map(|rest| rest.text.as_str());
    let with_text = |reply: &Reply, text: String| Reply { content: Content::Text(text), ..reply.clone() };
    let lacking = steps.iter().enumerate().take(sent).filter_map(|(step, reply)| {
        let text = rest_of(step)?.trim_start().to_owned();
        Some(with_text(reply, text))
    });
    let lacking: Vec<Reply> = lacking.collect();
    let unsent = steps.iter().enumerate().skip(sent).map(|(step, reply)| match (rest_of(step), &reply.content) {
        (Some(rest), Content::Text(text)) => with_text(reply, text.strip_suffix(CUT).unwrap_or(text).to_owned() + rest),
        _ => reply.clone(),
    });
    let whole = fit(lacking.into_iter().chain(unsent).collect(), usize::MAX, usize::MAX);
    steps.into_iter().take(sent).chain(whole.steps).collect()
}

/// At most `most` parts, and the missing rest of the last part if it is cut. No parts for a long text of white space alone.
fn parts_within(text: &str, most: usize) -> (Vec<String>, Option<&str>) {
    if text.len() <= MAX_TEXT_BYTES {
        return (vec![text.to_owned()], None);
    }
    let text = text.trim_end();
    let mut taken: Vec<String> = Vec::new();
    let (mut begins, mut ends) = (0, 0);
    for part in parts(text) {
        let is_blank = part.trim().is_empty();
        if !is_blank && taken.len() == most {
            let Some(last) = taken.last_mut() else { break };
            last.truncate(end_of_part(last, MAX_TEXT_BYTES - CUT.len()));
            last.truncate(last.trim_end().len());
            let rest = &text[begins + last.len()..];
            last.push_str(CUT);
            return (taken, Some(rest));
        }
        if !is_blank {
            taken.push(part.to_owned());
            begins = ends;
        }
        ends += part.len();
    }
    (taken, None)
}

/// The end of a text's first part, of `most` bytes or fewer: 0 for an empty text only.
fn end_of_part(text: &str, most: usize) -> usize {
    if text.len() <= most {
        return text.len();
    }
    // A link that begins in this part and fits into one ends within two.
    let anchors = markup::anchors(&text[..text.floor_char_boundary(2 * most)]);
    let within = |at: usize| anchors.iter().map(|anchor| &anchor.range).find(|link| link.start < at && at < link.end);
    let latest = cluster::floor(text, most);
    let before_link = within(latest).filter(|link| link.len() <= most).map(|link| cluster::floor(text, link.start));
    // A link that begins within the text's first cluster has no end of a cluster before it.
    let latest = before_link.filter(|&at| at > 0 && cluster::ends_at(text, at)).unwrap_or(latest);
    let near = latest.saturating_sub(NEAR);
    // If a link makes a part short, everything before the link counts as near, including the line before the text's first
    // word.
    let is_blank = |at: usize| text[..at].trim_start().is_empty();
    let ends_after = |is_end: fn(char) -> bool| {
        let ends = text[..latest].char_indices().rev().map(|(at, c)| (at + c.len_utf8(), c));
        let mut ends = ends.take_while(|(at, _)| *at > near);
        let is_good = |at: usize| within(at).is_none() && !is_blank(at) && cluster::ends_at(text, at);
        ends.find(|(at, c)| is_end(*c) && is_good(*at)).map(|(at, _)| at)
    };
    let sentence = |c: char| matches!(c, '。' | '！' | '？' | '；' | '…');
    let end = ends_after(|c| c == '\n').or_else(|| ends_after(sentence)).or_else(|| ends_after(char::is_whitespace));
    end.unwrap_or(latest)
}
