//! Bodies of requests, and the limit on how many bytes of bodies ingress holds at once.

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::connection::Reading;
use crate::metric;
use crate::refusal::Refusal;

/// The size up to which a body needs no room. Pushes are usually smaller, so that the senders of large bodies cannot
/// keep other pushes out.
const SMALL: usize = 16 * 1024;

/// The limits for bodies.
pub(crate) struct Bodies {
    max_bytes: usize,
    room: Arc<Semaphore>,
}

/// A body, and the room that the body takes for as long as ingress holds its content.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) room: Room,
}

/// Room for a large body. Dropping the value releases the room.
#[derive(Default)]
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

impl Bodies {
    /// `max_bytes` limits one body. `max_buffered_bytes` limits the bytes that all bodies together have beyond
    /// [`SMALL`] each.
    pub(crate) fn new(max_bytes: usize, max_buffered_bytes: usize) -> Self {
        Self { max_bytes, room: Arc::new(Semaphore::new(max_buffered_bytes.min(Semaphore::MAX_PERMITS))) }
    }

    /// Reads the body of a push. Without free room this function waits, and lets the client wait, until `deadline`:
    /// after a quick refusal WeChat would only spend its few re-sends. `reading` belongs to the request's connection.
    pub(crate) async fn read<B: AsRef<[u8]>, E>(
        &self,
        chunks: &mut (impl Stream<Item = Result<B, E>> + Unpin),
        announced: Option<usize>,
        reading: Option<&Reading>,
        deadline: Instant,
    ) -> Result<Body, Refusal> {
        let mut room = Room::default();
        let bytes = read(chunks, announced, self.max_bytes, deadline, async |length| {
            let lacking = length.saturating_sub(SMALL).saturating_sub(room.bytes());
            if lacking == 0 {
                return Ok(());
            }
            // Without this pause the HTTP library would read on and hold the bytes elsewhere.
            let _paused = reading.map(Reading::pause);
            timeout_at(deadline, room.grow(&self.room, lacking)).await.map_err(|_| Refusal::NoRoom)?;
            // Other requests may have given their room up for the same reason at the same moment. Without this check
            // the client would seem to have been slow.
            if Instant::now() >= deadline { Err(Refusal::NoRoom) } else { Ok(()) }
        });
        Ok(Body { bytes: bytes.await?, room })
    }
}

/// Reads a body of at most `max_bytes` bytes. `announced` is the length in the request's head, if the head has a
/// length. The function calls `make_room` with the new length of the body before it takes more bytes.
pub(crate) async fn read<B: AsRef<[u8]>, E>(
    chunks: &mut (impl Stream<Item = Result<B, E>> + Unpin),
    announced: Option<usize>,
    max_bytes: usize,
    deadline: Instant,
    mut make_room: impl AsyncFnMut(usize) -> Result<(), Refusal>,
) -> Result<Vec<u8>, Refusal> {
    if announced.is_some_and(|length| length > max_bytes) {
        return Err(Refusal::TooLarge);
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = timeout_at(deadline, chunks.next()).await.map_err(|_| Refusal::SlowBody)? {
        let chunk = chunk.map_err(|_| Refusal::CutBody)?;
        let length = bytes.len() + chunk.as_ref().len();
        if length > max_bytes {
            return Err(Refusal::TooLarge);
        }
        make_room(length).await?;
        bytes.extend_from_slice(chunk.as_ref());
    }
    Ok(bytes)
}

impl Room {
    fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    async fn grow(&mut self, room: &Arc<Semaphore>, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        // Nothing closes this semaphore.
        let Ok(more) = Arc::clone(room).acquire_many_owned(bytes).await else { return };
        metric::buffered(f64::from(bytes));
        match &mut self.0 {
            Some(held) => held.merge(more),
            None => self.0 = Some(more),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.bytes() > 0 {
            metric::buffered(-(self.bytes() as f64));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use futures_util::stream;

    use super::*;

    async fn read(bodies: &Bodies, bytes: usize) -> Result<Body, Refusal> {
        let chunks =
            vec![b'x'; bytes].chunks(1_000).map(|chunk| Ok::<_, Infallible>(chunk.to_vec())).collect::<Vec<_>>();
        bodies.read(&mut stream::iter(chunks), None, None, Instant::now() + Duration::from_secs(4)).await
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_room_and_small_ones_do_not() {
        let bodies = Bodies::new(100_000, 30_000);
        let held = read(&bodies, SMALL + 30_000).await.ok();
        assert!(held.is_some());
        assert_eq!(read(&bodies, SMALL).await.map(|body| body.bytes.len()), Ok(SMALL));
        assert_eq!(read(&bodies, SMALL + 1).await.map(|body| body.bytes.len()), Err(Refusal::NoRoom));
        let soon = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            drop(held);
        };
        let (waited, ()) = tokio::join!(read(&bodies, SMALL + 30_000), soon);
        assert_eq!(waited.map(|body| body.bytes.len()), Ok(SMALL + 30_000));
        assert_eq!(bodies.room.available_permits(), 30_000);
    }

    #[tokio::test(start_paused = true)]
    async fn room_that_comes_when_the_time_is_over_is_none() {
        let bodies = Bodies::new(100_000, 30_000);
        let held = read(&bodies, SMALL + 30_000).await.ok();
        let too_late = async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            drop(held);
        };
        let ((), refused) = tokio::join!(too_late, read(&bodies, SMALL + 1));
        assert_eq!(refused.map(|body| body.bytes.len()), Err(Refusal::NoRoom));
        assert_eq!(bodies.room.available_permits(), 30_000);
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused_and_leaves_its_room() {
        let bodies = Bodies::new(20_000, 30_000);
        assert_eq!(read(&bodies, 20_000).await.map(|body| body.bytes.len()), Ok(20_000));
        assert_eq!(read(&bodies, 20_001).await.map(|body| body.bytes.len()), Err(Refusal::TooLarge));
        assert_eq!(bodies.room.available_permits(), 30_000);
    }
}
