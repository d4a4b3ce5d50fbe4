//! A model's thoughts, where its server passes them on in the text of the answer. docs/assistant.md has the rule.

use super::tags::{Tag, Tags};

/// The answer without its thoughts, and without blanks around it.
///
/// A tag may be a word of the answer or the edge of a thought. In doubt the reader takes the tag as the edge of a
/// thought, since the loss of half a sentence is better than a shown thought. The one exception is a closing tag that
/// looks like a word, in an answer without thoughts so far.
pub(super) fn without_thoughts(text: &str) -> String {
    let mut reader = Reader { text, answer: String::new(), from: 0, depth: 0, opened_at: 0, has_thoughts: false };
    let mut tags = Tags::of(text);
    while let Some(tag) = tags.next(reader.depth > 0) {
        if reader.takes(&tag) {
            tags.restart();
        }
    }
    if reader.depth == 0 {
        reader.answer.push_str(&text[reader.from..]);
    }
    reader.answer.trim().to_owned()
}

/// The text without the half tag, such as `</thi`, at its end, where a server cut the text.
pub(super) fn without_half_tag(text: &str) -> &str {
    const TAGS: [&str; 4] = ["<think>", "</think>", "<thinking>", "</thinking>"];
    let Some(at) = text.rfind('<').filter(|at| text.len() - at > 1) else { return text };
    let half = text[at..].to_ascii_lowercase();
    if TAGS.iter().any(|tag| tag.starts_with(&half) && *tag != half) { &text[..at] } else { text }
}

struct Reader<'a> {
    text: &'a str,
    /// The text outside the thoughts.
    answer: String,
    /// The start of the text that is not yet in `answer`.
    from: usize,
    /// How many thoughts are open here, one inside the other.
    depth: usize,
    /// The end of the last opening tag.
    opened_at: usize,
    /// Whether a thought has begun or ended so far.
    has_thoughts: bool,
}

impl Reader<'_> {
    /// Whether the tag begins or ends a thought, and is no text.
    fn takes(&mut self, tag: &Tag) -> bool {
        let is_inside = self.depth > 0;
        let is_word = tag.is_mention && !tag.opens && !self.has_thoughts;
        if tag.is_quoted || is_word {
            return false;
        }
        let (start, end) = (tag.range.start, tag.range.end);
        match (is_inside, tag.opens) {
            (false, true) => {
                self.answer.push_str(&self.text[self.from..start]);
                (self.depth, self.opened_at) = (1, end);
            }
            // The thought of this tag began before all the text so far, so that text is no answer.
            (false, false) => {
                self.answer.clear();
                self.from = end;
            }
            (true, true) => {
                // Two tags with nothing between them open one thought.
                self.depth += usize::from(!self.text[self.opened_at..start].trim().is_empty());
                self.opened_at = end;
            }
            (true, false) => (self.depth, self.from) = (self.depth - 1, end),
        }
        self.has_thoughts = true;
        true
    }
}

#[cfg(test)]
mod tests;
