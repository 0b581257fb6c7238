//! Times, lengths of time and paths, as Python gives and takes them.

use std::time::Duration;

use patchcore::{Error, ErrorKind, Timestamp, policy::parse_duration};
use pyo3::{prelude::*, types::PyString};

use crate::errors::raise;

fn bad(what: &str, expected: &str, found: impl Into<String>) -> PyErr {
    raise(
        Error::new(ErrorKind::InvalidInput, what)
            .expected(expected)
            .found(found),
    )
}

/// A moment: an aware `datetime`, or text such as `2026-12-07T14:00:00Z`.
pub(crate) fn moment(given: &Bound<'_, PyAny>) -> PyResult<Timestamp> {
    let text: String = if given.is_instance_of::<PyString>() {
        given.extract()?
    } else {
        given.call_method0("isoformat")?.extract()?
    };
    text.parse().map_err(|_| {
        bad(
            "a moment needs its zone",
            "an aware datetime, or text such as \"2026-12-07T14:00:00Z\"",
            text,
        )
    })
}

/// A `datetime` in UTC.
pub(crate) fn datetime(py: Python<'_>, at: Timestamp) -> PyResult<Bound<'_, PyAny>> {
    let text = at.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string();
    py.import("datetime")?
        .getattr("datetime")?
        .call_method1("fromisoformat", (text,))
}

/// A length of time: a `timedelta`, or words with a unit such as `10m`.
pub(crate) fn length(given: &Bound<'_, PyAny>) -> PyResult<Duration> {
    const EXPECTED: &str = "a timedelta, or words such as \"10m\"";
    if let Ok(words) = given.extract::<String>() {
        return parse_duration(&words)
            .map_err(|_| bad("a length of time cannot be read", EXPECTED, words));
    }
    given.extract().map_err(|_| {
        bad(
            "a length of time cannot be read",
            EXPECTED,
            given.to_string(),
        )
    })
}
