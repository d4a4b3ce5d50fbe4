//! How many replies a user may still get, and until when.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>.

use crate::errcode::ApiError;

/// One user's window. Whether entering the session shortens a window that a message opened is undocumented; here the
/// larger count and the later end win.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// Replies left; means something before `until_ms` only.
    pub(crate) remaining: u32,
    /// Its end, in milliseconds since the Unix epoch.
    pub(crate) until_ms: i64,
}

impl Window {
    /// The user did something that allows `replies` for `lasting_ms`. Counts do not add up.
    pub(crate) fn open(&mut self, replies: u32, lasting_ms: u64, now_ms: i64) {
        if now_ms >= self.until_ms {
            self.remaining = 0;
        }
        self.remaining = self.remaining.max(replies);
        self.until_ms = self.until_ms.max(now_ms.saturating_add_unsigned(lasting_ms));
    }

    /// Uses one reply.
    pub(crate) fn take(&mut self, now_ms: i64) -> Result<(), ApiError> {
        if now_ms >= self.until_ms {
            return Err(ApiError::OUT_OF_TIME);
        }
        self.remaining = self.remaining.checked_sub(1).ok_or(ApiError::OUT_OF_COUNT)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn the_sixth_reply_is_out_of_count_and_the_first_after_48_hours_out_of_time() {
        let mut window = Window::default();
        assert_eq!(window.take(0), Err(ApiError::OUT_OF_TIME));
        window.open(5, 48 * HOUR, 0);
        for _ in 0..5 {
            assert_eq!(window.take(1), Ok(()));
        }
        assert_eq!(window.take(1), Err(ApiError::OUT_OF_COUNT));
        assert_eq!(window.take(48 * 3_600_000), Err(ApiError::OUT_OF_TIME));
    }

    #[test]
    fn a_further_message_fills_the_count_up_but_does_not_add_to_it() {
        let mut window = Window::default();
        window.open(5, 48 * HOUR, 0);
        assert_eq!(window.take(1), Ok(()));
        window.open(5, 48 * HOUR, 2);
        assert_eq!(window.remaining, 5);
    }

    #[test]
    fn entering_does_not_shorten_the_window_of_a_message_nor_inherit_an_ended_one() {
        let mut window = Window::default();
        window.open(5, 48 * HOUR, 0);
        window.open(2, 60_000, 1);
        assert_eq!(window, Window { remaining: 5, until_ms: 48 * 3_600_000 });
        window.open(2, 60_000, 49 * 3_600_000);
        assert_eq!(window, Window { remaining: 2, until_ms: 49 * 3_600_000 + 60_000 });
    }
}
