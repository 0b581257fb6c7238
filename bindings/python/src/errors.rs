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

/// Hands a record to the logging of Python. False where the interpreter is ending.
pub(crate) fn log(record: &patchcore_bridge::logging::Record) -> bool {
    // The numbers of the module `logging`.
    let level = match record.level.as_str() {
        "ERROR" => 40,
        "WARN" => 30,
        "INFO" => 20,
        _ => 10,
    };
    let logger = record.target.replace("::", ".");
    let told = crate::gate::attached(|py| -> PyResult<()> {
        let logger = py.import("logging")?.call_method1("getLogger", (logger,))?;
        logger.call_method1("log", (level, "%s", &record.text))?;
        Ok(())
    });
    match told {
        Some(Err(error)) => {
            crate::gate::attached(|py| error.write_unraisable(py, None));
            true
        }
        told => told.is_some(),
    }
}
