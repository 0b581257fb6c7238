//! Policies and plans.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::PathBuf,
};

use patchcore::{
    Error, ErrorKind, Plan, Policy,
    clock::{SharedClock, SystemClock},
    digest,
};
use pyo3::{prelude::*, types::PyType};

use crate::{
    approval::{PyApproval, PyApprovedPlan},
    errors::raise,
    words::{datetime, moment},
};

pub(crate) fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

pub(crate) fn from_dict(py: Python<'_>, dict: &Bound<'_, PyAny>) -> PyResult<String> {
    py.import("json")?.call_method1("dumps", (dict,))?.extract()
}

pub(crate) fn to_dict(py: Python<'_>, json: &str) -> PyResult<Py<PyAny>> {
    Ok(py.import("json")?.call_method1("loads", (json,))?.unbind())
}

/// The rules by which a plan is made.
#[pyclass(frozen, name = "Policy", module = "patchcore")]
pub(crate) struct PyPolicy {
    pub(crate) policy: Policy,
    json: String,
}

impl PyPolicy {
    fn of(policy: Policy) -> PyResult<Self> {
        let json = digest::canonical_json(&policy).map_err(raise)?;
        Ok(Self { policy, json })
    }
}

#[pymethods]
impl PyPolicy {
    /// Read a policy file, in TOML or JSON. All its mistakes are answered at once.
    #[classmethod]
    fn from_file(_cls: &Bound<'_, PyType>, path: PathBuf) -> PyResult<Self> {
        Self::of(Policy::from_file(path).map_err(raise)?)
    }

    /// Read a policy from text in TOML; `name` is what mistakes call the text.
    #[classmethod]
    #[pyo3(signature = (text, name = "policy.toml"))]
    fn from_toml(_cls: &Bound<'_, PyType>, text: &str, name: &str) -> PyResult<Self> {
        Self::of(Policy::from_toml(text, name).map_err(raise)?)
    }

    /// Read a policy from plain data, as `to_dict` makes it.
    #[classmethod]
    fn from_dict(cls: &Bound<'_, PyType>, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let text = from_dict(cls.py(), data)?;
        Self::of(Policy::from_json(&text, "policy").map_err(raise)?)
    }

    /// Plain data that `from_dict` reads.
    fn to_dict(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        to_dict(py, &self.json)
    }

    /// What people call it.
    #[getter]
    fn name(&self) -> &str {
        &self.policy.name
    }

    /// The JSON Schema of `to_dict`.
    #[staticmethod]
    fn json_schema(py: Python<'_>) -> PyResult<Py<PyAny>> {
        to_dict(py, &patchcore::policy::schema().to_string())
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

    fn __repr__(&self) -> String {
        format!("<Policy {}>", self.policy.name)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Self>()
            .is_ok_and(|other| other.get().json == self.json)
    }

    fn __hash__(&self) -> u64 {
        hash_of(&self.json)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Py<PyAny>,))> {
        let data = slf.get().to_dict(slf.py())?;
        Ok((slf.get_type().getattr("from_dict")?, (data,)))
    }
}

/// An immutable plan.
#[pyclass(frozen, name = "Plan", module = "patchcore")]
pub(crate) struct PyPlan {
    pub(crate) plan: Plan,
    /// That of the estate that made it, so that an approval is given in its time.
    clock: Option<SharedClock>,
    json: String,
}

impl PyPlan {
    pub(crate) fn of(plan: Plan, clock: Option<SharedClock>) -> PyResult<Self> {
        let json = plan.to_json().map_err(raise)?;
        Ok(Self { plan, clock, json })
    }

    fn now(&self) -> patchcore::Timestamp {
        use patchcore::clock::Clock as _;
        self.clock
            .as_ref()
            .map_or_else(|| SystemClock.now(), |clock| clock.now())
    }
}

#[pymethods]
impl PyPlan {
    /// The first eight digits of its digest: what people call it.
    #[getter]
    fn id(&self) -> String {
        self.plan.id()
    }

    /// The digest that approvals are bound to.
    #[getter]
    fn digest(&self) -> PyResult<String> {
        self.plan.envelope.digest().map_err(raise)
    }

    /// Whose estate it is for.
    #[getter]
    fn estate(&self) -> &str {
        self.plan.envelope.estate.as_str()
    }

    /// Who asked for it.
    #[getter]
    fn requested_by(&self) -> &str {
        self.plan.envelope.requested_by.as_str()
    }

    /// When it was made.
    #[getter]
    fn made<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.plan.envelope.made)
    }

    /// After this moment nothing new starts under it.
    #[getter]
    fn expires<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.plan.envelope.expires)
    }

    /// The names of the components that it would touch.
    #[getter]
    fn components(&self) -> Vec<String> {
        let targets = self.plan.envelope.targets.iter();
        targets.map(|target| target.component.to_string()).collect()
    }

    /// Whether there is nothing to do.
    #[getter]
    fn is_empty(&self) -> bool {
        self.plan.is_empty()
    }

    /// Why this, why then, why not: of a component or a patch, in three to eight lines.
    fn explain(&self, name: &str) -> PyResult<String> {
        self.plan
            .explain(name)
            .map(|said| said.to_string())
            .ok_or_else(|| {
                raise(
                    Error::new(
                        ErrorKind::NotFound,
                        format!(
                            "plan {} knows no component and no patch {name}",
                            self.plan.id()
                        ),
                    )
                    .hint("print(plan) shows the names that there are"),
                )
            })
    }

    /// What changed since an earlier plan, as text.
    fn diff(&self, earlier: &Bound<'_, Self>) -> String {
        self.plan.diff(&earlier.get().plan).to_string()
    }

    /// A person's approval of this plan, given now or `at`.
    #[pyo3(signature = (by, *, comment = None, at = None))]
    fn approval(
        &self,
        by: &str,
        comment: Option<&str>,
        at: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyApproval> {
        let at = at.map(moment).transpose()?.unwrap_or_else(|| self.now());
        let approval = self.plan.approval(by, at).map_err(raise)?;
        PyApproval::of(match comment {
            Some(comment) => approval.with_comment(comment),
            None => approval,
        })
    }

    /// Count approvals now. Enough of the right people must have given one.
    #[pyo3(signature = (*approvals))]
    fn approve(&self, approvals: Vec<Bound<'_, PyApproval>>) -> PyResult<PyApprovedPlan> {
        PyApprovedPlan::count(&self.plan, &approvals, self.now())
    }

    /// Write it to a file, whole or not at all.
    fn save(&self, path: PathBuf) -> PyResult<()> {
        self.plan.save(path).map_err(raise)
    }

    /// Read it from a file.
    #[classmethod]
    fn load(_cls: &Bound<'_, PyType>, path: PathBuf) -> PyResult<Self> {
        Self::of(Plan::load(path).map_err(raise)?, None)
    }

    /// Plain data that `from_dict` reads.
    fn to_dict(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        to_dict(py, &self.json)
    }

    /// Read a plan from plain data.
    #[classmethod]
    fn from_dict(cls: &Bound<'_, PyType>, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::from_json(cls, &from_dict(cls.py(), data)?)
    }

    /// The stored form, as text.
    fn to_json(&self) -> &str {
        &self.json
    }

    /// Read the stored form.
    #[classmethod]
    fn from_json(_cls: &Bound<'_, PyType>, text: &str) -> PyResult<Self> {
        Self::of(Plan::from_json(text).map_err(raise)?, None)
    }

    /// The JSON Schema of `to_dict`.
    #[staticmethod]
    fn json_schema(py: Python<'_>) -> PyResult<Py<PyAny>> {
        to_dict(py, &Plan::json_schema().to_string())
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

    fn __str__(&self) -> String {
        self.plan.to_string()
    }

    fn __repr__(&self) -> String {
        let envelope = &self.plan.envelope;
        format!(
            "<Plan {} of estate {}, {} components>",
            self.plan.id(),
            envelope.estate,
            envelope.targets.len()
        )
    }

    fn _repr_html_(&self) -> String {
        preformatted(&self.plan.to_string())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Self>()
            .is_ok_and(|other| other.get().json == self.json)
    }

    fn __hash__(&self) -> u64 {
        hash_of(&self.json)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((
            slf.get_type().getattr("from_json")?,
            (slf.get().json.clone(),),
        ))
    }
}

/// Text as a notebook shows it.
pub(crate) fn preformatted(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("<pre>{text}</pre>")
}
