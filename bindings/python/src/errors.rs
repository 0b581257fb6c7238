//! From one flat error to the exceptions of Python.

use patchcore::Error;
use patchcore_bridge::FaceError;
use pyo3::{prelude::*, types::PyDict};

/// The exception for an error.
pub(crate) fn raise(error: Error) -> PyErr {
    Python::attach(|py| made(py, &FaceError::from(error)).unwrap_or_else(|broken| broken))
}

fn made(py: Python<'_>, error: &FaceError) -> PyResult<PyErr> {
    let context = PyDict::new(py);
    for (key, value) in &error.context {
        context.set_item(key, value)?;
    }
    let parts = PyDict::new(py);
    parts.set_item("message", &error.message)?;
    parts.set_item("retryable", error.retryable)?;
    parts.set_item("retry_after", error.retry_after)?;
    parts.set_item("expected", error.expected.as_deref())?;
    parts.set_item("found", error.found.as_deref())?;
    parts.set_item("consequence", error.consequence.as_deref())?;
    parts.set_item("blames", &error.blames)?;
    parts.set_item("operation", error.operation)?;
    parts.set_item("subject", error.subject.as_deref())?;
    parts.set_item("hint", error.hint.as_deref())?;
    parts.set_item("context", context)?;
    let raised = py
        .import("patchcore.exceptions")?
        .getattr("_of_kind")?
        .call((error.kind, &error.text), Some(&parts))?;
    Ok(PyErr::from_value(raised))
}
