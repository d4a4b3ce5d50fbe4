//! The actions of the demo's users: the messages of WeChat's documentation, in both formats and all modes.

use kefu_simulator::Message;
use kefu_wechat::push::Format::{self, Json, Xml};

use super::accounts::{COMPAT, PLAIN, SAFE};

/// One push, and the types of the replies that the rules give.
pub(super) struct Scene {
    pub(super) user: String,
    pub(super) account: &'static str,
    pub(super) mode: &'static str,
    pub(super) format: Format,
    pub(super) message: Message,
    /// How often the simulator sends the very same push.
    pub(super) times: u32,
    pub(super) replies: &'static [&'static str],
}

pub(super) fn scenes() -> Vec<Scene> {
    let text = |content: &str| Message::text(content);
    let enter = || Message::enter("sessionFrom");
    let mut scenes = vec![
        scene(PLAIN, Xml, enter(), &["text"]),
        scene(SAFE, Json, enter(), &["text"]),
        scene(PLAIN, Xml, text("this is a test"), &["text"]),
        scene(PLAIN, Json, text("this is a test"), &["text"]),
        scene(SAFE, Xml, text("this is a test"), &["text"]),
        scene(SAFE, Json, text("请发二维码"), &["image", "text"]),
        scene(COMPAT, Json, text("帮助"), &["link"]),
        scene(PLAIN, Json, Message::image(), &["image"]),
        scene(SAFE, Xml, Message::image(), &["image"]),
        scene(COMPAT, Xml, card(), &["miniprogrampage"]),
        scene(SAFE, Json, card(), &["miniprogrampage"]),
        Scene { times: 2, ..scene(SAFE, Xml, text("sent twice, answered once"), &["text"]) },
        scene(SAFE, Json, text("the next message of the same user"), &["text"]),
    ];
    for (index, scene) in scenes.iter_mut().enumerate() {
        scene.user = format!("oDemoUser{:02}", index + 1);
    }
    // The worker handles the next message of a user after the former message. By then a second reply to the former
    // message would have arrived.
    let last = scenes.len() - 1;
    scenes[last].user = scenes[last - 1].user.clone();
    scenes
}

fn scene(account: &'static str, format: Format, message: Message, replies: &'static [&'static str]) -> Scene {
    let mode = match account {
        PLAIN => "plain",
        COMPAT => "compat",
        _ => "safe",
    };
    Scene { user: String::new(), account, mode, format, message, times: 1, replies }
}

fn card() -> Message {
    Message::Miniprogrampage {
        title: "title".to_owned(),
        app_id: String::new(),
        page_path: "pages/goods/index?id=1".to_owned(),
        thumb_url: String::new(),
        thumb_media_id: String::new(),
    }
}
