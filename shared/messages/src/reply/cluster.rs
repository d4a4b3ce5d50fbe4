//! Grapheme clusters: a grapheme cluster is a character as a reader sees it, of one or many code points. A flag has two
//! code points, a family up to seven, and a cluster may have any number of combining marks.
//!
//! Source: <https://www.unicode.org/reports/tr29/>.

use unicode_segmentation::GraphemeCursor;

/// The last end of a cluster within the first `most` bytes of a text. If even the first cluster is longer, the last end of
/// a character.
pub fn floor(text: &str, most: usize) -> usize {
    let at = text.floor_char_boundary(most);
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    // The cursor has the whole text, so no step asks for more of it.
    match cursor.is_boundary(text, 0) {
        Ok(false) => cursor.prev_boundary(text, 0).ok().flatten().filter(|end| *end > 0).unwrap_or(at),
        _ => at,
    }
}

/// Whether a cluster of a text ends at a place between two characters.
pub(super) fn ends_at(text: &str, at: usize) -> bool {
    GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation;

    use super::*;

    #[test]
    fn what_is_seen_as_one_character_stays_whole() {
        for cluster in ["🇨🇳", "👨‍👩‍👧‍👦", "👍🏽", "\u{1100}\u{1161}\u{11a8}", "e\u{301}", "नि", "\r\n", "❤\u{fe0f}", "क्षि"]
        {
            let text = format!("a{cluster}b");
            for most in 1..=cluster.len() {
                assert_eq!(floor(&text, most), 1, "{cluster} in {most} bytes");
            }
            assert_eq!(floor(&text, 1 + cluster.len()), 1 + cluster.len(), "{cluster}");
        }
    }

    #[test]
    fn a_cluster_that_does_not_fit_is_cut_at_a_character() {
        let zalgo = "e".to_owned() + &"\u{301}".repeat(50);
        assert_eq!((floor(&zalgo, 10), floor(&zalgo, 11), floor(&zalgo, 1_000)), (9, 11, 101));
        assert_eq!(floor("", 10), 0);
    }

    proptest! {
        #[test]
        fn it_is_the_last_end_of_a_cluster_that_fits(text in r"(🇨🇳|👨‍👩‍👧|\x{1100}\x{1161}\x{11a8}|\x{1100}|\u{301}|\u{200d}|👍🏽|क्ष|a| |\r\n|\PC){0,30}", most in 4_usize..60) {
            let mut ends = text.grapheme_indices(true).map(|(at, cluster)| at + cluster.len());
            let expected = ends.clone().take_while(|end| *end <= most).last();
            prop_assert_eq!(floor(&text, most), expected.unwrap_or(text.floor_char_boundary(most)));
            prop_assert!(ends.all(|end| ends_at(&text, end)));
        }
    }
}
