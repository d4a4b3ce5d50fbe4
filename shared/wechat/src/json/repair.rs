//! Strings that are nearly JSON.

use std::iter::Peekable;
use std::str::Chars;

/// The text with its strings made well-formed, or `None` when the strings had no fault. Control characters are escaped;
/// `for_half` stands for half a surrogate pair; a backslash that begins no escape becomes a backslash that means itself.
pub(crate) fn repaired(text: &str, for_half: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 16);
    let mut in_string = false;
    let mut chars = text.chars().peekable();
    while let Some(character) = chars.next() {
        match character {
            '\\' if in_string => escape(&mut chars, &mut out, for_half),
            '\0'..='\x1f' if in_string => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            '"' => {
                in_string = !in_string;
                out.push('"');
            }
            _ => out.push(character),
        }
    }
    (out != text).then_some(out)
}

/// Copies a backslash and the characters that belong to it.
fn escape(chars: &mut Peekable<Chars<'_>>, out: &mut String, for_half: &str) {
    match chars.peek() {
        Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => {
            out.push('\\');
            out.extend(chars.next());
        }
        Some('u') => match hex(chars) {
            None => out.push_str(r"\\"),
            Some(high @ 0xd800..0xdc00) => {
                take(chars, 5);
                let mut after = chars.clone();
                match (after.next(), hex(&after)) {
                    (Some('\\'), Some(low @ 0xdc00..0xe000)) => {
                        take(chars, 6);
                        out.push_str(&format!("\\u{high:04x}\\u{low:04x}"));
                    }
                    _ => out.push_str(for_half),
                }
            }
            Some(0xdc00..0xe000) => {
                take(chars, 5);
                out.push_str(for_half);
            }
            Some(_) => {
                out.push('\\');
                out.extend(chars.take(5));
            }
        },
        _ => out.push_str(r"\\"),
    }
}

/// The number of a `uXXXX` that comes next.
fn hex(chars: &Peekable<Chars<'_>>) -> Option<u32> {
    let mut chars = chars.clone();
    if chars.next() != Some('u') {
        return None;
    }
    chars
        .take(4)
        .try_fold((0, 0), |(count, number), digit| Some((count + 1, number * 16 + digit.to_digit(16)?)))
        .and_then(|(count, number)| (count == 4).then_some(number))
}

fn take(chars: &mut Peekable<Chars<'_>>, count: usize) {
    for _ in 0..count {
        chars.next();
    }
}
