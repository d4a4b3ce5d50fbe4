//! Blocks of code between lines of three or more backticks or tildes.

/// A line that can begin a block.
pub(super) struct Fence {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The start of the line that ends the block. A fence without such a line begins no block.
    pub(super) closer: Option<usize>,
}

/// The fences of a text, in order, found in time proportional to the text's length.
pub(super) fn fences(text: &str) -> Vec<Fence> {
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
