//! The ciphertext of an encrypted body, found without reading the body.

use std::borrow::Cow;

use memchr::memmem;

const NAME: &str = "Encrypt";

/// How many texts are tried: more than any body has, unless the sender wants to make the search expensive.
const MOST: usize = 8;

/// The texts that may be the `Encrypt` of an encrypted body, in XML or JSON, the longest first and at most 8. The text
/// whose `msg_signature` is right is the true one.
///
/// Nothing else of the body is read. The body may be ill-formed, and the clear copy of compat mode may contain a text that
/// looks like an `Encrypt`. A true `Encrypt` is longer than any text of that copy, because the `Encrypt` contains the copy
/// encrypted.
pub fn ciphertexts(body: &str) -> Vec<Cow<'_, str>> {
    let mut found: Vec<Cow<'_, str>> = Vec::new();
    for at in memmem::find_iter(body.as_bytes(), NAME) {
        let (Some(before), Some(after)) = (body.get(..at), body.get(at + NAME.len()..)) else { continue };
        let value = match before.as_bytes().last() {
            Some(b'<') => in_element(after),
            Some(b'"') => in_string(after),
            _ => None,
        };
        if let Some(value) = value {
            let place = found.partition_point(|longer| longer.len() >= value.len());
            found.insert(place, value);
            found.truncate(MOST);
        }
    }
    found
}

/// Behind the name in an opening tag. No run of characters is read again and again, or a body of opening tags would take time that
/// grows with the square of its length.
fn in_element(after: &str) -> Option<Cow<'_, str>> {
    let content = after.trim_start().strip_prefix('>')?.trim_start();
    let (text, end) = match content.strip_prefix("<![CDATA[") {
        Some(section) => (section, "]]>"),
        None => (content, "</"),
    };
    let (value, rest) = text.split_at(base64_length(text.as_bytes()));
    (!value.is_empty() && rest.trim_start().starts_with(end)).then_some(Cow::Borrowed(value))
}

/// Behind the name of a member.
fn in_string(after: &str) -> Option<Cow<'_, str>> {
    let text = after.strip_prefix('"')?.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let (written, rest) = text.split_at(written_length(text.as_bytes()));
    if written.is_empty() || !rest.starts_with('"') {
        return None;
    }
    if !written.contains('\\') {
        return Some(Cow::Borrowed(written));
    }
    let value: String = serde_json::from_str(&format!("\"{written}\"")).ok()?;
    value.bytes().all(is_base64).then_some(Cow::Owned(value))
}

/// How many bytes of Base64 the text begins with. Ingress asks this for every byte of every ciphertext, so the bytes are
/// looked at in pieces, each with a few instructions of the processor.
fn base64_length(text: &[u8]) -> usize {
    let whole =
        text.chunks_exact(PIECE).take_while(|piece| piece.iter().fold(true, |all, &byte| all & is_base64(byte)));
    let read = whole.count() * PIECE;
    let rest = text.get(read..).unwrap_or_default();
    read + rest.iter().position(|&byte| !is_base64(byte)).unwrap_or(rest.len())
}

/// As [`base64_length`], for Base64 in which JSON may have escaped characters.
fn written_length(text: &[u8]) -> usize {
    let mut read = base64_length(text);
    while text.get(read) == Some(&b'\\') {
        read += 1;
        read += base64_length(text.get(read..).unwrap_or_default());
    }
    read
}

/// The bytes of a piece.
const PIECE: usize = 32;

fn is_base64(byte: u8) -> bool {
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    is_letter | (byte.wrapping_sub(b'0') < 10) | (byte == b'+') | (byte == b'/') | (byte == b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ciphertext_ends_before_the_first_byte_that_is_no_base64() {
        for length in 0..=3 * PIECE {
            for byte in 0..=u8::MAX {
                let mut text = vec![b'a'; 3 * PIECE + 1];
                text[length] = byte;
                let belongs = byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
                assert_eq!(base64_length(&text), if belongs { text.len() } else { length }, "{byte:#x}");
            }
        }
        assert_eq!(base64_length(b""), 0);
        assert_eq!(written_length(br#"AA\/BB\u002b=" :"#), 13);
    }
}
