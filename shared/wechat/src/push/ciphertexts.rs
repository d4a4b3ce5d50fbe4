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

/// Behind the name in an opening tag. No run of characters is read twice, or a body of opening tags would take time that
/// grows with the square of its length.
fn in_element(after: &str) -> Option<Cow<'_, str>> {
    let content = after.trim_start().strip_prefix('>')?.trim_start();
    let (text, end) = match content.strip_prefix("<![CDATA[") {
        Some(section) => (section, "]]>"),
        None => (content, "</"),
    };
    let (value, rest) = run(text, is_base64);
    (!value.is_empty() && rest.trim_start().starts_with(end)).then_some(Cow::Borrowed(value))
}

/// Behind the name of a member.
fn in_string(after: &str) -> Option<Cow<'_, str>> {
    let text = after.strip_prefix('"')?.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let (written, rest) = run(text, |byte| is_base64(byte) || byte == b'\\');
    if written.is_empty() || !rest.starts_with('"') {
        return None;
    }
    if !written.contains('\\') {
        return Some(Cow::Borrowed(written));
    }
    let value: String = serde_json::from_str(&format!("\"{written}\"")).ok()?;
    value.bytes().all(is_base64).then_some(Cow::Owned(value))
}

fn run(text: &str, belongs: impl Fn(u8) -> bool) -> (&str, &str) {
    let length = text.bytes().position(|byte| !belongs(byte)).unwrap_or(text.len());
    text.split_at(length)
}

fn is_base64(byte: u8) -> bool {
    BASE64[usize::from(byte)]
}

/// A table, since ingress asks this for every byte of every ciphertext.
const BASE64: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'+' | b'/' | b'=');
        byte += 1;
    }
    table
};
