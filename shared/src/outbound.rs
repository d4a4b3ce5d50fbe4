//! What a team's own backend sends to a user through kefu: `POST /v1/accounts/{appid}/messages`.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::openid::OpenId;
use crate::reply::split;
use crate::reply::{Content, Reply};
use crate::wechat::push::{Content as Pushed, Fields, Format, Push};

/// `msg_type` in an envelope where a push has its `MsgType`.
pub const MSG_TYPE: &str = "kefu_send";

/// The replies of one message, sent in this order.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbound {
    /// As a rule's.
    pub replies: Vec<Reply>,
    /// The sub-merchant in whose session is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_id: Option<u64>,
}

impl Outbound {
    /// What cannot be sent of it, in words. `most`: how many replies WeChat takes after a user's message; the parts that a
    /// long text is sent in count. With the folder that its pictures are in, and nowhere else, and the most bytes that one
    /// may have, they are read; else replies with one are believed to be as they were.
    pub fn problems(&self, most: u32, pictures: Option<(&Path, u64)>) -> Vec<String> {
        let mut problems = Vec::new();
        let count = self.replies.len();
        let sends: usize = self.replies.iter().map(sends).sum();
        if !(1..=most as usize).contains(&count) {
            problems.push(format!("replies: there are {count}, must be from 1 to {most}"));
        } else if sends > most as usize {
            let text = format!("replies: with long texts in parts they are {sends} sends, the most is {most}");
            problems.push(text);
        }
        for (index, reply) in self.replies.iter().enumerate() {
            let found = match (picture(reply), pictures) {
                (Some((name, file)), _) if !stays_within(file) => vec![format!(
                    "{name} must be a path within the folder of kefu's configuration: no leading / and no .. in it"
                )],
                (Some(_), None) => Vec::new(),
                (_, Some((folder, max_bytes))) => reply.problems(folder, max_bytes),
                (None, None) => reply.problems(Path::new(""), 0),
            };
            problems.extend(found.into_iter().map(|problem| format!("replies {}: {problem}", index + 1)));
        }
        problems
    }
}

/// Shows how much it is: what is said to users must not reach a log.
impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("replies", &self.replies).finish_non_exhaustive()
    }
}

/// How many calls it takes.
fn sends(reply: &Reply) -> usize {
    if let Content::Text(text) = &reply.content { split::count(text) } else { 1 }
}

fn picture(reply: &Reply) -> Option<(&'static str, &Path)> {
    match &reply.content {
        Content::Text(_) | Content::Link(_) => None,
        Content::Image(file) => Some(("image", file)),
        Content::Miniprogrampage(card) => Some(("miniprogrampage.thumb", &card.thumb)),
    }
}

/// Whoever has the API's key may send the pictures beside the configuration, and no other file of the machine.
fn stays_within(file: &Path) -> bool {
    file.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// What stands in the envelope where a push is: it names the user, and whose session it is.
pub(crate) fn push_of(user: OpenId, business_id: Option<u64>, at_ms: u64) -> Push {
    Push {
        format: Format::Json,
        to_user: String::new(),
        from_user: user,
        create_time: i64::try_from(at_ms / 1_000).unwrap_or_default(),
        msg_id: None,
        business_id,
        msg_type: MSG_TYPE.to_owned(),
        content: Pushed::Other,
        fields: Fields::default(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn problems(replies: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        for file in ["a.png", "inner/b.png"] {
            std::fs::write(folder.path().join(file), b"\x89PNG").unwrap();
        }
        let outbound: Outbound = serde_json::from_str(&format!(r#"{{"replies":{replies}}}"#)).unwrap();
        outbound.problems(5, Some((&folder.path().join("inner"), 1_000)))
    }

    #[test]
    fn what_can_be_sent_has_no_problems() {
        assert_eq!(problems(r#"[{"text":"hi"},{"image":"b.png"},{"image":"./b.png","kf_account":"a@b"}]"#), [""; 0]);
    }

    #[test]
    fn a_picture_elsewhere_is_refused_though_it_is_there() {
        for file in ["../a.png", "/etc/hostname", "x/../../a.png"] {
            let problems = problems(&format!(r#"[{{"text":"hi"}},{{"image":"{file}"}}]"#));
            assert!(problems.len() == 1 && problems[0].starts_with("replies 2: image must be a path"), "{problems:?}");
        }
        let card = r#"[{"miniprogrampage":{"title":"t","pagepath":"p","thumb":"../a.png"}}]"#;
        assert!(problems(card)[0].starts_with("replies 1: miniprogrampage.thumb must be"), "{:?}", problems(card));
    }

    #[test]
    fn without_a_folder_pictures_are_not_read_and_all_else_is_checked() {
        let replies = r#"[{"image":"absent.png"},{"image":"../a.png"},{"text":" "}]"#;
        let outbound: Outbound = serde_json::from_str(&format!(r#"{{"replies":{replies}}}"#)).unwrap();
        let problems = outbound.problems(5, None);
        assert!(problems.len() == 2 && problems[1] == "replies 3: text is empty", "{problems:?}");
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
