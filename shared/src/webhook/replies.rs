//! The replies of an answer: `{"replies": […]}`, in the shape that they have in rules.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::{Answer, Failure};
use crate::reply::{Content, Reply};

/// What the replies of an answer must keep to.
#[derive(Debug, Clone)]
pub struct Allowed {
    /// How many there may be.
    pub most: usize,
    /// The configuration's folder, where the names of pictures start and which they must not leave.
    pub folder: PathBuf,
    /// The largest picture.
    pub max_image_bytes: u64,
}

/// The replies of an answer, checked as those of rules are; none for status 204, or 202.
///
/// # Errors
/// [`Failure::Passing`] for what is no JSON: something in front of the service may have answered. [`Failure::Refused`]
/// for replies that are wrong, with all that is wrong.
pub async fn replies(answer: Answer, allowed: Allowed) -> Result<Vec<Reply>, Failure> {
    let host = answer.host.clone();
    check(answer, allowed).await.map_err(|failure| failure.of(&host))
}

async fn check(answer: Answer, allowed: Allowed) -> Result<Vec<Reply>, Failure> {
    let replies = match answer.status {
        200 => read(&answer.body, allowed.most)?,
        202 | 204 => return Ok(Vec::new()),
        status => {
            let error = format!("it answered with HTTP status {status}; 200, 202 and 204 are answers");
            return Err(Failure::Refused(error));
        }
    };
    // Pictures are read from the disk.
    let checked = tokio::task::spawn_blocking(move || {
        let problems = problems(&replies, &allowed);
        (replies, problems)
    });
    let (replies, problems) = checked.await.map_err(|_| Failure::passing("looking at its replies failed"))?;
    if problems.is_empty() { Ok(replies) } else { Err(Failure::Refused(problems.join("; "))) }
}

/// The replies as they are written. Errors name places, never values.
fn read(body: &[u8], most: usize) -> Result<Vec<Reply>, Failure> {
    let answer: Value = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::passing(format!("it answered 200 and no JSON (line {line} column {column})"))
    })?;
    let Some(Value::Array(replies)) = answer.get("replies") else {
        return Err(Failure::Refused("its answer has no list \"replies\"".to_owned()));
    };
    if replies.len() > most {
        let error = format!("its answer has {} replies, WeChat takes {most} here", replies.len());
        return Err(Failure::Refused(error));
    }
    let (mut read, mut problems) = (Vec::new(), Vec::new());
    for (index, value) in replies.iter().enumerate() {
        match reply(value) {
            Ok(reply) => read.push(reply),
            Err(problem) => problems.push(format!("reply {}: {problem}", index + 1)),
        }
    }
    if problems.is_empty() { Ok(read) } else { Err(Failure::Refused(problems.join("; "))) }
}

fn reply(value: &Value) -> Result<Reply, String> {
    let (mut track, mut unknown) = (serde_path_to_error::Track::new(), BTreeSet::new());
    let watched = serde_path_to_error::Deserializer::new(value, &mut track);
    let result = serde_ignored::deserialize(watched, |path| {
        unknown.insert(path.to_string());
    });
    let reply = result.map_err(|error: serde_json::Error| {
        let path = track.path().to_string();
        let place = if path == "." { String::new() } else { format!("{} ", shown(&path)) };
        format!("{place}{}", plain(&error))
    });
    match unknown.first() {
        // A field that was misspelt: without it another thing would be sent than was meant.
        Some(path) if reply.is_ok() => Err(format!("there is no such field: {}", shown(path.trim_start_matches("?.")))),
        _ => reply,
    }
}

/// The message of an error without the value, which may be a text for a user.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.strip_prefix("invalid ").and_then(|text| text.rsplit_once(", expected ")) {
        Some((_, "struct ReplySection")) => "must be an object".to_owned(),
        Some((_, expected)) => format!("must be {expected}"),
        None => shown(&text),
    }
}

/// What came from outside, short.
fn shown(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    shown.extend(text.chars().nth(LONGEST).map(|_| '…'));
    shown.replace("\\\"", "\"")
}

fn problems(replies: &[Reply], allowed: &Allowed) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, reply) in replies.iter().enumerate() {
        let place = format!("reply {}", index + 1);
        let picture = match &reply.content {
            Content::Text(_) | Content::Link(_) => None,
            Content::Image(file) => Some(file),
            Content::Miniprogrampage(card) => Some(&card.thumb),
        };
        match picture {
            Some(file) if !is_within(&allowed.folder, file) => problems.push(format!(
                "{place}: the picture must be the name of a file in the configuration's folder, or below it"
            )),
            _ => problems.extend(
                reply
                    .problems(&allowed.folder, allowed.max_image_bytes)
                    .into_iter()
                    .map(|problem| format!("{place}: {}", shown(&problem))),
            ),
        }
    }
    problems
}

/// Whether a name stays within the folder, symbolic links followed. One that does not exist is left to whoever reads it.
fn is_within(folder: &Path, file: &Path) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if file.as_os_str().is_empty() || !file.components().all(plain) {
        return false;
    }
    // An empty folder is the one that the program runs in.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match (folder.canonicalize(), folder.join(file).canonicalize()) {
        (Ok(folder), Ok(file)) => file.starts_with(folder),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
