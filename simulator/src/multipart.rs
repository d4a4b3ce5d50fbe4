//! As much of multipart/form-data as an upload needs.

/// One part of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) name: Option<String>,
    /// As the bytes stand there, UTF-8 or not.
    pub(crate) filename: Option<String>,
    pub(crate) data: &'a [u8],
}

/// The parts of a body; `None` if the Content-Type has no boundary or the body does not keep to it.
pub(crate) fn parts<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<Part<'a>>> {
    let (kind, _) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let delimiter = [b"--", parameter(content_type, "boundary")?.as_bytes()].concat();
    let mut rest = body.get(find(body, &delimiter)? + delimiter.len()..)?;
    let mut parts = Vec::new();
    let separator = [b"\r\n", delimiter.as_slice()].concat();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = find(part, &separator)?;
        parts.push(read(&part[..end])?);
        rest = &part[end + separator.len()..];
    }
    rest.starts_with(b"--").then_some(parts)
}

fn read(part: &[u8]) -> Option<Part<'_>> {
    let end = find(part, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&part[..end]);
    let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    Some(Part {
        name: parameter(disposition, "name"),
        filename: parameter(disposition, "filename"),
        data: &part[end + 4..],
    })
}

/// A parameter of a header, quoted or not. `filename*` is another one, which WeChat does not know.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=XX";

    #[test]
    fn the_parts_of_a_body_are_found_with_their_names_and_bytes() {
        let body = b"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--XX\r\n\
            content-disposition: form-data; name=\"media\"; filename=\"p.png\"\r\nContent-Type: image/png\r\n\r\n\
            \x89\r\n--X\r\n--XX--\r\n";
        let parts = parts(TYPE, body).unwrap();
        assert_eq!((parts[0].name.as_deref(), parts[0].data), (Some("a"), &b"1"[..]));
        assert_eq!(parts[1].filename.as_deref(), Some("p.png"));
        assert_eq!(parts[1].data, b"\x89\r\n--X");
    }

    #[test]
    fn a_body_that_is_cut_or_of_another_type_has_no_parts() {
        let cut = b"--XX\r\nContent-Disposition: form-data; name=\"media\"\r\n\r\nabc";
        assert_eq!(parts(TYPE, cut), None);
        assert_eq!(parts("application/json", b"{}"), None);
        assert_eq!(parts("multipart/form-data", b""), None);
    }
}
