//! The extension module of patchcore for Python: it converts, calls, and converts. The package around it is in
//! `python/patchcore`, what all languages share in `patchcore-bridge`.

mod approval;
mod builtin;
mod call;
mod context;
mod errors;
mod estate;
mod foreign;
mod gate;
mod journal;
mod plan;
mod provider;
mod report;
mod roll;
mod run;
mod sim;
mod testing;
mod vsphere;
mod words;

/// The half of the package that is written in Rust.
#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::{
        approval::{PyApproval, PyApprovedPlan},
        builtin::{PyHttp, PyLinux},
        call::Call,
        context::{PyClock, PyContext},
        estate::PyEstate,
        foreign::Done,
        gate::close,
        journal::{PyHolder, PyJournal},
        plan::{PyPlan, PyPolicy},
        report::PyReport,
        roll::{
            PyRollPlan, check_cluster, cluster_for_plan, plan_roll, roll_schemas, roll_what_if,
        },
        run::{PyLines, PyRun, operate, unfinished},
        sim::{PyScript, PySim},
        testing::{conformance_check, conformance_checks},
        vsphere::{PyVCenter, PyVsphereCluster},
    };

    /// The words of every kind of error.
    #[pyfunction]
    fn error_kinds() -> Vec<&'static str> {
        patchcore::ErrorKind::ALL
            .iter()
            .map(|kind| kind.slug())
            .collect()
    }

    /// The short form of an operation's key, for targets that take few characters.
    #[pyfunction]
    fn op_token(key: &str) -> String {
        patchcore::id::OpKey::from(key).token()
    }

    /// What crosses to a provider and back, as JSON Schema by the names of its types.
    #[pyfunction]
    fn provider_schemas() -> String {
        patchcore_bridge::ports::schemas().to_string()
    }

    /// Whether a target goes to a claim.
    #[pyfunction]
    fn yields_to(held: &str, claim: &str) -> PyResult<bool> {
        let bad = |error: serde_json::Error| {
            crate::errors::raise(
                patchcore::Error::new(
                    patchcore::ErrorKind::InvalidInput,
                    "a holding or a claim cannot be read",
                )
                .source_error(error),
            )
        };
        let held: patchcore::provider::Held = serde_json::from_str(held).map_err(bad)?;
        let claim: patchcore::provider::Claim = serde_json::from_str(claim).map_err(bad)?;
        Ok(held.yields_to(&claim))
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        patchcore_bridge::logging::hand_to(|record| crate::errors::log(&record));
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
