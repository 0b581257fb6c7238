//! The estate.

use std::sync::Arc;

use patchcore::{
    Estate,
    clock::{SharedClock, SystemClock},
    digest,
    plan::Reference,
};
use pyo3::{prelude::*, types::PyString};

use crate::{
    approval::{PyApproval, PyApprovedPlan},
    call::Call,
    context::PyClock,
    journal::PyJournal,
    plan::{PyPlan, PyPolicy},
    roll::{Rolled, of_cluster},
    run::PyRun,
    sim::PySim,
    words::{datetime, length},
};

/// All that is managed.
#[pyclass(frozen, name = "Estate", module = "patchcore._native")]
pub(crate) struct PyEstate {
    estate: Arc<Estate>,
    clock: SharedClock,
}

#[pymethods]
impl PyEstate {
    #[new]
    #[pyo3(signature = (name, providers, lock_lease = None, clock = None))]
    fn new(
        name: &str,
        providers: Vec<Bound<'_, PyAny>>,
        lock_lease: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyClock>>,
    ) -> PyResult<Self> {
        let mut estate = Estate::named(name);
        let mut times: Vec<SharedClock> = Vec::new();
        for provider in providers {
            if let Ok(sim) = provider.cast::<PySim>() {
                times.push(sim.get().sim.shared_clock());
            }
            estate = estate.with(crate::provider::provider(&provider)?);
        }
        let clock = clock
            .map(|clock| clock.get().shared())
            .or_else(|| times.pop())
            .unwrap_or_else(|| Arc::new(SystemClock));
        estate = estate.with_clock(Arc::clone(&clock));
        if let Some(lease) = lock_lease {
            estate = estate.with_lock_lease(length(lease)?);
        }
        Ok(Self {
            estate: Arc::new(estate),
            clock,
        })
    }

    #[getter]
    fn name(&self) -> &str {
        self.estate.name().as_str()
    }

    fn now<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.estate.now())
    }

    fn discover(&self) -> Call {
        let estate = Arc::clone(&self.estate);
        Call::reading(
            async move { digest::canonical_json(&estate.discover().await?) },
            |py, json| Ok(PyString::new(py, &json).into_any().unbind()),
        )
        .quick()
    }

    #[pyo3(signature = (policy, requested_by, history, references))]
    fn plan(
        &self,
        policy: &Bound<'_, PyPolicy>,
        requested_by: String,
        history: Option<&Bound<'_, PyJournal>>,
        references: Vec<(String, String)>,
    ) -> PyResult<Call> {
        let (estate, clock) = (Arc::clone(&self.estate), Arc::clone(&self.clock));
        let policy = policy.get().policy.clone();
        let history = history.map(|journal| journal.get().handle().clone());
        Ok(Call::reading(
            async move {
                let journal = history.map(|history| history.journal()).transpose()?;
                let mut request = estate.plan(&policy).requested_by(requested_by);
                if let Some(journal) = &journal {
                    request = request.history(journal);
                }
                for (system, id) in references {
                    request = request.reference(Reference {
                        system,
                        id,
                        state: None,
                        digest: None,
                    });
                }
                request.await
            },
            move |py, plan| Ok(Py::new(py, PyPlan::of(plan, Some(clock))?)?.into_any()),
        ))
    }

    fn approve(
        &self,
        plan: &Bound<'_, PyPlan>,
        approvals: Vec<Bound<'_, PyApproval>>,
    ) -> PyResult<PyApprovedPlan> {
        PyApprovedPlan::count(&plan.get().plan, &approvals, self.estate.now())
    }

    fn run(&self, approved: &Bound<'_, PyApprovedPlan>, journal: &Bound<'_, PyJournal>) -> Call {
        let estate = Arc::clone(&self.estate);
        let approved = approved.get().approved.clone();
        let journal = journal.get().handle().clone();
        Call::changing(
            async move { journal.start(&estate, approved).await },
            |py, run| Ok(Py::new(py, PyRun::of(run))?.into_any()),
        )
    }

    fn run_rolling(
        &self,
        approved: &Bound<'_, PyApprovedPlan>,
        rolls: Vec<Rolled<'_>>,
        journal: &Bound<'_, PyJournal>,
    ) -> PyResult<Call> {
        let estate = Arc::clone(&self.estate);
        let approved = approved.get().approved.clone();
        let rolls = rolls.into_iter().map(of_cluster);
        let rolls: Vec<_> = rolls.collect::<PyResult<_>>()?;
        let journal = journal.get().handle().clone();
        Ok(Call::changing(
            async move { journal.start_rolling(&estate, approved, rolls).await },
            |py, run| Ok(Py::new(py, PyRun::of(run))?.into_any()),
        ))
    }

    fn reopen(&self, journal: &Bound<'_, PyJournal>) -> Call {
        let estate = Arc::clone(&self.estate);
        let journal = journal.get().handle().clone();
        Call::changing(
            async move { journal.reopen(&estate).await },
            |py, run| match run {
                Some(run) => Ok(Py::new(py, PyRun::of(run))?.into_any()),
                None => Ok(py.None()),
            },
        )
    }
}
