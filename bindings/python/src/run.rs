//! The handle of a run.

use std::sync::Arc;

use patchcore::{
    Result,
    execute::kernel::{Resolution, Step},
    id::ComponentId,
    report::Lines,
};
use patchcore_bridge::{
    RunHandle, run,
    value::{self, FaceEvent},
};
use pyo3::{prelude::*, types::PyString};
use tokio::sync::Mutex;

use crate::{
    call::Call,
    errors::raise,
    plan::PyPlan,
    report::PyReport,
    words::{datetime, length},
};

fn nothing(py: Python<'_>, (): ()) -> PyResult<Py<PyAny>> {
    Ok(py.None())
}

fn text(py: Python<'_>, text: impl AsRef<str>) -> PyResult<Py<PyAny>> {
    Ok(PyString::new(py, text.as_ref()).into_any().unbind())
}

/// What `operate` makes of a command line: what to print, where, and the exit code.
#[pyfunction]
#[pyo3(signature = (program, me, words))]
pub(crate) fn operate(program: String, me: Option<String>, words: Vec<String>) -> Call {
    Call::changing(
        async move { Ok(patchcore::operate(&program, me, words).await) },
        |py, said| {
            let said = (said.out, said.err, said.exit_status);
            Ok(said.into_pyobject(py)?.into_any().unbind())
        },
    )
}

/// The runs of this process that are not at a safe point.
#[pyfunction]
pub(crate) fn unfinished() -> Vec<PyRun> {
    run::unfinished().into_iter().map(PyRun::of).collect()
}

/// A run, as both faces hold it.
#[pyclass(frozen, name = "Run", module = "patchcore._native")]
pub(crate) struct PyRun {
    handle: RunHandle,
}

impl PyRun {
    pub(crate) const fn of(handle: RunHandle) -> Self {
        Self { handle }
    }

    /// A command of a person.
    fn steer<F>(&self, command: impl FnOnce(patchcore::Run) -> F + Send + 'static) -> Call
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let handle = self.handle.clone();
        Call::changing(async move { command(handle.run()?).await }, nothing)
    }
}

#[pymethods]
impl PyRun {
    #[getter]
    fn id(&self) -> u64 {
        self.handle.id().0
    }

    #[getter]
    fn plan(&self) -> PyResult<PyPlan> {
        PyPlan::of(self.handle.plan().clone(), None)
    }

    fn is_final(&self) -> bool {
        self.handle.is_final()
    }

    fn standing(&self) -> PyResult<String> {
        let run = self.handle.run().map_err(raise)?;
        Ok(value::standing(&run, &run.standing()).to_string())
    }

    fn events_after(&self, seq: u64) -> Call {
        let handle = self.handle.clone();
        Call::reading(
            async move {
                let told = handle.events_after(seq).await?;
                Ok(told.iter().map(FaceEvent::from).collect::<Vec<_>>())
            },
            |py, events| {
                let rows: PyResult<Vec<_>> = events
                    .into_iter()
                    .map(|e| {
                        let at = datetime(py, e.at)?.unbind();
                        Ok((
                            e.seq,
                            at,
                            e.run,
                            e.component,
                            e.family,
                            e.kind,
                            e.body,
                            e.text,
                        ))
                    })
                    .collect();
                Ok(rows?.into_pyobject(py)?.unbind())
            },
        )
    }

    fn lines(&self, only_new: bool) -> PyResult<PyLines> {
        let lines = self.handle.lines(only_new).map_err(raise)?;
        Ok(PyLines {
            lines: Arc::new(Mutex::new(Some(lines))),
        })
    }

    fn progress(&self) -> Call {
        let handle = self.handle.clone();
        Call::reading(
            async move {
                let run = handle.run()?;
                let progress = run.progress().await?;
                Ok(value::progress(&run, &progress).to_string())
            },
            text,
        )
    }

    fn report(&self) -> Call {
        let handle = self.handle.clone();
        Call::reading(async move { handle.run()?.report().await }, |py, report| {
            Ok(Py::new(py, PyReport::of(report)?)?.into_any())
        })
    }

    fn ledger(&self) -> Call {
        let handle = self.handle.clone();
        Call::reading(async move { handle.run()?.ledger().await }, |py, owed| {
            Ok(owed.into_pyobject(py)?.unbind())
        })
    }

    fn why(&self, component: String) -> Call {
        let handle = self.handle.clone();
        Call::reading(async move { handle.run()?.why(component).await }, text)
    }

    fn in_flight(&self) -> Call {
        let handle = self.handle.clone();
        Call::reading(async move { handle.in_flight().await }, |py, said| {
            Ok(said.into_pyobject(py)?.unbind())
        })
    }

    fn finished(&self) -> Call {
        let handle = self.handle.clone();
        Call::reading(
            async move {
                let run = handle.run()?;
                let standing = run.finished().await?;
                Ok(value::standing(&run, &standing).to_string())
            },
            text,
        )
    }

    fn finished_or_parked(&self, patience: &Bound<'_, PyAny>) -> PyResult<Call> {
        let (handle, patience) = (self.handle.clone(), length(patience)?);
        Ok(Call::reading(
            async move {
                let run = handle.run()?;
                let standing = run.finished_or_parked(patience).await?;
                Ok(value::standing(&run, &standing).to_string())
            },
            text,
        ))
    }

    fn park(&self) {
        self.handle.park();
    }

    fn parked(&self) -> Call {
        let handle = self.handle.clone();
        Call::changing(
            async move {
                let standing = handle.parked().await?;
                Ok(value::standing(&handle.run()?, &standing).to_string())
            },
            text,
        )
    }

    fn pause(&self, by: String, reason: String) -> Call {
        self.steer(async move |run| run.pause(by, &reason).await)
    }

    fn unpause(&self, by: String, reason: String) -> Call {
        self.steer(async move |run| run.unpause(by, &reason).await)
    }

    fn pause_before(
        &self,
        step: &str,
        component: Option<String>,
        by: String,
        reason: String,
    ) -> PyResult<Call> {
        let step: Step = step.parse().map_err(raise)?;
        let component = component.map(ComponentId::from);
        Ok(self.steer(async move |run| run.pause_before(step, component, by, &reason).await))
    }

    fn unpause_before(
        &self,
        step: &str,
        component: Option<String>,
        by: String,
        reason: String,
    ) -> PyResult<Call> {
        let step: Step = step.parse().map_err(raise)?;
        let component = component.map(ComponentId::from);
        Ok(self.steer(async move |run| run.unpause_before(step, component, by, &reason).await))
    }

    fn cancel(&self, by: String, reason: String) -> Call {
        self.steer(async move |run| run.cancel(by, &reason).await)
    }

    fn lift_halt(&self, by: String, reason: String) -> Call {
        self.steer(async move |run| run.lift_halt(by, &reason).await)
    }

    fn end(&self, by: String, reason: String) -> Call {
        self.steer(async move |run| run.end(by, &reason).await)
    }

    fn approve_ring(&self, ring: String, by: String, comment: String) -> Call {
        self.steer(async move |run| run.approve_ring(ring, by, &comment).await)
    }

    fn resolve(&self, component: String, how: &str, by: String, reason: String) -> PyResult<Call> {
        let how: Resolution = how.parse().map_err(raise)?;
        Ok(self.steer(async move |run| run.resolve(component, how, by, &reason).await))
    }
}

/// The lines of a run.
#[pyclass(frozen, name = "Lines", module = "patchcore._native")]
pub(crate) struct PyLines {
    lines: Arc<Mutex<Option<Lines>>>,
}

#[pymethods]
impl PyLines {
    /// The next line; none at the end.
    fn next(&self) -> Call {
        let shared = Arc::clone(&self.lines);
        Call::reading(
            async move {
                let mut lines = shared.lock().await;
                let line = match lines.as_mut() {
                    Some(open) => open.next().await,
                    None => None,
                };
                if line.is_none() {
                    // It holds the journal open.
                    lines.take();
                }
                Ok(line)
            },
            |py, line| match line {
                Some(line) => text(py, line),
                None => Ok(py.None()),
            },
        )
    }
}
