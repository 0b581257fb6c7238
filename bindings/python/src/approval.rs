//! Approvals, and what they make of a plan.

use std::path::PathBuf;

use patchcore::{
    Plan,
    approve::{self, Approval, ApprovedPlan},
};
use pyo3::{prelude::*, types::PyType};

use crate::{
    errors::raise,
    plan::{PyPlan, from_dict, hash_of, to_dict},
    words::datetime,
};

/// One person's approval of one plan.
#[pyclass(frozen, name = "Approval", module = "patchcore")]
pub(crate) struct PyApproval {
    approval: Approval,
    json: String,
}

impl PyApproval {
    pub(crate) fn of(approval: Approval) -> PyResult<Self> {
        let json = approval.to_json().map_err(raise)?;
        Ok(Self { approval, json })
    }
}

#[pymethods]
impl PyApproval {
    /// Who.
    #[getter]
    fn by(&self) -> &str {
        self.approval.by.as_str()
    }

    /// When.
    #[getter]
    fn at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.approval.at)
    }

    /// The digest of what was approved.
    #[getter]
    fn plan_digest(&self) -> &str {
        &self.approval.envelope
    }

    /// What the person wrote.
    #[getter]
    fn comment(&self) -> Option<&str> {
        self.approval.comment.as_deref()
    }

    /// Write it to a file, whole or not at all.
    fn save(&self, path: PathBuf) -> PyResult<()> {
        self.approval.save(path).map_err(raise)
    }

    /// Read it from a file. Whether it counts is for `approve` to say.
    #[classmethod]
    fn load(_cls: &Bound<'_, PyType>, path: PathBuf) -> PyResult<Self> {
        Self::of(Approval::load(path).map_err(raise)?)
    }

    /// Plain data that `from_dict` reads.
    fn to_dict(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        to_dict(py, &self.json)
    }

    /// Read an approval from plain data.
    #[classmethod]
    fn from_dict(cls: &Bound<'_, PyType>, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::of(Approval::from_json(&from_dict(cls.py(), data)?).map_err(raise)?)
    }

    fn __repr__(&self) -> String {
        let digest = &self.approval.envelope;
        format!(
            "<Approval of plan {} by {}>",
            digest.get(..8).unwrap_or(digest),
            self.approval.by
        )
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Self>()
            .is_ok_and(|other| other.get().json == self.json)
    }

    /// The JSON Schema of `to_dict`.
    #[staticmethod]
    fn json_schema(py: Python<'_>) -> PyResult<Py<PyAny>> {
        to_dict(py, &Approval::json_schema().to_string())
    }

    /// How pydantic takes it.
    #[classmethod]
    fn __get_pydantic_core_schema__<'py>(
        cls: &Bound<'py, PyType>,
        source: &Bound<'py, PyAny>,
        handler: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = (source, handler);
        cls.py()
            .import("patchcore._pydantic")?
            .call_method1("schema", (cls,))
    }

    fn __hash__(&self) -> u64 {
        hash_of(&self.json)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Py<PyAny>,))> {
        let data = slf.get().to_dict(slf.py())?;
        Ok((slf.get_type().getattr("from_dict")?, (data,)))
    }
}

/// A plan that enough of the right people approved. Only approving makes one.
#[pyclass(frozen, name = "ApprovedPlan", module = "patchcore")]
pub(crate) struct PyApprovedPlan {
    pub(crate) approved: ApprovedPlan,
}

impl PyApprovedPlan {
    pub(crate) fn count(
        plan: &Plan,
        approvals: &[Bound<'_, PyApproval>],
        now: patchcore::Timestamp,
    ) -> PyResult<Self> {
        let given = approvals.iter().map(|a| a.get().approval.clone());
        let approved = approve::approve(plan.clone(), given, now).map_err(raise)?;
        Ok(Self { approved })
    }
}

#[pymethods]
impl PyApprovedPlan {
    /// The plan.
    #[getter]
    fn plan(&self) -> PyResult<PyPlan> {
        PyPlan::of(self.approved.plan().clone(), None)
    }

    /// The approvals that counted.
    #[getter]
    fn approvals(&self) -> PyResult<Vec<PyApproval>> {
        let counted = self.approved.approvals().iter();
        counted
            .map(|c| PyApproval::of(c.approval.clone()))
            .collect()
    }

    fn __repr__(&self) -> String {
        format!("<ApprovedPlan {}>", self.approved.plan().id())
    }
}
