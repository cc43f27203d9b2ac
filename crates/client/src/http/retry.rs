//! How often, and after how long, to try again.

use std::time::Duration;

use http::{HeaderMap, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use skybru_core::Randomness;

/// Exponential backoff with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a request is sent at most, the first time included.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles from there.
    pub first_wait: Duration,
    /// No wait is longer. A server that asks for more (`Retry-After`) is not asked again.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    /// Three attempts, 250 ms and 500 ms apart, at most 20 s when the server says so.
    fn default() -> Self {
        Self { attempts: 3, first_wait: Duration::from_millis(250), longest_wait: Duration::from_secs(20) }
    }
}

impl RetryPolicy {
    /// One attempt, no waiting.
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// How long to wait after `failures` failed attempts (1 or more), or `None` to give up.
    ///
    /// The wait is between half and all of its nominal length, so that clients that failed together do not return together.
    pub(crate) fn wait(&self, failures: u32, asked: Option<Duration>, randomness: &dyn Randomness) -> Option<Duration> {
        if failures >= self.attempts || asked.is_some_and(|asked| asked > self.longest_wait) {
            return None;
        }
        let nominal = self.first_wait.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.longest_wait);
        Some(nominal.mul_f64(0.5 + fraction(randomness) / 2.0).max(asked.unwrap_or_default()))
    }
}

/// A number from 0 to 1.
pub(crate) fn fraction(randomness: &dyn Randomness) -> f64 {
    let mut bytes = [0; 4];
    randomness.fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

/// What `Retry-After` asks for ([RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)): seconds, or a date
/// measured against the server's own clock.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let seconds = http_date(value)?.as_second().saturating_sub(date(headers)?.as_second());
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// The server's clock: its `Date` header.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(header::DATE)?.to_str().ok()?)
}

/// A time as HTTP writes it.
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skybru_core::ctx::SeededRandomness;

    #[test]
    fn waits_double_with_jitter_and_end() {
        let policy = RetryPolicy::default();
        let randomness = SeededRandomness::new(1);
        for _ in 0..100 {
            let first = policy.wait(1, None, &randomness).unwrap().as_millis();
            let second = policy.wait(2, None, &randomness).unwrap().as_millis();
            assert!((125..=250).contains(&first) && (250..=500).contains(&second), "{first} {second}");
        }
        assert_eq!(policy.wait(3, None, &randomness), None);
    }

    #[test]
    fn the_server_may_ask_for_more_but_not_for_too_much() {
        let (policy, randomness) = (RetryPolicy::default(), SeededRandomness::new(1));
        assert_eq!(policy.wait(1, Some(Duration::from_secs(7)), &randomness), Some(Duration::from_secs(7)));
        assert_eq!(policy.wait(1, Some(Duration::from_secs(21)), &randomness), None);
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(header::RETRY_AFTER, "12".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(12)));
        headers.insert(header::RETRY_AFTER, "Wed, 21 Oct 2026 07:28:09 GMT".parse().unwrap());
        assert_eq!(retry_after(&headers), None, "without the server's clock a date means nothing");
        headers.insert(header::DATE, "Wed, 21 Oct 2026 07:28:00 GMT".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(9)));
        headers.insert(header::RETRY_AFTER, "soon".parse().unwrap());
        assert_eq!(retry_after(&headers), None);
    }
}
