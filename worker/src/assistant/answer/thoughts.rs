//! What a model wrote for itself, where its server passes that on in the text of the answer. docs/assistant.md has the rule.

use super::tags::{Tag, tags};

/// The answer without its thoughts, and without blanks around it.
///
/// In an answer that began inside a thought a tag in the middle of a sentence is one like any other: to show a thought is worse
/// than to lose a sentence.
pub(super) fn without_thoughts(text: &str) -> String {
    let begin = text.len() - text.trim_start().len();
    let mut reader =
        Reader { text, begin, answer: String::new(), from: 0, depth: 0, opened_at: 0, began_inside: false };
    for tag in tags(text) {
        reader.take(&tag);
    }
    if reader.depth == 0 {
        reader.answer.push_str(&text[reader.from..]);
    }
    reader.answer.trim().to_owned()
}

/// The text without half a tag at its end, where a server cut it: `</thi`.
pub(super) fn without_half_tag(text: &str) -> &str {
    const TAGS: [&str; 4] = ["<think>", "</think>", "<thinking>", "</thinking>"];
    let Some(at) = text.rfind('<').filter(|at| text.len() - at > 1) else { return text };
    let half = text[at..].to_ascii_lowercase();
    if TAGS.iter().any(|tag| tag.starts_with(&half) && *tag != half) { &text[..at] } else { text }
}

struct Reader<'a> {
    text: &'a str,
    /// Where its first character is that is no blank.
    begin: usize,
    /// What is not thought.
    answer: String,
    /// Where the text begins that is not yet in it.
    from: usize,
    /// How many thoughts are open here, one inside the other.
    depth: usize,
    /// Where the last opening tag ended.
    opened_at: usize,
    /// Whether the answer began inside a thought, also one that the prompt opened.
    began_inside: bool,
}

impl Reader<'_> {
    fn take(&mut self, tag: &Tag) {
        let is_inside = self.depth > 0;
        let is_text = match (is_inside, tag.opens) {
            _ if tag.is_quoted => true,
            (false, _) => tag.is_in_fence || (tag.is_mention && !self.began_inside),
            // Whoever thinks about tags does not open another thought.
            (true, true) => tag.is_mention,
            (true, false) => false,
        };
        if is_text {
            return;
        }
        let (start, end) = (tag.range.start, tag.range.end);
        match (is_inside, tag.opens) {
            (false, true) => {
                self.began_inside |= start == self.begin;
                self.answer.push_str(&self.text[self.from..start]);
                (self.depth, self.opened_at) = (1, end);
            }
            // Its thought was opened before all that stands here.
            (false, false) => {
                self.answer.clear();
                (self.from, self.began_inside) = (end, true);
            }
            (true, true) => {
                // Two tags with nothing between them open one thought.
                self.depth += usize::from(!self.text[self.opened_at..start].trim().is_empty());
                self.opened_at = end;
            }
            (true, false) => {
                (self.depth, self.from) = (self.depth - 1, end);
            }
        }
    }
}

#[cfg(test)]
mod tests;
