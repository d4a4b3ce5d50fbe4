//! The tags around thoughts, and how each stands in the text.

use std::collections::HashMap;
use std::ops::Range;

/// Longer ones first.
const NAMES: [&str; 2] = ["thinking", "think"];

/// Pairs that quote what is directly between them.
const QUOTES: [(char, char); 10] = [
    ('“', '”'),
    ('‘', '’'),
    ('「', '」'),
    ('『', '』'),
    ('《', '》'),
    ('【', '】'),
    ('（', '）'),
    ('(', ')'),
    ('[', ']'),
    ('"', '"'),
];

/// What follows a word of a sentence, and begins no answer.
const AFTER_A_WORD: &str = "，。、；：？！,;?)）」』”’》】";

/// `<think>`, `</think>`, `<thinking>` or `</thinking>`, in whatever case.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) range: Range<usize>,
    pub(super) opens: bool,
    /// It is at the edge of code in backticks, or between quotation marks or brackets.
    pub(super) is_quoted: bool,
    /// It is in a block of code, one that ends.
    pub(super) is_in_fence: bool,
    /// It is a word of a line: a blank before it, a blank or punctuation behind it, and on both sides more of the line.
    pub(super) is_mention: bool,
}

/// The tags of a text, in order. Takes time in proportion to the text.
pub(super) fn tags(text: &str) -> Vec<Tag> {
    let (mut tags, mut start) = (Vec::new(), 0);
    let mut fences = Fences::of(text);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let is_in_fence = fences.next_is_in_one(number);
        tags_of_line(line, start, is_in_fence, &mut tags);
        start += line.len();
    }
    tags
}

fn tags_of_line(line: &str, start: usize, is_in_fence: bool, tags: &mut Vec<Tag>) {
    let mut found =
        line.match_indices('<').filter_map(|(at, _)| tag_at(&line[at..]).map(|(opens, len)| (at, opens, len)));
    let Some(first) = found.next() else { return };
    let codes = if line.contains('`') { code_spans(line) } else { Vec::new() };
    let (begin, end) = (line.len() - line.trim_start().len(), line.trim_end().len());
    let (mut quotes, mut counted_to) = (0, 0);
    for (at, opens, len) in std::iter::once(first).chain(found) {
        let (before, after) = (&line[..at], &line[at + len..]);
        quotes += line[counted_to..at].matches('"').count();
        counted_to = at;
        let neighbours = before.chars().next_back().zip(after.chars().next());
        // The first, third, … quotation mark of a line opens.
        let is_between = neighbours.is_some_and(|pair| QUOTES.contains(&pair) && (pair.0 != '"' || quotes % 2 == 1));
        let code = codes.get(codes.partition_point(|code| code.end <= at));
        let is_code = code.is_some_and(|code| at == code.start || at + len == code.end);
        let is_word = neighbours.is_some_and(|(left, right)| {
            left.is_whitespace() && (right.is_whitespace() || AFTER_A_WORD.contains(right))
        });
        tags.push(Tag {
            range: start + at..start + at + len,
            opens,
            is_quoted: is_between || is_code,
            is_in_fence,
            is_mention: is_word && begin < at && at + len < end,
        });
    }
}

/// Whether a tag stands at the beginning: whether it opens, and its length.
fn tag_at(text: &str) -> Option<(bool, usize)> {
    let (opens, name_at) = if text[1..].starts_with('/') { (false, 2) } else { (true, 1) };
    let name = NAMES
        .iter()
        .find(|name| text.get(name_at..name_at + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)))?;
    let rest = &text[name_at + name.len()..];
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    rest[blanks..].starts_with('>').then_some((opens, name_at + name.len() + blanks + 1))
}

/// The pieces of a line between runs of backticks of the same length, without blanks around them.
fn code_spans(line: &str) -> Vec<Range<usize>> {
    let (mut runs, mut at): (Vec<Range<usize>>, usize) = (Vec::new(), 0);
    while let Some(found) = line[at..].find('`') {
        let start = at + found;
        at = start + line[start..].bytes().take_while(|byte| *byte == b'`').count();
        runs.push(start..at);
    }
    let (mut later, mut partners) = (HashMap::new(), vec![None; runs.len()]);
    for (index, run) in runs.iter().enumerate().rev() {
        partners[index] = later.insert(run.len(), index);
    }
    let (mut spans, mut index) = (Vec::new(), 0);
    while index < runs.len() {
        match partners[index] {
            Some(end) => {
                let (begin, until) = (runs[index].end, runs[end].start);
                let code = &line[begin..until];
                spans.push(begin + code.len() - code.trim_start().len()..begin + code.trim_end().len());
                index = end + 1;
            }
            None => index += 1,
        }
    }
    spans
}

/// The blocks of code of a text, by their first and last lines.
struct Fences {
    blocks: std::iter::Peekable<std::vec::IntoIter<(usize, usize)>>,
}

impl Fences {
    /// One that does not end is none.
    fn of(text: &str) -> Self {
        let mut blocks = Vec::new();
        let mut open: Option<(usize, &str)> = None;
        for (number, line) in text.lines().enumerate() {
            let Some((run, info)) = fence(line) else { continue };
            match open {
                None => open = Some((number, run)),
                Some((begun, opener)) if run.starts_with(opener) && info.is_empty() => {
                    blocks.push((begun, number));
                    open = None;
                }
                Some(_) => {}
            }
        }
        Self { blocks: blocks.into_iter().peekable() }
    }

    fn next_is_in_one(&mut self, number: usize) -> bool {
        while self.blocks.next_if(|(_, last)| *last < number).is_some() {}
        self.blocks.peek().is_some_and(|(first, _)| *first <= number)
    }
}

/// The run of backticks or tildes that begins or ends a block, and what follows it.
fn fence(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let sign = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = line.trim_start_matches(sign);
    let run = &line[..line.len() - rest.len()];
    (run.len() >= 3 && !rest.contains('`')).then_some((run, rest.trim()))
}
