//! A bounded cache of values that renew themselves, one for each request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::refreshed::Refreshed;

/// How many different requests are remembered. A client has a handful; a caller that varies them without end must not eat the memory.
pub(crate) const CAPACITY: usize = 256;

pub(crate) struct Cache<T, E>(Mutex<HashMap<String, Arc<Refreshed<T, E>>>>);

impl<T, E> Cache<T, E>
where
    T: Send + Sync + 'static,
    E: Clone + Send + 'static,
{
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// The place for `key`. When all are taken, the value that expires first (or was never fetched) gives way, unless it is being
    /// fetched just now.
    pub(crate) fn place(&self, key: &str) -> Arc<Refreshed<T, E>> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(key) {
            return place.clone();
        }
        if places.len() >= CAPACITY {
            let idle = places.iter().filter(|(_, place)| Arc::strong_count(place) == 1);
            let first = idle.min_by_key(|(_, place)| place.expires_at()).map(|(key, _)| key.clone());
            // All busy: this one works without a place.
            let Some(first) = first else { return Arc::new(Refreshed::new()) };
            places.remove(&first);
        }
        places.entry(key.to_owned()).or_insert_with(|| Arc::new(Refreshed::new())).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refreshed::Fetched;
    use jiff::Timestamp;
    use skybru_core::Ctx;

    #[tokio::test]
    async fn the_cache_stays_bounded_and_forgets_what_expires_first() {
        let (ctx, _) = Ctx::fixed(0, 1);
        let cache = Cache::<i64, ()>::new();
        let at = |second| Timestamp::from_second(second).unwrap();
        for n in 0..1_000_i64 {
            let fetched = || async move { Ok(Fetched { value: n, renew_at: at(10_000 + n), expires_at: at(10_000 + n) }) };
            cache.place(&n.to_string()).get(&ctx, fetched).await.unwrap();
        }
        assert_eq!(cache.0.lock().unwrap().len(), CAPACITY);
        assert!(cache.place("999").expires_at().is_some());
        assert!(cache.place("0").expires_at().is_none());
    }
}
