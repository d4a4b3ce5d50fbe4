//! Code in backticks within a line.

use std::collections::HashMap;
use std::ops::Range;

use super::tag_at;

/// The runs of backticks of a line, read from left to right. A piece of code ends at the next run of the same length.
#[derive(Default)]
pub(super) struct Codes {
    runs: Vec<Range<usize>>,
    /// The next run of the same length, for each run.
    partners: Vec<Option<usize>>,
    /// The first run that is not yet read.
    next: usize,
    /// The run of the last question, and whether the code after that run is about tags.
    judged: Option<(usize, bool)>,
}

impl Codes {
    pub(super) fn of(line: &str) -> Self {
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
        Self { runs, partners, next: 0, judged: None }
    }

    /// Whether the tag at this place of the line is in code that is about tags.
    pub(super) fn quote(&mut self, line: &str, at: usize) -> bool {
        while let Some(run) = self.runs.get(self.next).filter(|run| run.end <= at) {
            match self.partners[self.next] {
                Some(partner) if self.runs[partner].start > at => {
                    let code = run.end..self.runs[partner].start;
                    let index = self.next;
                    let judged = self.judged.filter(|(judged, _)| *judged == index);
                    let (_, is_about_tags) =
                        *self.judged.insert(judged.unwrap_or_else(|| (index, is_about_tags(&line[code]))));
                    return is_about_tags;
                }
                Some(partner) => self.next = partner + 1,
                None => self.next += 1,
            }
        }
        false
    }

    /// Starts reading code anew at this place of the line.
    pub(super) fn restart(&mut self, at: usize) {
        while self.runs.get(self.next).is_some_and(|run| run.start < at) {
            self.next += 1;
        }
    }
}

/// Whether code is a single tag, or goes from an opening tag to a closing one.
///
/// Other code that has a tag in it may be two stray backticks, one of them in a thought.
fn is_about_tags(code: &str) -> bool {
    let code = code.trim();
    let Some((opens, len)) = tag_at(code) else { return false };
    let last = code.rfind('<').and_then(|at| tag_at(&code[at..]).filter(|(_, len)| at + len == code.len()));
    len == code.len() || (opens && last.is_some_and(|(opens, _)| !opens))
}
