//! Tests of parts, cuts and rests.

use std::collections::BTreeSet;

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::*;

fn text_of(text: impl Into<String>) -> Reply {
    Content::Text(text.into()).into()
}

/// Without keeping the cut rests.
fn fit(replies: Vec<Reply>, most: usize) -> Fitted {
    super::fit(replies, most, most)
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
    // Too far from the limit.
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
fn what_is_seen_as_one_character_is_not_torn_apart() {
    let flags = "a".to_owned() + &"🇨🇳".repeat(260);
    assert_eq!(split(&flags), ["a".to_owned() + &"🇨🇳".repeat(249), "🇨🇳".repeat(11)]);
    for (cluster, in_first) in
        [("👨‍👩‍👧‍👦", 79), ("\u{1100}\u{1161}\u{11a8}", 222), ("e\u{301}", 666), ("👍🏽", 249), ("\r\n", 999)]
    {
        let text = "ab".to_owned() + &cluster.repeat(1_500);
        let first = split(&text)[0];
        assert_eq!(first, "ab".to_owned() + &cluster.repeat(in_first), "{cluster:?}");
    }
    // A line, sentence or word ends behind what belongs to its last character.
    for (end, mark) in [("。", "\u{fe0f}"), (" ", "\u{301}")] {
        let text = format!("{}{end}{mark}{}", "x".repeat(1_998 - end.len()), "y".repeat(100));
        assert!(!split(&text)[1].starts_with(mark), "{end:?}");
    }
}

#[test]
fn a_cluster_longer_than_a_part_is_cut_at_a_character() {
    let zalgo = "e".to_owned() + &"\u{301}".repeat(1_500);
    let text = format!("before {zalgo}after");
    assert_eq!(split(&text), ["before ", &zalgo[..1_999], &format!("{}after", &zalgo[1_999..])]);
}

/// Not by the clock, as below: in time that grows with the square it would take an hour.
#[test]
fn long_texts_of_clusters_are_split_at_once() {
    for text in ["🇨🇳".repeat(500_000), "e".to_owned() + &"\u{301}".repeat(1_000_000), "👨‍👩‍👧‍👦\u{200d}".repeat(100_000)]
    {
        assert_eq!(split(&text).concat(), text);
    }
}

#[test]
fn a_cut_text_ends_with_a_whole_cluster() {
    let fitted = fit(vec![text_of("a".to_owned() + &"🇨🇳".repeat(260))], 1);
    assert_eq!(texts(&fitted), ["a".to_owned() + &"🇨🇳".repeat(249) + "…"]);
    let fitted = fit(vec![text_of("🇨🇳".repeat(260))], 1);
    assert_eq!(texts(&fitted), ["🇨🇳".repeat(249) + "…"]);
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

#[test]
fn a_link_within_the_first_cluster_does_not_cut_that_cluster() {
    // U+1193F belongs to the character behind it.
    let text = "\u{1193f}<a <a href=\"u\">l</a>".to_owned() + &"\u{301}".repeat(999);
    assert_eq!(split(&text).concat(), text);
    assert!(split(&text)[0].starts_with("\u{1193f}<a"), "{:?}", split(&text)[0]);
}

/// The texts of steps without blanks, which may be lost at the ends of parts.
fn shown(steps: &[Reply]) -> String {
    let fitted = Fitted { steps: steps.to_vec(), cut: false, rests: Vec::new() };
    texts(&fitted).concat().split_whitespace().collect()
}

#[test]
fn what_was_cut_comes_back_behind_what_was_sent() {
    let first = "a".repeat(2_000) + &"b".repeat(2_000) + &"c".repeat(1_000);
    let image = Reply::from(Content::Image("a.png".into()));
    let fitted = super::fit(vec![text_of(first.clone()), image.clone(), text_of("end")], 4, 5);
    assert_eq!((fitted.steps.len(), fitted.cut, fitted.rests.len()), (4, true, 1));
    assert_eq!(fitted.rests[0].step, 1);
    let after = |sent| restored(fitted.steps.clone(), &fitted.rests, sent);
    for sent in [0, 1] {
        let steps = after(sent);
        assert_eq!(shown(&steps), first.clone() + "end", "{sent} sent");
        assert_eq!((steps.len(), &steps[3]), (5, &image), "{sent} sent");
    }
    // What is sent stays what it was.
    for sent in [2, 3, 4] {
        let steps = after(sent);
        assert_eq!(steps[..sent], fitted.steps[..sent]);
        let cut = texts(&fitted)[1].strip_suffix(CUT).unwrap();
        assert_eq!(shown(&steps[sent..sent + 1]), first[2_000 + cut.len()..], "{sent} sent");
        assert_eq!(steps[sent + 1..], fitted.steps[sent..]);
    }
}

#[test]
fn of_what_is_cut_no_more_is_kept_than_all_sends_have_room_for() {
    let fitted = super::fit(vec![text_of("x".repeat(100_000))], 1, 3);
    let whole_again = restored(fitted.steps.clone(), &fitted.rests, 0);
    assert_eq!((whole_again.len(), &fitted.steps[0].kind()), (3, &"text"));
    let Content::Text(last) = &whole_again[2].content else { panic!("no text") };
    assert!(last.ends_with("x…"), "{} bytes", last.len());
    assert_eq!(fit(vec![text_of("x".repeat(100_000))], 3).rests, []);
}

proptest! {
    #[test]
    fn the_parts_are_the_text_and_each_is_one_that_wechat_takes(
        text in r#"(您好|\n| |x{1,300}|😀{1,99}|(🇨🇳){1,99}|(👨‍👩‍👧‍👦){1,40}|(\x{1100}\x{1161}\x{11a8}){1,99}|(e\u{301}{1,9}){1,50}|\u{301}{999}|<a href="u">l</a>|<a |\PC{0,40}){0,200}"#,
        most in 1_usize..6,
    ) {
        let parts = split(&text);
        prop_assert_eq!(parts.concat(), text.clone());
        let ends = parts.iter().scan(0, |end, part| { *end += part.len(); Some(*end) });
        let ends: BTreeSet<usize> = ends.collect();
        for (at, cluster) in text.grapheme_indices(true).filter(|(_, cluster)| cluster.len() <= MAX_TEXT_BYTES) {
            prop_assert_eq!(ends.range(at + 1..at + cluster.len()).next(), None, "within {:?}", cluster);
        }
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

    #[test]
    fn restored_steps_say_all_that_whole_ones_say_however_much_was_sent(
        texts in prop::collection::vec(r#"(您好|\n| |x{1,300}|😀{1,99}|<a href="u">l</a>|\PC{0,40}){0,60}"#, 1..4),
        most in 1_usize..5,
        sent in 0_usize..9,
    ) {
        let replies: Vec<Reply> = texts.iter().map(|text| text_of(text.clone())).collect();
        let whole = super::fit(replies.clone(), usize::MAX, usize::MAX);
        let fitted = super::fit(replies, most, usize::MAX);
        let sent = sent.min(fitted.steps.len());
        let whole_again = restored(fitted.steps.clone(), &fitted.rests, sent);
        prop_assert_eq!(&whole_again[..sent], &fitted.steps[..sent]);
        if sent == 0 {
            prop_assert_eq!(shown(&whole_again), shown(&whole.steps));
        }
        let lost = fitted.steps[..sent].iter().filter(|step| matches!(&step.content, Content::Text(t) if t.ends_with(CUT)));
        let (said, all) = (shown(&whole_again).chars().count(), shown(&whole.steps).chars().count());
        prop_assert!(said >= all && said <= all + lost.count(), "{} of {}", said, all);
    }
}
