//! The replies of an answer: `{"replies": […]}`, in the shape of a rule's replies.

use kefu_messages::reply::Reply;
use kefu_messages::reply::picture::PictureFolder;
use kefu_messages::reply::untrusted::{self, Misshapen};
use kefu_runtime::Cause;
use kefu_runtime::disk::Disk;
use kefu_wechat::json;
use serde_json::Value;

use super::{Answer, Failure};

/// The replies of an answer, checked like a rule's replies: no more than `most`, with pictures of this folder only, which
/// is on `disk`. No replies for status 204 or 202.
///
/// # Errors
/// [`Failure::Passing`] for a body that is no JSON: something in front of the service may have answered.
/// [`Failure::Refused`] for wrong replies, with every mistake. [`Failure::Unchecked`] if the disk does not answer for their
/// pictures.
pub async fn replies(
    answer: Answer,
    most: usize,
    pictures: &PictureFolder,
    disk: &Disk,
) -> Result<Vec<Reply>, Failure> {
    let host = answer.host.clone();
    check(answer, most, pictures, disk).await.map_err(|failure| failure.of(&host))
}

async fn check(answer: Answer, most: usize, pictures: &PictureFolder, disk: &Disk) -> Result<Vec<Reply>, Failure> {
    let replies = match answer.status {
        200 => read(&answer.body, most)?,
        202 | 204 => return Ok(Vec::new()),
        status => {
            let error = format!("it answered with HTTP status {status}; 200, 202 and 204 are answers");
            return Err(Failure::Refused(error.into()));
        }
    };
    let shows_picture = |reply: &Reply| reply.picture().is_some();
    // Only pictures need the disk.
    let (replies, problems) = if replies.iter().any(shows_picture) {
        let pictures = pictures.clone();
        let checked = disk.call(move || {
            let problems = untrusted::problems(&replies, Some(&pictures));
            Ok((replies, problems))
        });
        let unchecked = |error: std::io::Error| {
            Failure::Unchecked(Cause::from(error).at("the pictures that it answered with cannot be looked at"))
        };
        checked.await.map_err(unchecked)?
    } else {
        let problems = untrusted::problems(&replies, None);
        (replies, problems)
    };
    if problems.is_empty() { Ok(replies) } else { Err(Failure::Refused(problems.join("; ").into())) }
}

/// The replies as they are written, with faults within a text mended. Errors name places, never values.
fn read(body: &[u8], most: usize) -> Result<Vec<Reply>, Failure> {
    let answer: Value = json::from_slice(body).map_err(|error| {
        Failure::passing(format!("it answered with HTTP status 200 and no JSON ({})", json::mistake(&error)))
    })?;
    let Some(Value::Array(replies)) = answer.get("replies") else {
        return Err(Failure::Refused("its answer has no list \"replies\"".into()));
    };
    if replies.len() > most {
        let error = format!("its answer has {} replies, WeChat takes {most} here", replies.len());
        return Err(Failure::Refused(error.into()));
    }
    let (mut read, mut problems) = (Vec::new(), Vec::new());
    for (index, value) in replies.iter().enumerate() {
        match untrusted::read(value) {
            Ok(reply) => read.push(reply),
            Err(Misshapen { place, problem }) => {
                let dot = if place.is_empty() { "" } else { "." };
                problems.push(format!("replies[{index}]{dot}{place}: {problem}"));
            }
        }
    }
    if problems.is_empty() { Ok(read) } else { Err(Failure::Refused(problems.join("; ").into())) }
}

#[cfg(test)]
mod tests;
