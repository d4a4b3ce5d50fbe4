//! A user's order while a partition changes hands.

use std::time::Duration;

use kefu_harness::eventually;
use kefu_harness::process::{Program, Role};
use kefu_harness::shop::{Shop, ShopOptions, texts};
use kefu_harness::stack::Backend;
use kefu_harness::webhook::{Does, Service};
use kefu_harness::wechat::Client;
use kefu_simulator::Message;

/// Who writes: enough that several partitions have messages.
const USERS: usize = 12;

/// The longest wait in a retry queue here, a second round behind it, and a busy machine.
const COMES_BACK: Duration = Duration::from_secs(100);

/// How partitions come to another owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The worker is killed, and started again.
    Killed,
    /// Another worker joins, and has half of the partitions.
    Joined,
}

/// The retry queue in which the first messages wait meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    FiveSeconds,
    /// Longer than a worker may take to start: the next owner surely sees the next messages first.
    ThirtySeconds,
}

/// A user's first message goes to a webhook that fails, and waits in a retry queue when the partition changes hands. The next two
/// need no webhook: of half of the users the former owner has seen one of them, of the others it has seen none.
#[tokio::test(flavor = "multi_thread")]
async fn messages_in_the_retry_queues_are_not_overtaken_when_their_partition_changes_hands() {
    tokio::join!(
        change(Backend::Production, Change::Killed, Wait::FiveSeconds),
        change(Backend::Production, Change::Killed, Wait::ThirtySeconds),
        change(Backend::Production, Change::Joined, Wait::ThirtySeconds),
        change(Backend::Embedded, Change::Killed, Wait::ThirtySeconds),
    );
}

async fn change(backend: Backend, change: Change, wait: Wait) {
    let case = format!("{backend:?}, {change:?}, {wait:?}");
    let service = Service::start(Does::text("one")).await;
    let headers = match wait {
        Wait::FiveSeconds => Vec::new(),
        Wait::ThirtySeconds => vec!["retry-after: 20".to_owned()],
    };
    service.then([Does::Answer { status: 503, headers, body: Vec::new() }]);
    let mut shop = Shop::start(options(backend, &service)).await;
    let users: Vec<String> = (0..USERS).map(|user| format!("oUser{user}")).collect();

    shop.push(&users[0], Message::text("one")).await;
    put_aside(&shop, "retry", 1).await;
    for user in &users[1..] {
        shop.push(user, Message::text("one")).await;
    }
    put_aside(&shop, "postponed", USERS - 1).await;
    let (seen, unseen) = users.split_at(USERS / 2);
    for user in seen {
        shop.push(user, Message::text("two")).await;
    }
    put_aside(&shop, "postponed", USERS - 1 + seen.len()).await;
    let before = postponed(&shop).await;

    match (backend, change) {
        (Backend::Production, Change::Killed) => {
            shop.stack.programs[1].kill();
            push_all(&shop, unseen, "two").await;
            shop.stack.programs[1] = Program::start(shop.stack.launch(1)).await;
        }
        (_, Change::Joined) => {
            shop.stack.programs.push(Program::start(shop.stack.launch(1)).await);
            push_all(&shop, unseen, "two").await;
        }
        (Backend::Embedded, Change::Killed) => {
            shop.stack.programs[0].kill();
            shop.stack.programs[0] = Program::start(shop.stack.launch(0)).await;
            shop.stack.pushes = Client::new(shop.stack.programs[0].url(Role::Public));
            shop.set_callbacks();
            push_all(&shop, unseen, "two").await;
        }
    }
    push_all(&shop, &users, "three").await;
    if wait == Wait::ThirtySeconds {
        // Each of these is put behind the first message at least once, which is absent for longer than they are.
        let kept = if change == Change::Joined { before } else { 0 };
        put_aside(&shop, "postponed", kept + unseen.len() + USERS).await;
    }
    for user in &users {
        let what = format!("{user} has all replies: {case}");
        let replies = eventually(COMES_BACK, &what, async || {
            let replies = shop.replies(user);
            if replies.len() >= 3 { Ok(replies) } else { Err(format!("{} came", replies.len())) }
        });
        assert_eq!(texts(&replies.await), ["one", "two", "three"], "{user}: {case}");
    }
}

fn options(backend: Backend, service: &Service) -> ShopOptions {
    let mut options = ShopOptions::new(backend);
    // With one message of a partition at once, one without an answer is enough for the worker to ask about no other.
    options.settings = vec![
        ("queue", "partitions = 8\nprefetch = 1".to_owned()),
        ("webhook", "secret = \"the secret of shop and kefu\"".to_owned()),
    ];
    options.rules = format!(
        "[[rule]]\nwhen = {{ contains = \"one\" }}\nwebhook = {{ url = \"{}\" }}\n\
         [[rule]]\nwhen = {{ contains = \"two\" }}\nreply = [{{ text = \"two\" }}]\n\
         [[rule]]\nwhen = {{ contains = \"three\" }}\nreply = [{{ text = \"three\" }}]\n",
        service.url("/")
    );
    options
}

async fn push_all(shop: &Shop, users: &[String], text: &str) {
    for user in users {
        shop.push(user, Message::text(text)).await;
    }
}

/// The programs that send: all but ingress.
fn workers(shop: &Shop) -> &[Program] {
    if shop.stack.programs.len() == 1 { &shop.stack.programs } else { &shop.stack.programs[1..] }
}

/// How many messages the workers have put aside with this outcome, since each of them started.
async fn handled(shop: &Shop, outcome: &str) -> usize {
    let mut handled = 0.0;
    for worker in workers(shop) {
        handled += worker.metric(&format!(r#"kefu_worker_messages_total{{outcome="{outcome}"}}"#)).await;
    }
    handled as usize
}

async fn postponed(shop: &Shop) -> usize {
    handled(shop, "postponed").await
}

/// Waits until the workers have put so many messages aside with this outcome.
async fn put_aside(shop: &Shop, outcome: &str, count: usize) {
    eventually(Duration::from_secs(30), &format!("{count} messages: {outcome}"), async || {
        let handled = handled(shop, outcome).await;
        if handled >= count { Ok(()) } else { Err(handled) }
    })
    .await;
}
