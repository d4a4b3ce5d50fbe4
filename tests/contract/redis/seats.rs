//! The seats of workers.

use std::sync::Arc;
use std::time::Duration;

use kefu_harness::redis::RedisServer;
use kefu_store::Seats;
use tokio::task::JoinSet;

use super::{LONG, connect};
use crate::clock::{Lasting, eventually};

const SHORT: Duration = Duration::from_millis(150);

async fn begin() -> (RedisServer, Arc<dyn Seats>) {
    let (server, stores) = super::begin().await;
    (server, stores.seats.unwrap())
}

#[tokio::test]
async fn each_worker_gets_the_lowest_free_seat_and_keeps_it() {
    let (_server, seats) = begin().await;
    for _ in 0..2 {
        for (seat, worker) in (0..).zip(["a", "b", "c"]) {
            assert_eq!(seats.take(worker, 0, LONG).await.unwrap(), seat);
        }
    }
}

#[tokio::test]
async fn a_seat_that_is_given_back_goes_to_the_next_worker() {
    let (_server, seats) = begin().await;
    for worker in ["a", "b", "c"] {
        seats.take(worker, 0, LONG).await.unwrap();
    }
    seats.leave("b").await.unwrap();
    seats.leave("nobody").await.unwrap();
    assert_eq!(seats.take("c", 0, LONG).await.unwrap(), 2, "nobody moves");
    assert_eq!(seats.take("d", 0, LONG).await.unwrap(), 1);
    assert_eq!(seats.take("e", 0, LONG).await.unwrap(), 3);
}

#[tokio::test]
async fn the_seat_of_a_worker_that_died_is_free_after_its_time() {
    let (_server, seats) = begin().await;
    let kept = Lasting::from_now(SHORT);
    seats.take("dies", 0, SHORT).await.unwrap();
    seats.take("lives", 0, LONG).await.unwrap();
    let successor = async || {
        let seat = seats.take("comes", 0, SHORT).await.unwrap();
        seats.leave("comes").await.unwrap();
        (seat == 0).then_some(())
    };
    kept.ended("the end of the dead worker's seat", successor).await;
    assert_eq!(seats.take("lives", 0, LONG).await.unwrap(), 1);
}

/// Waits until what was taken for [`SHORT`] before this call is over, by the server's clock. No worker asks for a seat: that
/// would take away those that are over.
async fn short_is_over(server: &RedisServer) {
    let mut redis = connect(server).await;
    let ms = u64::try_from(SHORT.as_millis()).unwrap();
    let () = redis::cmd("SET").arg("witness").arg("").arg("PX").arg(ms).query_async(&mut redis).await.unwrap();
    let gone = async || {
        let there: bool = redis::cmd("EXISTS").arg("witness").query_async(&mut redis).await.unwrap();
        (!there).then_some(())
    };
    eventually("the end of the witness", gone).await;
}

#[tokio::test]
async fn a_worker_that_was_silent_too_long_keeps_its_seat_unless_another_has_it() {
    let (server, seats) = begin().await;
    assert_eq!(seats.take("first", 0, LONG).await.unwrap(), 0);
    assert_eq!(seats.take("silent", 0, SHORT).await.unwrap(), 1);
    short_is_over(&server).await;
    seats.leave("first").await.unwrap();
    assert_eq!(seats.take("silent", 0, SHORT).await.unwrap(), 1, "though a lower one is free");
    short_is_over(&server).await;
    assert_eq!(seats.take("second", 0, LONG).await.unwrap(), 0);
    assert_eq!(seats.take("third", 0, LONG).await.unwrap(), 1);
    assert_eq!(seats.take("silent", 0, LONG).await.unwrap(), 2);
}

#[tokio::test]
async fn of_many_at_once_no_two_have_the_same_seat() {
    let (_server, seats) = begin().await;
    let mut crowd = JoinSet::new();
    for worker in 0..50 {
        let seats = Arc::clone(&seats);
        crowd.spawn(async move { seats.take(&worker.to_string(), 0, LONG).await.unwrap() });
    }
    let mut taken = crowd.join_all().await;
    taken.sort_unstable();
    assert_eq!(taken, (0..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn workers_whose_seats_the_store_has_forgotten_keep_them() {
    let (server, seats) = begin().await;
    for worker in ["a", "b", "c"] {
        seats.take(worker, 0, LONG).await.unwrap();
    }
    let mut connection = connect(&server).await;
    redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await.unwrap();
    for (worker, seat) in [("c", 2), ("a", 0), ("b", 1)] {
        assert_eq!(seats.take(worker, seat, LONG).await.unwrap(), seat, "{worker}");
    }
    assert_eq!(seats.take("d", 1, LONG).await.unwrap(), 3, "it is another's");
}
