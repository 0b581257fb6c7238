//! The extension module of patchcore for Python: it converts, calls, and converts. The package around it is in
//! `python/patchcore`, what all languages share in `patchcore-bridge`.

mod approval;
mod call;
mod errors;
mod estate;
mod plan;
mod provider;
mod report;
mod run;
mod sim;
mod words;

/// The half of the package that is written in Rust.
#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::{
        approval::{PyApproval, PyApprovedPlan},
        call::Call,
        estate::{PyEstate, PyLinux},
        plan::{PyPlan, PyPolicy},
        provider::Done,
        report::PyReport,
        run::{PyJournal, PyLines, PyRun, operate, unfinished},
        sim::{PyScript, PySim},
    };

    /// The words of every kind of error.
    #[pyfunction]
    fn error_kinds() -> Vec<&'static str> {
        patchcore::ErrorKind::ALL
            .iter()
            .map(|kind| kind.slug())
            .collect()
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
