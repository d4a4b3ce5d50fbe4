//! Control characters, which no outgoing text contains.
//!
//! JSON writes the characters below U+0020 as `\u0002`, and WeChat refuses such texts (errcode 40033). Texts that were
//! copied from terminals and spreadsheets contain them. The characters from U+0080 to U+009F, and the line separators
//! U+2028 and U+2029, stay: JSON writes them unchanged, and WeChat takes them.

use std::borrow::Cow;
use std::path::Path;

/// How many characters of one text a notice names.
const NAMED: usize = 3;

/// Whether WeChat refuses a text that contains this character: a character below U+0020 except line breaks and tabs, or
/// U+007F.
pub const fn is_refused(c: char) -> bool {
    matches!(c, '\0'..'\x20' | '\x7f') && !matches!(c, '\n' | '\r' | '\t')
}

/// The text in the form that may go out: without these characters, and with `\n` for the line breaks `\r\n` and `\r`.
pub fn cleaned(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| is_refused(c) || c == '\r') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut after_return = false;
    for c in text.chars().filter(|c| !is_refused(*c)) {
        if !(c == '\n' && after_return) {
            out.push(if c == '\r' { '\n' } else { c });
        }
        after_return = c == '\r';
    }
    Cow::Owned(out)
}

/// Whether only blanks are left of the text.
fn leaves_nothing(text: &str) -> bool {
    cleaned(text).trim().is_empty()
}

/// Why the text of a field is blank, in words, if it is blank.
pub(crate) fn blank(field: &str, text: &str) -> Option<String> {
    leaves_nothing(text).then(|| match text.contains(is_refused) {
        true => format!("nothing is left of {field} without control characters"),
        false => format!("{field} is empty"),
    })
}

/// The text in the form that may go out. If nothing would be left, the text stays as it is, for [`blank`] to report.
pub(crate) fn clean(text: &mut String) {
    if let Cow::Owned(clean) = cleaned(text)
        && !clean.trim().is_empty()
    {
        *text = clean;
    }
}

/// The control characters in the name of a file, and their places, in words.
pub(crate) fn in_file_name(field: &str, file: &Path) -> Option<String> {
    let named = named(&file.to_string_lossy(), char::is_control)?;
    Some(format!("{field} names a file with control characters in its name, which is refused: {named}"))
}

/// The control characters in the text of a field, and their places, in words; `None` for a text of which nothing is left.
pub(crate) fn notice(field: &str, text: &str) -> Option<String> {
    let named = named(text, is_refused).filter(|_| !leaves_nothing(text))?;
    Some(format!("{field} has control characters that WeChat refuses, and is sent without them: {named}"))
}

fn named(text: &str, is_one: impl Fn(char) -> bool) -> Option<String> {
    let mut refused = text.chars().enumerate().filter(|(_, c)| is_one(*c));
    let named = refused.by_ref().take(NAMED).map(|(at, c)| format!("U+{:04X} (character {})", u32::from(c), at + 1));
    let named: Vec<String> = named.collect();
    let more = match refused.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty()).then(|| format!("{}{more}", named.join(", ")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_go_and_line_breaks_are_one_character() {
        for (text, clean) in [
            ("a\u{0}b\u{2}\u{8}\u{b}\u{c}\u{1b}[1m\u{1f}\u{7f}c", "ab[1mc"),
            ("a\tb\nc", "a\tb\nc"),
            ("a\r\nb\rc\r\r\n\nd\r", "a\nb\nc\n\n\nd\n"),
            ("a\r\u{2}\nb", "a\nb"),
            ("a\u{85}b\u{9f}\u{2028}\u{2029}\u{feff}\u{fffd}", "a\u{85}b\u{9f}\u{2028}\u{2029}\u{feff}\u{fffd}"),
            ("\u{1}\u{2}", ""),
        ] {
            assert_eq!(cleaned(text), clean, "{text:?}");
        }
        assert!(matches!(cleaned("您好\t😀\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_notice_says_which_and_where() {
        assert_eq!(notice("text", "您好\r\n\t"), None);
        let said = notice("text", "您\u{2}好\u{7f}").unwrap_or_default();
        assert!(said.ends_with("without them: U+0002 (character 2), U+007F (character 4)"), "{said}");
        let said = notice("text", &format!("{}a", "\u{1}".repeat(5))).unwrap_or_default();
        assert!(said.ends_with("U+0001 (character 3) and 2 more"), "{said}");
    }

    #[test]
    fn a_text_of_control_characters_alone_is_not_said_to_be_empty() {
        for (text, said) in [
            ("", Some("text is empty")),
            (" \r\n\t", Some("text is empty")),
            ("\u{1}", Some("nothing is left of text without control characters")),
            (" \u{1}\n\u{7f}", Some("nothing is left of text without control characters")),
            ("\u{1}a", None),
        ] {
            assert_eq!(blank("text", text).as_deref(), said, "{text:?}");
        }
        assert_eq!(notice("text", "\u{1} "), None, "nothing of it is sent");
    }

    proptest! {
        #[test]
        fn a_clean_text_has_none_stays_as_it_is_and_nothing_else_is_lost(text in r"[\x00-\x7f您😀\u{85}]{0,40}") {
            let clean = cleaned(&text);
            prop_assert!(!clean.contains(|c: char| is_refused(c) || c == '\r'));
            prop_assert_eq!(&cleaned(&clean), &clean);
            let rest = |text: &str| text.chars().filter(|c| !c.is_ascii_control() || *c == '\t').collect::<String>();
            prop_assert_eq!(rest(&text), rest(&clean));
        }
    }
}
