//! The way from other threads into the interpreter, which is closed before it ends.
//!
//! A thread that is in the middle of a call when the interpreter ends is unwound by it, and gives back a state that is
//! not its own any more: the whole process aborts. So the exit of the package lets nobody in any more, and waits for those
//! who are inside.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use pyo3::prelude::*;

static CLOSED: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// How long those who are inside are waited for, looked at every so often: two seconds, and a tenth of one where a person
/// leaves. Who sleeps longer sleeps on.
const LOOKS: u32 = 400;
const LOOKS_OF_WHO_LEAVES: u32 = 20;
const EACH: Duration = Duration::from_millis(5);

struct Inside;

impl Inside {
    fn enter() -> Self {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Does some work in the interpreter; none where it is ending.
pub(crate) fn attached<T>(work: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    // Counted before it looks: whoever closes sees it, or is seen by it.
    let _inside = Inside::enter();
    if CLOSED.load(Ordering::SeqCst) {
        return None;
    }
    Python::try_attach(work)
}

/// Lets nobody in any more, and waits for those who are inside.
#[pyfunction]
pub(crate) fn close(py: Python<'_>, leaves: bool) {
    CLOSED.store(true, Ordering::SeqCst);
    let looks = if leaves { LOOKS_OF_WHO_LEAVES } else { LOOKS };
    py.detach(|| {
        for _ in 0..looks {
            if INSIDE.load(Ordering::SeqCst) == 0 {
                break;
            }
            thread::sleep(EACH);
        }
    });
}
