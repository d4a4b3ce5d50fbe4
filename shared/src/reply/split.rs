//! Long texts in parts that WeChat takes, and as many of them as the window allows.

use super::{Content, MAX_TEXT_BYTES, Reply, markup};

/// How far before the end of a part a good place for that end is looked for, in bytes.
const NEAR: usize = MAX_TEXT_BYTES / 4;

/// What a text ends with that is cut.
const CUT: &str = "…";

/// Replies as they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// The steps of a plan.
    pub steps: Vec<Reply>,
    /// Whether a text was too long even for all the sends that were left, and is cut.
    pub cut: bool,
}

/// The text in parts of at most [`MAX_TEXT_BYTES`] bytes; joined, they are the text. A part ends with a line, sentence or
/// word where one ends near its limit, and not within a link that fits into one part.
pub fn split(text: &str) -> Vec<&str> {
    parts(text).collect()
}

/// How many sends a text takes.
pub fn count(text: &str) -> usize {
    sent(text).count().max(1)
}

/// The parts that are sent: WeChat refuses one of nothing but white space.
fn sent(text: &str) -> impl Iterator<Item = &str> {
    parts(text.trim_end()).filter(|part| !part.trim().is_empty())
}

/// [`split`], a part at a time: of a text of any length no more is looked at than is needed.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (part, after) = rest.split_at(end_of_part(rest, MAX_TEXT_BYTES));
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

/// The replies in order, long texts split, in no more than `most` steps: what a text has beyond that is cut. No reply is
/// left out altogether unless it is blank, so there are more steps when there are more replies than `most`.
pub fn fit(replies: Vec<Reply>, most: usize) -> Fitted {
    let mut spare = most.saturating_sub(replies.len());
    let mut fitted = Fitted { steps: Vec::new(), cut: false };
    for reply in replies {
        let Content::Text(text) = &reply.content else {
            fitted.steps.push(reply);
            continue;
        };
        let (parts, cut) = parts_within(text, 1 + spare);
        spare -= parts.len().saturating_sub(1);
        fitted.cut |= cut;
        fitted.steps.extend(parts.into_iter().map(|part| Reply { content: Content::Text(part), ..reply.clone() }));
    }
    fitted
}

/// No more than `most` parts, and whether the last one is cut. None of a long text of white space alone.
fn parts_within(text: &str, most: usize) -> (Vec<String>, bool) {
    if text.len() <= MAX_TEXT_BYTES {
        return (vec![text.to_owned()], false);
    }
    let mut parts = sent(text);
    let mut taken: Vec<String> = parts.by_ref().take(most).map(str::to_owned).collect();
    let cut = parts.next().is_some();
    if cut && let Some(last) = taken.last_mut() {
        last.truncate(end_of_part(last, MAX_TEXT_BYTES - CUT.len()));
        last.truncate(last.trim_end().len());
        last.push_str(CUT);
    }
    (taken, cut)
}

/// Where the first part of a text ends that is to have `most` bytes or fewer: at 0 for an empty text only.
fn end_of_part(text: &str, most: usize) -> usize {
    if text.len() <= most {
        return text.len();
    }
    // A link that begins in this part and fits into one ends within two.
    let anchors = markup::anchors(&text[..text.floor_char_boundary(2 * most)]);
    let within = |at: usize| anchors.iter().map(|anchor| &anchor.range).find(|link| link.start < at && at < link.end);
    let latest = text.floor_char_boundary(most);
    let latest = match within(latest) {
        Some(link) if link.start > 0 && link.len() <= most => link.start,
        _ => latest,
    };
    let near = latest.saturating_sub(NEAR);
    // Where a link makes a part short, all that is before it is near: also the line that the text begins behind.
    let is_blank = |at: usize| text[..at].trim_start().is_empty();
    let ends_after = |is_end: fn(char) -> bool| {
        let ends = text[..latest].char_indices().rev().map(|(at, c)| (at + c.len_utf8(), c));
        let mut ends = ends.take_while(|(at, _)| *at > near);
        ends.find(|(at, c)| is_end(*c) && within(*at).is_none() && !is_blank(*at)).map(|(at, _)| at)
    };
    let sentence = |c: char| matches!(c, '。' | '！' | '？' | '；' | '…');
    let end = ends_after(|c| c == '\n').or_else(|| ends_after(sentence)).or_else(|| ends_after(char::is_whitespace));
    end.unwrap_or(latest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text_of(text: impl Into<String>) -> Reply {
        Content::Text(text.into()).into()
    }

    fn texts(fitted: &Fitted) -> Vec<&str> {
        let text = |step| match step {
            &Reply { content: Content::Text(ref text), .. } => Some(text.as_str()),
            _ => None,
        };
        fitted.steps.iter().filter_map(text).collect()
    }

    #[test]
    fn a_part_ends_where_something_ends() {
        let (line, sentence, word) = ("x".repeat(1_800) + "\n", "好".repeat(600) + "。", "y".repeat(1_700) + " ");
        for first in [line, sentence, word] {
            let text = first.clone() + &"z".repeat(1_000);
            assert_eq!(split(&text), [&first, &"z".repeat(1_000)]);
        }
        // Too far away from the limit.
        assert_eq!(split(&("x ".to_owned() + &"y".repeat(2_000)))[0].len(), 2_000);
    }

    #[test]
    fn a_part_of_white_space_alone_is_not_sent() {
        let text = "a".to_owned() + &" ".repeat(4_500) + "b";
        let fitted = fit(vec![text_of(text.clone())], 5);
        assert_eq!((fitted.steps.len(), fitted.cut, count(&text)), (2, false, 2));
        assert!(texts(&fitted).iter().all(|text| !text.trim().is_empty()));
    }

    /// Not by the clock: a text of 8 MB of opened links would take a day if each part looked at all that follows.
    #[test]
    fn a_long_text_of_links_without_an_end_is_split_at_once() {
        let text = "<a>".repeat(2_800_000);
        let fitted = fit(vec![text_of(text)], 5);
        assert_eq!((fitted.steps.len(), fitted.cut), (5, true));
    }

    #[test]
    fn a_link_is_not_torn_apart() {
        let link = "<a href=\"https://shop.example/a b c\">click here please</a>";
        let text = "字".repeat(650) + link + "end";
        assert_eq!(split(&text), ["字".repeat(650), format!("{link}end")]);
        let long = format!("<a href=\"{}\">x</a>", "y".repeat(3_000));
        assert_eq!(split(&long).concat(), long);
    }

    #[test]
    fn no_part_ends_before_anything_is_said() {
        let link = format!("<a href=\"https://shop.example/{}\">click here</a>", "y".repeat(1_700));
        let start = "\n".to_owned() + &"x".repeat(400);
        assert_eq!(split(&(start.clone() + &link)), [start, link]);
    }

    #[test]
    fn a_text_takes_the_sends_that_other_replies_leave() {
        let image = Reply::from(Content::Image("a.png".into()));
        let fitted = fit(vec![text_of("x".repeat(5_000)), image.clone()], 5);
        assert_eq!((fitted.steps.len(), fitted.cut), (4, false));
        assert_eq!(fitted.steps[3], image);

        let fitted = fit(vec![text_of("x".repeat(5_000)), text_of("y".repeat(2_001))], 3);
        assert!(fitted.cut);
        let lengths: Vec<usize> = texts(&fitted).iter().map(|text| text.len()).collect();
        assert_eq!(lengths, [2_000, 2_000, 2_000]);
        assert!(texts(&fitted)[1].ends_with("xx…") && texts(&fitted)[2].ends_with("yy…"));
    }

    #[test]
    fn no_part_is_blank_and_no_reply_is_left_out() {
        let fitted = fit(vec![text_of("x".repeat(2_000) + &" \n".repeat(2_000))], 5);
        assert_eq!(texts(&fitted), ["x".repeat(2_000)]);
        assert_eq!(count(&("x".repeat(2_000) + "\n")), 1);
        assert_eq!(fit(vec![text_of("a"), text_of("b"), text_of("c")], 2).steps.len(), 3);
    }

    proptest! {
        #[test]
        fn the_parts_are_the_text_and_each_is_one_that_wechat_takes(
            text in r#"(您好|\n| |x{1,300}|😀{1,99}|<a href="u">l</a>|<a |\PC{0,40}){0,200}"#,
            most in 1_usize..6,
        ) {
            let parts = split(&text);
            prop_assert_eq!(parts.concat(), text.clone());
            prop_assert!(parts.iter().all(|part| !part.is_empty() && part.len() <= MAX_TEXT_BYTES));
            let fitted = fit(vec![text_of(text.clone())], most);
            prop_assert!(fitted.steps.len() <= most);
            prop_assert_eq!(fitted.cut, count(&text) > most);
            prop_assert!(texts(&fitted).iter().all(|part| part.len() <= MAX_TEXT_BYTES));
            if !fitted.cut {
                // Blank parts are not sent.
                let shown = |text: &str| text.split_whitespace().collect::<String>();
                prop_assert_eq!(shown(&texts(&fitted).concat()), shown(&text));
            }
        }
    }
}
