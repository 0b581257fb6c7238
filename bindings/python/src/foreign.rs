//! Calls of methods that are written in Python. Its objects and its event loops are Python's business
//! (`patchcore/_joined.py`); here is the way there and back.

use std::{fmt, sync::Mutex, sync::PoisonError};

use patchcore::{Error, ErrorKind, Result, provider::OpContext};
use patchcore_bridge::{ports::Method, runtime, wire::Raised};
use pyo3::prelude::*;
use tokio::sync::oneshot;

use crate::{call::Call, context::PyContext};

/// What a call of Python came to: its result as JSON, or what is said of the exception, as JSON too. The exception
/// itself, with its traceback, stays in Python's log.
type Answer = std::result::Result<String, String>;

/// Takes the answer of one call.
#[pyclass(frozen, module = "patchcore._native")]
pub(crate) struct Done {
    sender: Mutex<Option<oneshot::Sender<Answer>>>,
}

impl Done {
    fn send(&self, answer: Answer) {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = sender.take() {
            // Whoever no longer waits has given up.
            let _ = sender.send(answer);
        }
    }
}

#[pymethods]
impl Done {
    /// The call returned this, as JSON.
    fn returned(&self, json: String) {
        self.send(Ok(json));
    }

    /// The call raised this, as JSON.
    fn raised(&self, json: String) {
        self.send(Err(json));
    }
}

/// Ends a coroutine that nobody waits for any more.
struct Cancels(Option<Py<PyAny>>);

impl Drop for Cancels {
    fn drop(&mut self) {
        if let (Some(future), Ok(runtime)) = (self.0.take(), runtime::get()) {
            runtime.spawn_blocking(move || {
                crate::gate::attached(|py| {
                    if let Err(error) = future.call_method0(py, "cancel") {
                        error.write_unraisable(py, None);
                    }
                });
            });
        }
    }
}

/// An object of Python whose methods are called: a `patchcore._joined.Joined`.
pub(crate) struct Joined {
    object: Py<PyAny>,
    name: String,
}

/// As Python shows the provider, so that what is not to be shown is missed here too.
impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = crate::gate::attached(|py| self.object.bind(py).repr().map(|r| r.to_string()));
        match shown {
            Some(Ok(shown)) => f.write_str(&shown),
            _ => f.write_str(&self.name),
        }
    }
}

impl Joined {
    pub(crate) const fn new(object: Py<PyAny>, name: String) -> Self {
        Self { object, name }
    }

    fn with<T>(
        &self,
        method: Method,
        work: impl FnOnce(Python<'_>, &Bound<'_, PyAny>) -> PyResult<T>,
    ) -> Result<T> {
        match crate::gate::attached(|py| work(py, self.object.bind(py))) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Err(self.fault(method, &error.to_string())),
            None => Err(self.over(method)),
        }
    }

    /// Calls a method and waits for its answer.
    pub(crate) async fn call(
        &self,
        ctx: Option<&OpContext>,
        method: Method,
        given: String,
    ) -> Result<String> {
        let object = self.with(method, |py, object| {
            Ok(object.clone().unbind().clone_ref(py))
        })?;
        let ctx = ctx.cloned();
        let (sender, answer) = oneshot::channel();
        let started = tokio::task::spawn_blocking(move || {
            crate::gate::attached(|py| -> PyResult<Option<Py<PyAny>>> {
                let done = Done {
                    sender: Mutex::new(Some(sender)),
                };
                let ctx = ctx.map(|ctx| Py::new(py, PyContext::of(ctx))).transpose()?;
                let parts = (method.port, method.name, given, ctx, Py::new(py, done)?);
                let future = object.bind(py).call_method1("start", parts)?;
                Ok((!future.is_none()).then(|| future.unbind()))
            })
        })
        .await;
        let future = match started {
            Ok(Some(Ok(future))) => future,
            Ok(Some(Err(error))) => return Err(self.fault(method, &error.to_string())),
            Ok(None) => return Err(self.over(method)),
            Err(error) => return Err(self.fault(method, &error.to_string())),
        };
        let mut cancels = Cancels(future.filter(|_| !method.changes));
        let answer = answer.await;
        cancels.0.take();
        match answer {
            Ok(Ok(json)) => Ok(json),
            Ok(Err(raised)) => Err(self.raised(method, &raised)),
            Err(_) => Err(self.over(method)),
        }
    }

    /// Asks a plain method, which answers at once.
    pub(crate) fn ask(&self, method: Method, given: String) -> Result<String> {
        let answer: (bool, String) = self.with(method, |_, object| {
            let parts = (method.port, method.name, given);
            object.call_method1("ask", parts)?.extract()
        })?;
        match answer {
            (true, json) => Ok(json),
            (false, raised) => Err(self.raised(method, &raised)),
        }
    }

    /// The object that a method returns.
    pub(crate) async fn object(&self, method: Method) -> Result<Py<PyAny>> {
        let object = self.with(method, |py, object| {
            Ok(object.clone().unbind().clone_ref(py))
        })?;
        let made = tokio::task::spawn_blocking(move || {
            crate::gate::attached(|py| object.call_method1(py, "object", (method.name,)))
        })
        .await;
        match made {
            Ok(Some(Ok(made))) => Ok(made),
            Ok(Some(Err(error))) => Err(self.fault(method, &error.to_string())),
            Ok(None) => Err(self.over(method)),
            Err(error) => Err(self.fault(method, &error.to_string())),
        }
    }

    fn raised(&self, method: Method, raised: &str) -> Error {
        match serde_json::from_str::<Raised>(raised) {
            Ok(mut raised) => {
                raised.message = format!("{}.{}: {}", self.name, method.name, raised.message);
                raised
                    .context
                    .entry("provider".to_owned())
                    .or_insert_with(|| self.name.clone());
                raised.into_error().operation(method.name)
            }
            Err(error) => self
                .fault(method, "what it raised cannot be read")
                .source_error(error),
        }
    }

    /// The provider is at fault.
    pub(crate) fn fault(&self, method: Method, what: &str) -> Error {
        Error::new(
            ErrorKind::ProviderFault,
            format!("{}.{}: {what}", self.name, method.name),
        )
        .operation(method.name)
        .context("provider", self.name.clone())
        .hint("this is a fault of the provider: report it to its author")
    }

    fn over(&self, method: Method) -> Error {
        Error::new(
            ErrorKind::Cancelled,
            format!("{}.{}: Python is ending", self.name, method.name),
        )
        .operation(method.name)
    }
}

/// A pause by the clock of a context.
pub(crate) fn pause(ctx: &OpContext, length: std::time::Duration) -> Call {
    let ctx = ctx.clone();
    Call::reading(
        async move {
            ctx.sleep(length).await;
            Ok(())
        },
        |py, ()| Ok(py.None()),
    )
}
