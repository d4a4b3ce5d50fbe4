//! The tags around thoughts, and the place of each tag in the text.

use std::ops::Range;

use codes::Codes;

mod codes;

/// The names of the tags, the longer name first.
const NAMES: [&str; 2] = ["thinking", "think"];

/// Pairs of signs that quote the text directly between them.
const QUOTES: [(char, char); 12] = [
    ('“', '”'),
    ('‘', '’'),
    ('「', '」'),
    ('『', '』'),
    ('«', '»'),
    ('《', '》'),
    ('【', '】'),
    ('（', '）'),
    ('(', ')'),
    ('[', ']'),
    ('"', '"'),
    ('\'', '\''),
];

/// One of the tags `<think>`, `</think>`, `<thinking>` and `</thinking>`, in any case.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) range: Range<usize>,
    pub(super) opens: bool,
    /// Whether the tag is in code about tags, is between quotation marks or brackets, or belongs to a block of code.
    pub(super) is_quoted: bool,
    /// Whether the tag is a word of a line: a blank stands on each side, and more of the line on each side.
    pub(super) is_mention: bool,
}

/// Reads the tags of a text from left to right, in time proportional to the text's length.
pub(super) struct Tags<'a> {
    text: &'a str,
    /// The place where the search for the next tag starts.
    at: usize,
    line: Line<'a>,
    /// The fences that are not yet read.
    fences: std::iter::Peekable<std::vec::IntoIter<Fence>>,
    block: Option<Block>,
}

/// A line with a tag.
#[derive(Default)]
struct Line<'a> {
    text: &'a str,
    start: usize,
    /// The line without blanks around it.
    inner: Range<usize>,
    codes: Codes,
    /// The number of `"` before `counted_to`. The first, third, … of them opens a quotation.
    quotes: usize,
    counted_to: usize,
}

/// A line of three or more backticks or tildes, which can begin a block of code.
struct Fence {
    start: usize,
    end: usize,
    /// The start of the line that ends the block. A fence without such a line begins no block.
    closer: Option<usize>,
}

/// A block of code.
struct Block {
    end: usize,
    /// How many opening tags in the block have no closing tag so far.
    depth: usize,
}

impl<'a> Tags<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let fences = if text.contains('<') { fences(text) } else { Vec::new() };
        Self { text, at: 0, line: Line::default(), fences: fences.into_iter().peekable(), block: None }
    }

    /// The next tag. Inside a thought the reader knows no blocks of code, since a thought often ends within a block
    /// that is cut.
    pub(super) fn next(&mut self, is_in_thought: bool) -> Option<Tag> {
        let (start, opens, len) = self.text[self.at..].match_indices('<').find_map(|(found, _)| {
            tag_at(&self.text[self.at + found..]).map(|(opens, len)| (self.at + found, opens, len))
        })?;
        let end = start + len;
        if self.line.start + self.line.text.len() <= start {
            self.line = Line::around(self.text, self.at, start);
        }
        self.at = end;
        let line = &mut self.line;
        let is_quoted = line.quotes(start - line.start, end - line.start);
        let inner = &line.inner;
        let is_alone = inner.start == start && inner.end == end;
        let is_mention =
            inner.start < start && end < inner.end && line.has_blanks_around(start - line.start, end - line.start);
        let is_quoted = is_quoted || (!is_in_thought && self.is_of_block(start, opens, is_alone));
        Some(Tag { range: start..end, opens, is_quoted, is_mention })
    }

    /// Starts anew after a tag that begins or ends a thought, since quotation marks, code and blocks before that tag
    /// end at the tag.
    pub(super) fn restart(&mut self) {
        self.block = None;
        while self.fences.next_if(|fence| fence.start < self.at).is_some() {}
        let at = self.at - self.line.start;
        self.line.codes.restart(at);
        (self.line.quotes, self.line.counted_to) = (0, at);
    }

    /// Whether a tag belongs to a block of code. A closing tag that is alone on its line and has no partner in the
    /// block does not belong to the block: that tag ends a thought, and the thought contains the beginning of the
    /// block.
    fn is_of_block(&mut self, start: usize, opens: bool, is_alone: bool) -> bool {
        while let Some(fence) = self.fences.next_if(|fence| fence.end <= start) {
            if self.block.as_ref().is_none_or(|block| block.end < fence.start) {
                self.block = fence.closer.map(|end| Block { end, depth: 0 });
            }
        }
        let Some(block) = self.block.as_mut().filter(|block| start < block.end) else { return false };
        match (opens, block.depth.checked_sub(1)) {
            (true, _) => block.depth += 1,
            (false, Some(depth)) => block.depth = depth,
            (false, None) => return !is_alone,
        }
        true
    }
}

impl<'a> Line<'a> {
    /// The line around a place. The search for the line's start ends at `from`, which is on this line or an earlier
    /// one.
    fn around(text: &'a str, from: usize, at: usize) -> Self {
        let start = text[from..at].rfind('\n').map_or(from, |found| from + found + 1);
        let end = text[at..].find('\n').map_or(text.len(), |found| at + found);
        let line = &text[start..end];
        let inner = start + line.len() - line.trim_start().len()..start + line.trim_end().len();
        let codes = if line.contains('`') { Codes::of(line) } else { Codes::default() };
        Self { text: line, start, inner, codes, quotes: 0, counted_to: 0 }
    }

    /// Whether the line quotes its tag from `start` to `end`.
    fn quotes(&mut self, start: usize, end: usize) -> bool {
        self.quotes += self.text[self.counted_to..start].matches('"').count();
        self.counted_to = start;
        let mut before = self.text[..start].chars().rev();
        let is_between = before.next().zip(self.text[end..].chars().next()).is_some_and(|pair| {
            QUOTES.contains(&pair)
                && match pair.0 {
                    '"' => self.quotes % 2 == 1,
                    '\'' => !before.next().is_some_and(char::is_alphanumeric),
                    _ => true,
                }
        });
        self.codes.quote(self.text, start) || is_between
    }

    fn has_blanks_around(&self, start: usize, end: usize) -> bool {
        self.text[..start].ends_with(char::is_whitespace) && self.text[end..].starts_with(char::is_whitespace)
    }
}

/// The tag at the beginning of the text, if any: whether the tag opens, and its length.
fn tag_at(text: &str) -> Option<(bool, usize)> {
    let rest = text.strip_prefix('<')?;
    let (opens, rest) = rest.strip_prefix('/').map_or((true, rest), |rest| (false, rest));
    let name =
        NAMES.iter().find(|name| rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)))?;
    let rest = rest[name.len()..].trim_start_matches([' ', '\t']).strip_prefix('>')?;
    Some((opens, text.len() - rest.len()))
}

/// The fences of a text, in order, found in time proportional to the text's length.
fn fences(text: &str) -> Vec<Fence> {
    let (mut found, mut start) = (Vec::new(), 0);
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        if let Some((sign, length, is_bare)) = fence(line) {
            found.push((sign, length, is_bare, Fence { start, end, closer: None }));
        }
        start = end;
    }
    // The loop runs from the end. For each sign `closers` has the later bare lines that have no bare line of the same
    // length or longer before them.
    let mut closers: [Vec<(usize, usize)>; 2] = [Vec::new(), Vec::new()];
    for (sign, length, is_bare, fence) in found.iter_mut().rev() {
        let later = &mut closers[usize::from(*sign == '~')];
        // The nearest line is last, and each line is shorter than the lines before it.
        let as_long = later.partition_point(|(found, _)| found >= length);
        fence.closer = as_long.checked_sub(1).map(|nearest| later[nearest].1);
        if *is_bare {
            while later.pop_if(|(found, _)| *found <= *length).is_some() {}
            later.push((*length, fence.start));
        }
    }
    found.into_iter().map(|(.., fence)| fence).collect()
}

/// The sign and the length of the run that begins the line, and whether the line consists of that run alone.
fn fence(line: &str) -> Option<(char, usize, bool)> {
    let line = line.trim();
    let sign = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = line.trim_start_matches(sign);
    let length = line.len() - rest.len();
    (length >= 3 && !rest.contains('`')).then_some((sign, length, rest.is_empty()))
}
