//! One call of the library, before it is waited for: blocking with signals, or from an event loop.

use std::{future::Future, pin::Pin, sync::Mutex, sync::PoisonError};

use patchcore::{Error, ErrorKind, Result};
use patchcore_bridge::runtime::{self, Started, Tried, Waited};
use pyo3::prelude::*;

use crate::errors::raise;

/// What turns the answer into an object, in the thread that takes it.
type Convert = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;
type Work = Pin<Box<dyn Future<Output = Result<Convert>> + Send>>;

/// One call, not yet begun.
#[pyclass(frozen, module = "patchcore._native")]
pub(crate) struct Call {
    state: Mutex<State>,
    /// What it does is wanted although nobody waits for its answer any more.
    goes_on: bool,
    /// It may have its answer without waiting for anything, and never computes for long in one go.
    quick: bool,
}

enum State {
    New(Work),
    Begun(Started<Result<Convert>>),
    Over,
}

impl Call {
    /// A call that only reads: it is dropped when nobody waits for it any more.
    pub(crate) fn reading<T, F>(
        work: F,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> Self
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        Self::new(work, convert, false)
    }

    /// A call that changes something: it goes on when nobody waits for it any more.
    pub(crate) fn changing<T, F>(
        work: F,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> Self
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        Self::new(work, convert, true)
    }

    fn new<T, F>(
        work: F,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
        goes_on: bool,
    ) -> Self
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let work = async move {
            let answer = work.await?;
            Ok(Box::new(move |py: Python<'_>| convert(py, answer)) as Convert)
        };
        Self {
            state: Mutex::new(State::New(Box::pin(work))),
            goes_on,
            quick: false,
        }
    }

    /// It is tried on the thread that asks, before it is begun on another: the way there and back is most of what a short
    /// call costs.
    pub(crate) fn quick(mut self) -> Self {
        self.quick = true;
        self
    }

    fn tried(&self) -> PyResult<Option<Result<Convert>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Over) {
            State::New(work) => match runtime::try_here(work).map_err(raise)? {
                Tried::Answer(answer) => Ok(Some(answer)),
                Tried::Waits(work) => {
                    *state = State::New(work);
                    Ok(None)
                }
            },
            other => {
                *state = other;
                Ok(None)
            }
        }
    }

    fn begin(&self, then: Option<Box<dyn FnOnce() + Send>>) -> PyResult<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::New(work) = std::mem::replace(&mut *state, State::Over) else {
            return Err(raise(Error::new(
                ErrorKind::InvalidInput,
                "a call is made once",
            )));
        };
        *state = State::Begun(runtime::start(work, then).map_err(raise)?);
        Ok(())
    }

    fn begun(&self) -> PyResult<Started<Result<Convert>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Over) {
            State::Begun(started) => Ok(started),
            _ => Err(lost()),
        }
    }
}

fn lost() -> PyErr {
    raise(
        Error::new(ErrorKind::Cancelled, "the call gave no answer")
            .hint("it was stopped, or its runtime has ended"),
    )
}

#[pymethods]
impl Call {
    /// Makes the call and waits for its answer. Signals are looked for every few milliseconds.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if self.quick
            && let Some(answer) = py.detach(|| self.tried())?
        {
            return answer.map_err(raise)?(py);
        }
        self.begin(None)?;
        let started = self.begun()?;
        let waited = py.detach(|| started.wait(|| Python::attach(|py| py.check_signals())));
        match waited {
            Waited::Answer(answer) => answer.map_err(raise)?(py),
            Waited::None => Err(lost()),
            Waited::Interrupted(interrupt) => {
                if !self.goes_on {
                    started.stop();
                }
                Err(interrupt)
            }
        }
    }

    /// Makes the call; `done` is called, in another thread, when its answer is there.
    fn start(&self, done: Py<PyAny>) -> PyResult<()> {
        self.begin(Some(Box::new(move || {
            // An interpreter that is ending takes no calls any more.
            crate::gate::attached(|py| {
                if let Err(error) = done.call0(py) {
                    error.write_unraisable(py, None);
                }
            });
        })))
    }

    /// The answer of a call that was started and is done.
    fn answer(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.begun()?.take() {
            Some(answer) => answer.map_err(raise)?(py),
            None => Err(lost()),
        }
    }

    /// Nobody waits for the answer any more.
    fn abandon(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let (State::Begun(started), false) = (&*state, self.goes_on) {
            started.stop();
        }
    }
}
