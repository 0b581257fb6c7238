//! What every call of a provider gets, and virtual time.

use std::{sync::Arc, time::Duration};

use patchcore::{
    clock::{Clock as _, SharedClock},
    provider::{OpContext, Progress},
    sim::VirtualClock,
};
use pyo3::prelude::*;

use crate::{
    call::Call,
    errors::raise,
    foreign::pause,
    words::{datetime, length, moment},
};

/// The context of one call.
#[pyclass(frozen, name = "Context", module = "patchcore._native")]
pub(crate) struct PyContext {
    ctx: OpContext,
}

impl PyContext {
    pub(crate) const fn of(ctx: OpContext) -> Self {
        Self { ctx }
    }
}

#[pymethods]
impl PyContext {
    fn now<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.ctx.now())
    }

    #[getter]
    fn deadline<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.ctx.deadline())
    }

    fn time_left(&self) -> Duration {
        self.ctx.time_left()
    }

    fn is_cancelled(&self) -> bool {
        self.ctx.is_cancelled()
    }

    fn check(&self) -> PyResult<()> {
        self.ctx.check().map_err(raise)
    }

    #[getter]
    fn key(&self) -> Option<&str> {
        self.ctx.key().map(|key| key.as_str())
    }

    #[getter]
    fn fence(&self) -> u64 {
        self.ctx.fence()
    }

    fn progress(&self, message: Option<String>, percent: Option<u8>) {
        self.ctx.progress(Progress { percent, message });
    }

    fn sleep(&self, how_long: &Bound<'_, PyAny>) -> PyResult<Call> {
        Ok(pause(&self.ctx, length(how_long)?))
    }
}

/// Virtual time: it moves only while everybody sleeps, and then at once.
#[pyclass(frozen, name = "VirtualClock", module = "patchcore")]
pub(crate) struct PyClock {
    clock: VirtualClock,
}

impl PyClock {
    pub(crate) fn shared(&self) -> SharedClock {
        Arc::new(self.clock.clone())
    }
}

#[pymethods]
impl PyClock {
    #[new]
    fn new(start: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            clock: VirtualClock::starting(moment(start)?),
        })
    }

    /// The time now.
    fn now<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.clock.now())
    }

    fn __repr__(&self) -> String {
        format!("<VirtualClock at {}>", self.clock.now())
    }

    /// Move it on.
    fn advance_to(&self, to: &Bound<'_, PyAny>) -> PyResult<()> {
        self.clock.advance_to(moment(to)?);
        Ok(())
    }
}
