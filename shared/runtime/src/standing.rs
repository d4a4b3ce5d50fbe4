//! Standing: whether a part of the program works at present, and which changes the log should tell.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Knows whether a part works, as the latest calls of the part show. The callers write the log and the metrics.
///
/// A failure is news once: later failures belong to the same trouble, until the part works again. A part that keeps
/// failing and recovering makes news once per interval. A failure of a new kind is always news.
#[derive(Debug)]
pub struct Standing<K = ()> {
    news_every: Duration,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K> {
    trouble: Option<Trouble>,
    /// The latest news: its time, and the kind of the failure.
    news: Option<(Instant, K)>,
}

/// A time during which every call of the part failed.
#[derive(Debug, Clone)]
pub struct Trouble {
    since: Instant,
    /// The latest failure, in words.
    pub why: String,
    /// Whether one of the failures was news. The end of the trouble is news only then.
    pub was_news: bool,
}

impl Trouble {
    /// How long the trouble has lasted until now.
    pub fn lasts(&self) -> Duration {
        self.since.elapsed()
    }
}

impl<K: Copy + PartialEq> Standing<K> {
    /// A part that works. `news_every`: the shortest time between two troubles of one kind that are both news.
    pub fn new(news_every: Duration) -> Self {
        Self { news_every, state: Mutex::new(State { trouble: None, news: None }) }
    }

    /// Records a failure, and returns whether the failure is news.
    pub fn failed(&self, kind: K, why: String) -> bool {
        let now = Instant::now();
        let State { trouble, news } = &mut *self.state.lock();
        let trouble = trouble.get_or_insert_with(|| Trouble { since: now, why: String::new(), was_news: false });
        trouble.why = why;
        let is_news = news.is_none_or(|(at, known)| {
            known != kind || (!trouble.was_news && now.duration_since(at) >= self.news_every)
        });
        if is_news {
            trouble.was_news = true;
            *news = Some((now, kind));
        }
        is_news
    }

    /// Records a success, and returns the trouble that the success ends.
    pub fn succeeded(&self) -> Option<Trouble> {
        self.state.lock().trouble.take()
    }

    /// The present trouble; `None` while the part works.
    pub fn trouble(&self) -> Option<Trouble> {
        self.state.lock().trouble.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn failed<K: Copy + PartialEq>(standing: &Standing<K>, kind: K) -> bool {
        standing.failed(kind, "no route".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_trouble_is_news_once_and_lasts_from_its_first_failure_on() {
        let standing = Standing::new(INTERVAL);
        assert!(standing.trouble().is_none() && standing.succeeded().is_none());
        assert!(failed(&standing, ()));
        tokio::time::advance(2 * INTERVAL).await;
        assert!(!standing.failed((), "no answer".to_owned()));
        assert_eq!(standing.trouble().unwrap().why, "no answer");
        let ended = standing.succeeded().unwrap();
        assert_eq!((ended.lasts(), ended.was_news), (2 * INTERVAL, true));
        assert!(standing.trouble().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_fails_now_and_then_makes_news_once_per_interval() {
        let standing = Standing::new(INTERVAL);
        assert!(failed(&standing, ()));
        standing.succeeded();
        assert!(!failed(&standing, ()));
        assert!(!standing.succeeded().unwrap().was_news);
        assert!(!failed(&standing, ()));
        tokio::time::advance(INTERVAL).await;
        assert!(failed(&standing, ()), "the trouble goes on, and the interval is over");
        let always = Standing::new(Duration::ZERO);
        for _ in 0..2 {
            assert!(failed(&always, ()) && always.succeeded().unwrap().was_news);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_of_a_new_kind_is_news() {
        let standing = Standing::new(INTERVAL);
        assert!(failed(&standing, "refused"));
        assert!(!failed(&standing, "refused"));
        assert!(failed(&standing, "timeout"));
        standing.succeeded();
        assert!(failed(&standing, "refused"));
    }
}
