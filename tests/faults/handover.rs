//! A user's order while a partition changes hands.

use std::time::Duration;

use kefu_harness::eventually;
use kefu_harness::process::Program;
use kefu_harness::shop::{Shop, ShopOptions, texts};
use kefu_harness::stack::Backend;
use kefu_harness::webhook::{Does, Service};
use kefu_simulator::Message;

/// Who writes: enough that several partitions have messages.
const USERS: usize = 12;

/// The wait in kefu.retry.30s, a second round in kefu.retry.5s behind it, and a busy machine.
const COMES_BACK: Duration = Duration::from_secs(100);

/// The first messages go to a webhook, which asks for some patience: they wait in kefu.retry.30s when their worker is killed.
/// The next messages need no webhook; some of them the dead worker had seen, others come after its death.
#[tokio::test(flavor = "multi_thread")]
async fn messages_in_the_retry_queues_are_not_overtaken_when_their_worker_is_killed() {
    tokio::join!(kill_and_look(Backend::Production), kill_and_look(Backend::Embedded));
}

async fn kill_and_look(backend: Backend) {
    let service = Service::start(Does::text("one")).await;
    let busy = Does::Answer { status: 503, headers: vec!["retry-after: 20".to_owned()], body: Vec::new() };
    service.then([busy]);
    let mut options = ShopOptions::new(backend);
    // With few messages of a partition at once, one message without an answer is enough for the worker to ask about no other.
    options.settings = vec![
        ("queue", "partitions = 8\nprefetch = 4".to_owned()),
        ("webhook", "secret = \"the secret of shop and kefu\"".to_owned()),
    ];
    options.rules = format!(
        "[[rule]]\nwhen = {{ contains = \"one\" }}\nwebhook = {{ url = \"{}\" }}\n\
         [[rule]]\nwhen = {{ contains = \"two\" }}\nreply = [{{ text = \"two\" }}]\n\
         [[rule]]\nwhen = {{ contains = \"three\" }}\nreply = [{{ text = \"three\" }}]\n",
        service.url("/")
    );
    let mut shop = Shop::start(options).await;
    let users: Vec<String> = (0..USERS).map(|user| format!("oUser{user}")).collect();

    shop.push(&users[0], Message::text("one")).await;
    handled(worker(&shop), "retry", 1).await;
    for user in &users[1..] {
        shop.push(user, Message::text("one")).await;
    }
    handled(worker(&shop), "postponed", USERS - 1).await;
    let (seen, unseen) = users.split_at(USERS / 2);
    for user in seen {
        shop.push(user, Message::text("two")).await;
    }
    handled(worker(&shop), "postponed", USERS - 1 + seen.len()).await;

    let last = shop.stack.programs.len() - 1;
    shop.stack.programs[last].kill();
    let (before, after) = match backend {
        Backend::Production => (unseen, &[][..]),
        Backend::Embedded => (&[][..], unseen),
    };
    for user in before {
        shop.push(user, Message::text("two")).await;
    }
    let started = Program::start(shop.stack.launch(last)).await;
    shop.stack.programs[last] = started;
    if backend == Backend::Embedded {
        shop.stack.pushes = kefu_harness::wechat::Client::new(worker(&shop).url(kefu_harness::process::Role::Public));
        shop.set_callbacks();
    }
    for user in after {
        shop.push(user, Message::text("two")).await;
    }
    for user in &users {
        shop.push(user, Message::text("three")).await;
    }
    // Each of these is put behind the first message at least once, as that is away for longer than they are.
    handled(worker(&shop), "postponed", unseen.len() + USERS).await;
    for user in &users {
        let what = format!("{user} has all replies, on {backend:?}");
        let replies = eventually(COMES_BACK, &what, async || {
            let replies = shop.replies(user);
            if replies.len() >= 3 { Ok(replies) } else { Err(format!("{} came", replies.len())) }
        });
        assert_eq!(texts(&replies.await), ["one", "two", "three"], "{user}, on {backend:?}");
    }
}

fn worker(shop: &Shop) -> &Program {
    shop.stack.programs.last().expect("a stack has programs")
}

/// Waits until the worker has put so many messages aside with this outcome.
async fn handled(worker: &Program, outcome: &str, count: usize) {
    let metric = format!(r#"kefu_worker_messages_total{{outcome="{outcome}"}}"#);
    eventually(Duration::from_secs(30), &format!("{count} messages: {outcome}"), async || {
        let handled = worker.metric(&metric).await;
        if handled >= count as f64 { Ok(()) } else { Err(handled) }
    })
    .await;
}
