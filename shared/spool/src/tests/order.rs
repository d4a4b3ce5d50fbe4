//! No push overtakes an older one of the same user, whatever the broker and the process do.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Broker(Mode),
    /// Pushes of a user that arrive one after the other without waiting for answers.
    Pushes {
        user: u8,
        count: u8,
    },
    Wait(u8),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let mode = prop_oneof![
        3 => Just(Mode::Up), 2 => Just(Mode::Down), 2 => Just(Mode::Hanging), 1 => Just(Mode::Mute),
    ];
    prop_oneof![
        3 => mode.prop_map(Step::Broker),
        6 => (0..6_u8, 1..8_u8).prop_map(|(user, count)| Step::Pushes { user, count }),
        3 => (1..40_u8).prop_map(Step::Wait),
        1 => Just(Step::Crash),
    ]
}

/// Carries the steps out; then every push that was answered is at the broker, and in order.
async fn run(steps: Vec<Step>) {
    let (folder, broker) = (tempfile::tempdir().unwrap(), Broker::new());
    let patient = |folder: &TempDir| Settings { patience: Duration::from_millis(15), ..settings(folder.path()) };
    let (mut spool, turns) = (open(broker.clone(), patient(&folder)).await, Arc::new(Turns::new()));
    let (mut sent, mut under_way) = (BTreeMap::<u8, u32>::new(), Vec::new());
    let mut answered = BTreeMap::<String, Vec<u32>>::new();
    for step in steps {
        match step {
            Step::Broker(mode) => broker.set(mode),
            Step::Wait(ms) => tokio::time::sleep(Duration::from_millis(ms.into())).await,
            Step::Pushes { user, count } => {
                for _ in 0..count {
                    let id = sent.entry(user).and_modify(|id| *id += 1).or_insert(1);
                    let (user, id, spool, turns) = (format!("user{user}"), *id, spool.clone(), turns.clone());
                    let envelope = envelope(&user, id);
                    let push = tokio::spawn(async move { publish(&spool, &turns, &envelope).await.is_ok() });
                    under_way.push((user, id, push));
                }
                tokio::task::yield_now().await;
            }
            Step::Crash => {
                for (user, id, push) in under_way.drain(..) {
                    push.abort();
                    if push.await.is_ok_and(|stored| stored) {
                        answered.entry(user).or_default().push(id);
                    }
                }
                end(spool).await;
                spool = open(broker.clone(), patient(&folder)).await;
            }
        }
    }
    broker.set(Mode::Up);
    for (user, id, push) in under_way {
        assert!(within(LONG, push).await.unwrap(), "a push was refused");
        answered.entry(user).or_default().push(id);
    }
    eventually("the spool is empty", || spool.spool_health() == Health::Up).await;
    let stored = broker.by_user();
    for (user, ids) in answered {
        let of = stored.get(&user).cloned().unwrap_or_default();
        let of: Vec<u32> = of.into_iter().filter(|id| ids.contains(id)).collect();
        assert_eq!(of, ids, "{user}: stored, and answered");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answered_pushes_are_stored_and_in_order_whatever_happens(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
