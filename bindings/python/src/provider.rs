//! A provider that is written in Python. Its objects and its event loop are Python's business
//! (`patchcore/_provider.py`); here is the way there and back.

use std::{sync::Mutex, sync::PoisonError, time::Duration};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    estate::{Patch, PatchChange, Sighting},
    provider::{Installed, ProviderInfo, Simple},
};
use patchcore_bridge::{
    provider::{Foreign, ForeignProvider},
    runtime,
};
use pyo3::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// What a call of Python came to: its result as JSON, or what is said of the exception. The exception itself, with its
/// traceback, stays in Python's log.
type Answer = std::result::Result<String, Told>;

/// What Python says of an exception.
#[derive(Debug, Default)]
struct Told {
    kind: String,
    message: String,
    retryable: bool,
    hint: Option<String>,
}

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

    /// The call raised this.
    fn raised(&self, kind: String, message: String, retryable: bool, hint: Option<String>) {
        let told = Told {
            kind,
            message,
            retryable,
            hint,
        };
        self.send(Err(told));
    }
}

/// Ends a coroutine that nobody waits for any more.
struct Cancels(Option<Py<PyAny>>);

impl Drop for Cancels {
    fn drop(&mut self) {
        if let (Some(future), Ok(runtime)) = (self.0.take(), runtime::get()) {
            runtime.spawn_blocking(move || {
                Python::try_attach(|py| {
                    if let Err(error) = future.call_method0(py, "cancel") {
                        error.write_unraisable(py, None);
                    }
                });
            });
        }
    }
}

/// A provider whose methods are Python's.
#[derive(Debug)]
pub(crate) struct PyProvider {
    object: Py<PyAny>,
    name: String,
    quiet_after: Option<Duration>,
}

/// What `patchcore._provider.describe` says of an object, made a provider of the core.
pub(crate) fn provider(object: &Bound<'_, PyAny>) -> PyResult<Simple<Foreign<PyProvider>>> {
    let (name, version, quiet_after): (String, String, Option<Duration>) = object
        .py()
        .import("patchcore._provider")?
        .getattr("describe")?
        .call1((object,))?
        .extract()?;
    let provider = PyProvider {
        object: object.clone().unbind(),
        name: name.clone(),
        quiet_after,
    };
    Ok(Simple::new(
        ProviderInfo::new(name, version),
        Foreign::new(provider),
    ))
}

impl PyProvider {
    async fn call<T: DeserializeOwned>(&self, method: &'static str, given: &[Value]) -> Result<T> {
        let given = Value::from(given).to_string();
        let object =
            Python::try_attach(|py| self.object.clone_ref(py)).ok_or_else(|| self.over(method))?;
        let (sender, answer) = oneshot::channel();
        let started = tokio::task::spawn_blocking(move || {
            Python::try_attach(|py| -> PyResult<Option<Py<PyAny>>> {
                let done = Done {
                    sender: Mutex::new(Some(sender)),
                };
                let future = py.import("patchcore._provider")?.getattr("start")?.call1((
                    object,
                    method,
                    given,
                    Py::new(py, done)?,
                ))?;
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
        let mut cancels = Cancels(future);
        let answer = answer.await;
        cancels.0.take();
        match answer {
            Ok(Ok(json)) => serde_json::from_str(&json).map_err(|error| {
                self.fault(method, "its answer is not what it must be")
                    .found(json)
                    .source_error(error)
            }),
            Ok(Err(told)) => Err(self.error(method, told)),
            Err(_) => Err(self.over(method)),
        }
    }

    fn error(&self, method: &'static str, told: Told) -> Error {
        let kind =
            serde_json::from_value(Value::from(told.kind)).unwrap_or(ErrorKind::ProviderFault);
        let mut error = Error::new(kind, format!("{}.{method}: {}", self.name, told.message))
            .operation(method)
            .context("provider", self.name.clone());
        if told.retryable {
            error = error.retryable(None);
        }
        match told.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    fn fault(&self, method: &'static str, what: &str) -> Error {
        Error::new(
            ErrorKind::ProviderFault,
            format!("{}.{method}: {what}", self.name),
        )
        .operation(method)
        .context("provider", self.name.clone())
        .hint("this is a fault of the provider: report it to its author")
    }

    fn over(&self, method: &'static str) -> Error {
        Error::new(
            ErrorKind::Cancelled,
            format!("{}.{method}: Python is ending", self.name),
        )
        .operation(method)
    }
}

fn value(of: impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

#[async_trait]
impl ForeignProvider for PyProvider {
    fn quiet_after(&self) -> Option<Duration> {
        self.quiet_after
    }

    async fn components(&self, now: Timestamp) -> Result<Vec<Sighting>> {
        self.call("components", &[value(now)]).await
    }

    async fn available(&self, component: Sighting) -> Result<Vec<Patch>> {
        self.call("available", &[value(component)]).await
    }

    async fn scan(&self, component: Sighting) -> Result<Installed> {
        /// As Python writes it: the type of the core has no stored form.
        #[derive(serde::Deserialize)]
        struct Plain {
            running: std::collections::BTreeMap<String, String>,
            pending: std::collections::BTreeMap<String, String>,
        }
        let plain: Plain = self.call("scan", &[value(component)]).await?;
        let running = Installed::running(plain.running);
        Ok(plain
            .pending
            .into_iter()
            .fold(running, |all, (patch, version)| {
                all.with_pending(patch, version)
            }))
    }

    async fn apply(&self, component: Sighting, change: PatchChange) -> Result<()> {
        let patch = json!({ "id": change.patch, "from": change.from, "to": change.to });
        self.call("apply", &[value(component), patch]).await
    }
}
