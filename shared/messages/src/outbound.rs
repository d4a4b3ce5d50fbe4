//! The messages that a team's own backend sends to a user through kefu: `POST /v1/accounts/{appid}/messages`.

use serde::{Deserialize, Serialize};

use crate::reply::Reply;
use crate::reply::picture::PictureFolder;
use crate::reply::untrusted;

/// `msg_type` in an envelope where a push has its `MsgType`.
pub const MSG_TYPE: &str = "kefu_send";

/// The replies of one message, sent in this order.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbound {
    /// In the shape of a rule's replies.
    pub replies: Vec<Reply>,
    /// The sub-merchant of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_id: Option<u64>,
}

impl Outbound {
    /// The reasons, in words, why the message cannot be sent. `most`: how many replies WeChat takes after a user's message;
    /// each part of a long text counts. `pictures`: as for [`untrusted::problems`].
    pub fn problems(&self, most: u32, pictures: Option<&PictureFolder>) -> Vec<String> {
        let mut problems = Vec::new();
        let count = self.replies.len();
        let sends: usize = self.replies.iter().map(Reply::sends).sum();
        if !(1..=most as usize).contains(&count) {
            problems.push(format!("replies: there are {count}, must be from 1 to {most}"));
        } else if sends > most as usize {
            let text = format!("replies: with long texts in parts they are {sends} sends, the most is {most}");
            problems.push(text);
        }
        problems.extend(untrusted::problems(&self.replies, pictures));
        problems
    }
}

/// Shows the amount only: texts to users must not reach a log.
impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("replies", &self.replies).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(replies: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.png"), b"\x89PNG").unwrap();
        let outbound: Outbound = serde_json::from_str(&format!(r#"{{"replies":{replies}}}"#)).unwrap();
        outbound.problems(5, Some(&PictureFolder { path: folder.path().to_owned(), max_bytes: 1_000 }))
    }

    #[test]
    fn what_cannot_be_sent_is_said_and_what_can_be_has_no_problems() {
        assert_eq!(problems(r#"[{"text":" "}]"#), ["replies[0]: text is empty"]);
        assert_eq!(problems(r#"[{"text":"hi"},{"image":"b.png"},{"image":"./b.png","kf_account":"a@b"}]"#), [""; 0]);
    }

    #[test]
    fn there_are_as_many_replies_as_a_user_may_get_long_texts_in_parts() {
        assert_eq!(problems("[]"), ["replies: there are 0, must be from 1 to 5"]);
        let six = [r#"{"text":"hi"}"#; 6].join(",");
        assert_eq!(problems(&format!("[{six}]")), ["replies: there are 6, must be from 1 to 5"]);
        let long = |characters: usize| format!(r#"[{{"image":"b.png"}},{{"text":"{}"}}]"#, "客".repeat(characters));
        assert_eq!(problems(&long(2_600)), [""; 0]);
        assert_eq!(problems(&long(2_700)), ["replies: with long texts in parts they are 6 sends, the most is 5"]);
    }
}
