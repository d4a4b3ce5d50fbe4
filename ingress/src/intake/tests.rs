//! Behaviour of the intake under each fate of claim and publish, in simulated time.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use kefu_messages::message_key::MessageKey;
use kefu_messages::testing::envelope;
use kefu_queue::{QueueError, Turn};
use kefu_runtime::health::Health;
use kefu_store::StoreError;

use super::*;
use crate::ANSWER_WITHIN;

/// Answers claims from a script, repeats the last answer, and notes the other calls.
struct ScriptedClaims {
    answers: Mutex<VecDeque<Result<Claim, StoreError>>>,
    notes: Mutex<Vec<&'static str>>,
    completed_with: Mutex<Option<String>>,
}

#[async_trait]
impl Claims for ScriptedClaims {
    async fn claim(&self, _: &MessageKey, _: &str, _: Duration) -> Result<Claim, StoreError> {
        let mut answers = self.answers.lock().unwrap();
        match answers.len() {
            1 => answers[0].clone(),
            _ => answers.pop_front().unwrap(),
        }
    }

    async fn complete(&self, _: &MessageKey, answer: &str, _: Duration) -> Result<(), StoreError> {
        *self.completed_with.lock().unwrap() = Some(answer.to_owned());
        self.notes.lock().unwrap().push("complete");
        Ok(())
    }

    async fn release(&self, _: &MessageKey, _: &str) -> Result<(), StoreError> {
        self.notes.lock().unwrap().push("release");
        Ok(())
    }

    fn local(self: Arc<Self>) -> Arc<dyn Claims> {
        self
    }
}

/// Publishes as scripted. Once the script is used up, this publisher never answers.
struct ScriptedPublisher {
    answers: Mutex<VecDeque<Result<(), QueueError>>>,
    asked: Mutex<u32>,
}

#[async_trait]
impl Publisher for ScriptedPublisher {
    async fn publish(&self, _: &Envelope, _: Turn) -> Result<(), QueueError> {
        *self.asked.lock().unwrap() += 1;
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    fn local(self: Arc<Self>) -> Arc<dyn Publisher> {
        self
    }

    fn health(&self) -> Health {
        Health::Up
    }

    async fn close(&self, _: Duration) {}
}

/// How a message came to be stored.
#[derive(Debug, PartialEq)]
enum Taken {
    /// By this request, with this answer.
    Published(String),
    /// By an earlier request, which got this answer.
    Duplicate(String),
}

struct Run {
    result: Result<Taken, Refusal>,
    notes: Vec<&'static str>,
    completed_with: Option<String>,
    published: u32,
    took: Duration,
}

/// The answer that this request would give.
const ANSWER: &str = "{}";

fn published() -> Result<Taken, Refusal> {
    Ok(Taken::Published(ANSWER.to_owned()))
}

fn duplicate(answer: &str) -> Result<Taken, Refusal> {
    Ok(Taken::Duplicate(answer.to_owned()))
}

async fn run(claims: Vec<Result<Claim, StoreError>>, publishes: Vec<Result<(), QueueError>>) -> Run {
    run_deciding(Ok(ANSWER.to_owned()), claims, publishes).await
}

/// Takes the steps of a request, whose decision has this result.
async fn run_deciding(
    decision: Result<String, Refusal>,
    claims: Vec<Result<Claim, StoreError>>,
    publishes: Vec<Result<(), QueueError>>,
) -> Run {
    tokio::time::pause();
    let claims = Arc::new(ScriptedClaims {
        answers: Mutex::new(claims.into()),
        notes: Mutex::default(),
        completed_with: Mutex::default(),
    });
    let publisher = Arc::new(ScriptedPublisher { answers: Mutex::new(publishes.into()), asked: Mutex::default() });
    let intake = Intake::new(claims.clone(), publisher.clone());
    let started = Instant::now();
    let envelope = envelope("oUSER", 1);
    let take = async {
        match intake.claim(&envelope, started + ANSWER_WITHIN).await? {
            Ownership::Stored { answer } => Ok(Taken::Duplicate(answer)),
            Ownership::Ours(claimed) => {
                let answer = claimed.or_release(decision).await?;
                claimed.publish().await?.complete(&answer).await;
                Ok(Taken::Published(answer))
            }
        }
    };
    let result = take.await;
    let (notes, published) = (claims.notes.lock().unwrap().clone(), *publisher.asked.lock().unwrap());
    let completed_with = claims.completed_with.lock().unwrap().clone();
    Run { result, notes, completed_with, published, took: started.elapsed() }
}

#[test]
fn debug_shows_no_answer() {
    let answer = "<xml><ToUserName>oUSER0123456789</ToUserName></xml>";
    assert_eq!(format!("{:?}", Claim::Done { answer: answer.to_owned() }), "Done(51 bytes)");
}

fn away() -> StoreError {
    StoreError::Unavailable("down".into())
}

#[tokio::test]
async fn a_won_claim_is_published_and_completed() {
    let run = run(vec![Ok(Claim::Won)], vec![Ok(())]).await;
    assert_eq!((run.result, run.notes, run.published), (published(), vec!["complete"], 1));
    assert_eq!(run.completed_with.as_deref(), Some(ANSWER));
}

#[tokio::test]
async fn without_a_decision_nothing_is_published_and_the_claim_is_released() {
    let undecided = Refusal::Undecided("down".into());
    let run = run_deciding(Err(undecided.clone()), vec![Ok(Claim::Won)], vec![Ok(())]).await;
    assert_eq!((run.result, run.notes, run.published), (Err(undecided), vec!["release"], 0));
}

#[tokio::test]
async fn a_done_push_is_answered_as_the_first_time_without_publishing() {
    let run = run(vec![Ok(Claim::Done { answer: "<xml></xml>".to_owned() })], vec![]).await;
    assert_eq!((run.result, run.notes, run.published), (duplicate("<xml></xml>"), vec![], 0));
}

#[tokio::test]
async fn a_pending_push_is_waited_for_until_it_is_done() {
    let run =
        run(vec![Ok(Claim::Pending), Ok(Claim::Pending), Ok(Claim::Done { answer: String::new() })], vec![]).await;
    assert_eq!((run.result, run.published), (duplicate(""), 0));
}

#[tokio::test]
async fn a_pending_push_whose_owner_died_is_taken_over() {
    let run = run(vec![Ok(Claim::Pending), Ok(Claim::Won)], vec![Ok(())]).await;
    assert_eq!((run.result, run.notes, run.published), (published(), vec!["complete"], 1));
}

#[tokio::test]
async fn success_is_never_said_of_a_push_that_stays_pending() {
    let run = run(vec![Ok(Claim::Pending)], vec![]).await;
    assert!(matches!(run.result, Err(Refusal::Unavailable(_))));
    assert_eq!(run.published, 0);
    assert!(run.took <= ANSWER_WITHIN && run.took > ANSWER_WITHIN - Duration::from_millis(500), "{:?}", run.took);
}

#[tokio::test]
async fn without_the_store_it_is_published_unclaimed() {
    let run = run(vec![Err(away())], vec![Ok(())]).await;
    assert_eq!((run.result, run.notes, run.published), (published(), vec!["complete"], 1));
}

#[tokio::test]
async fn a_publish_that_fails_is_tried_again() {
    let gone = || Err(QueueError::Unavailable("gone".into()));
    let run = run(vec![Ok(Claim::Won)], vec![gone(), gone(), Ok(())]).await;
    assert_eq!((run.result, run.notes, run.published), (published(), vec!["complete"], 3));
}

#[tokio::test]
async fn a_queue_that_stays_away_is_waited_for_until_the_deadline_and_the_claim_is_released() {
    let run = run(vec![Ok(Claim::Won)], vec![]).await;
    assert!(matches!(run.result, Err(Refusal::Unavailable(_))));
    assert_eq!(run.notes, ["release"]);
    assert!(run.took <= ANSWER_WITHIN && run.took > ANSWER_WITHIN - Duration::from_millis(500), "{:?}", run.took);
}

#[tokio::test]
async fn a_queue_that_keeps_refusing_is_asked_until_the_deadline_and_named_in_the_refusal() {
    let refused = std::iter::repeat_with(|| Err(QueueError::Refused("full".into()))).take(1_000).collect();
    let run = run(vec![Ok(Claim::Won)], refused).await;
    assert_eq!(run.result, Err(Refusal::Unavailable("the queue refused the message: full".into())));
    assert!(run.took <= ANSWER_WITHIN, "{:?}", run.took);
}
