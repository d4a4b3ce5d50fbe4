//! Plays the messages of WeChat's documentation, in both formats and all modes, and prints what happens.

use std::collections::BTreeMap;

use kefu_simulator::{Entry, Event, Filter, Message, PushReport, PushRequest, Simulator};
use kefu_wechat::push::Format::{self, Json, Xml};

use super::REPLY_WITHIN;
use super::accounts::{COMPAT, PLAIN, SAFE};
use crate::terminal::count;

/// Plays all scenes. Returns whether ingress answered every push with `success` and every reply arrived once, in order.
pub(super) async fn all(simulator: &Simulator) -> anyhow::Result<bool> {
    let scenes = scenes();
    let mut wrong = 0;
    let mut expected: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (index, scene) in scenes.iter().enumerate() {
        let so_far = expected.entry(&scene.user).or_default();
        so_far.extend(scene.replies);
        if !play(simulator, index + 1, scene, so_far.len()).await? {
            wrong += 1;
        }
    }
    for (user, expected) in expected {
        let delivered = simulator.journal(&delivered_to(user));
        let kinds: Vec<&str> = delivered.iter().map(|entry| kind_of(entry)).collect();
        if kinds != expected {
            wrong += 1;
            println!("WRONG: {user} should have got {expected:?} and got {kinds:?}");
        }
    }
    let replies: usize = scenes.iter().map(|scene| scene.replies.len()).sum();
    match wrong {
        0 => println!("All {} pushes were answered, all {replies} replies arrived once and in order.\n", scenes.len()),
        _ => println!("{} went wrong.\n", count(wrong, "thing", "things")),
    }
    Ok(wrong == 0)
}

/// Plays one scene. Returns whether ingress answered the push and the push's user has `replies` replies by now.
async fn play(simulator: &Simulator, number: usize, scene: &Scene, replies: usize) -> anyhow::Result<bool> {
    let mut request = PushRequest::new(scene.account, &scene.user, scene.message.clone());
    request.format = Some(scene.format);
    request.times = scene.times;
    let format = if scene.format == Xml { "XML" } else { "JSON" };
    let twice = if scene.times > 1 { ", sent twice" } else { "" };
    println!("{number:2}  push   {} ({format}, {}{twice})", said(&scene.message), scene.mode);

    let started = std::time::Instant::now();
    let report = simulator.push(request).await?;
    print_answers(&report);
    let delivered = simulator.journal_wait(&delivered_to(&scene.user), replies, REPLY_WITHIN).await;
    for entry in delivered.iter().filter(|entry| entry.seq > report.since) {
        println!("    reply  {}", reply_of(entry));
    }
    let arrived = delivered.len() == replies;
    match arrived {
        true => println!("           all arrived after {:.1} ms\n", started.elapsed().as_secs_f64() * 1_000.0),
        false => println!("           replies are MISSING after {} s\n", REPLY_WITHIN.as_secs()),
    }
    Ok(report.answered && arrived)
}

fn delivered_to(user: &str) -> Filter {
    Filter { user: Some(user.to_owned()), delivered: Some(true), ..Filter::default() }
}

fn print_answers(report: &PushReport) {
    for one in report.copies.iter().flat_map(|copy| &copy.tries) {
        let body = one.body.as_deref().or(one.detail.as_deref()).unwrap_or("nothing");
        println!("    answer {body} after {:.1} ms", one.duration_ms);
    }
}

fn said(message: &Message) -> String {
    match message {
        Message::Text { content } => format!("text \"{content}\""),
        Message::Image { .. } => "image".to_owned(),
        Message::Miniprogrampage { page_path, .. } => format!("miniprogrampage {page_path}"),
        Message::Enter { session_from } => format!("event user_enter_tempsession from \"{session_from}\""),
        other => other.msg_type().to_owned(),
    }
}

fn kind_of(entry: &Entry) -> &str {
    match &entry.event {
        Event::ApiCall(call) => call.request["msgtype"].as_str().unwrap_or_default(),
        _ => "",
    }
}

fn reply_of(entry: &Entry) -> String {
    let Event::ApiCall(call) = &entry.event else { return String::new() };
    let kind = kind_of(entry);
    let said = match kind {
        "text" => &call.request["text"]["content"],
        "image" => &call.request["image"]["media_id"],
        "link" => &call.request["link"]["title"],
        _ => &call.request["miniprogrampage"]["pagepath"],
    };
    format!("{kind} {said}")
}

/// One push, and the types of the replies that the rules give.
struct Scene {
    user: String,
    account: &'static str,
    mode: &'static str,
    format: Format,
    message: Message,
    /// How often the simulator sends the very same push.
    times: u32,
    replies: &'static [&'static str],
}

fn scenes() -> Vec<Scene> {
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
