//! What this process prepared and did not begin yet.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use patchcore::{Timestamp, id::OpKey, provider::OpContext};

/// What was read for an operation is what there is for so long: the engine writes down an intent in milliseconds.
const FRESH: Duration = Duration::from_secs(10);

/// Operations that were prepared a moment ago: until this process begins one, nobody can have begun it, since nobody
/// else has read of it. After a restart there are none.
#[derive(Debug, Default)]
pub(crate) struct Fresh(Mutex<HashMap<String, Timestamp>>);

impl Fresh {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        // Each change is one call on the map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It can begin.
    pub(crate) fn prepared(&self, ctx: &OpContext) {
        let now = ctx.now();
        if let Some(key) = ctx.key() {
            let mut all = self.all();
            all.retain(|_, at| is_fresh(*at, now));
            all.insert(key.to_string(), now);
        }
    }

    /// Whether that was a moment ago.
    pub(crate) fn is(&self, ctx: &OpContext, key: &OpKey) -> bool {
        let at = self.all().get(&key.to_string()).copied();
        at.is_some_and(|at| is_fresh(at, ctx.now()))
    }

    /// Whether that was a moment ago; it begins now.
    pub(crate) fn take(&self, ctx: &OpContext, key: &OpKey) -> bool {
        let at = self.all().remove(&key.to_string());
        at.is_some_and(|at| is_fresh(at, ctx.now()))
    }
}

fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    // A clock that was set back says nothing.
    Duration::try_from(now.duration_since(at)).is_ok_and(|age| age < FRESH)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use patchcore::{SystemClock, clock::Clock as _, provider::CancelToken};

    use super::*;

    #[test]
    fn an_operation_is_fresh_for_a_moment_and_until_it_begins() {
        let (fresh, key) = (Fresh::default(), OpKey::from("run-1/vm/migrate/1"));
        let until = SystemClock.now() + Duration::from_secs(60);
        let ctx = OpContext::reading(Arc::new(SystemClock), until, CancelToken::new());
        fresh.prepared(&ctx);
        assert!(!fresh.take(&ctx, &key), "a call without a key");
        fresh.prepared(&ctx.clone().for_operation(key.clone(), 1));
        assert!(!fresh.take(&ctx, &OpKey::from("run-1/vm/migrate/2")));
        assert!(fresh.is(&ctx, &key) && fresh.is(&ctx, &key));
        assert!(fresh.take(&ctx, &key));
        assert!(!fresh.take(&ctx, &key) && !fresh.is(&ctx, &key));
        let at = ctx.now();
        assert!(is_fresh(at, at + Duration::from_secs(9)));
        assert!(!is_fresh(at, at + Duration::from_secs(10)));
        assert!(!is_fresh(at, at - Duration::from_secs(1)));
    }
}
