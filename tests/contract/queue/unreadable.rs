//! What the queue promises of pushes that could not be read.

use kefu_messages::envelope::Envelope;
use kefu_messages::unreadable::Unreadable;
use kefu_queue::DeadReason;
use kefu_queue::dead_letters::Selection;
use kefu_wechat::push::PushError;

use super::dead_letters::{all, die, ids, replay};
use super::{ACCOUNT, PARTITIONS, Queue, done, next};

pub(super) async fn an_unreadable_push_keeps_its_bytes_in_the_dead_letter_and_in_its_replay(queue: impl Queue) {
    let (publisher, mut consumer) = (queue.publisher().await, queue.consumer("a", 1).await);
    let bytes = b"<xml>\xff\0\r\n".to_vec();
    let error = PushError::Missing("FromUserName");
    let unreadable = Envelope::of_unreadable(ACCOUNT, Unreadable::new(bytes.clone(), &error), 1_482_048_670_000);
    let partition = unreadable.partition(PARTITIONS);
    for round in 0..2 {
        if round == 0 {
            publisher.publish(&unreadable).await.unwrap();
        }
        let delivery = next(&mut consumer).await;
        assert_eq!((delivery.envelope.as_ref().unwrap(), delivery.partition), (&unreadable, partition));
        die(delivery, DeadReason::Unreadable, &error.to_string()).await;
        let letter = &all(&queue, 1).await[0];
        let kept = &letter.envelope.as_ref().unwrap().unreadable.as_ref().unwrap().bytes.0;
        assert_eq!((kept, &*letter.history.reason, letter.history.replays), (&bytes, "unreadable", round));
        let report = replay(&queue, Selection { reason: Some("unreadable".into()), ..Selection::default() }).await;
        assert_eq!(ids(&report), [unreadable.key.to_string()]);
        assert_eq!((&report.letters[0].user, &report.letters[0].content), (&None, &None));
    }
    done(next(&mut consumer).await).await;
    all(&queue, 0).await;
}
