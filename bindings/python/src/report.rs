//! What was observed of a run.

use std::path::PathBuf;

use patchcore::Report;
use pyo3::{prelude::*, types::PyType};

use crate::{errors::raise, plan::preformatted};

/// What was observed of a run.
#[pyclass(frozen, name = "Report", module = "patchcore")]
pub(crate) struct PyReport {
    report: Report,
    json: String,
}

impl PyReport {
    pub(crate) fn of(report: Report) -> PyResult<Self> {
        let json = report.to_json().map_err(raise)?;
        Ok(Self { report, json })
    }
}

#[pymethods]
impl PyReport {
    /// 0 done, 1 halted, 3 needs a person, 4 parked.
    #[getter]
    fn exit_code(&self) -> u8 {
        self.report.exit_status()
    }

    /// What came of it, as a word.
    #[getter]
    fn verdict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let word = serde_json::to_value(self.report.verdict).unwrap_or_default();
        py.import("patchcore.words")?
            .getattr("Verdict")?
            .call1((word.as_str().unwrap_or_default(),))
    }

    /// Write it to a file, by its ending: `.md`, `.json` or `.txt`.
    fn save(&self, path: PathBuf) -> PyResult<()> {
        self.report.save(path).map_err(raise)
    }

    /// As Markdown.
    fn to_markdown(&self) -> String {
        self.report.to_markdown()
    }

    /// Plain data that `from_dict` reads.
    fn to_dict(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py
            .import("json")?
            .call_method1("loads", (&self.json,))?
            .unbind())
    }

    /// Read a report from plain data.
    #[classmethod]
    fn from_dict(cls: &Bound<'_, PyType>, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let text: String = cls
            .py()
            .import("json")?
            .call_method1("dumps", (data,))?
            .extract()?;
        Self::from_json(cls, &text)
    }

    /// The stored form, as text.
    fn to_json(&self) -> &str {
        &self.json
    }

    /// Read the stored form.
    #[classmethod]
    fn from_json(_cls: &Bound<'_, PyType>, text: &str) -> PyResult<Self> {
        Self::of(Report::from_json(text).map_err(raise)?)
    }

    /// The JSON Schema of `to_dict`.
    #[staticmethod]
    fn json_schema(py: Python<'_>) -> PyResult<Py<PyAny>> {
        crate::plan::to_dict(py, &Report::json_schema().to_string())
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
        self.report.to_string()
    }

    fn __repr__(&self) -> String {
        format!(
            "<Report of run {}: {}>",
            self.report.run, self.report.figures
        )
    }

    fn _repr_html_(&self) -> String {
        preformatted(&self.report.to_string())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Self>()
            .is_ok_and(|other| other.get().json == self.json)
    }

    fn __hash__(&self) -> isize {
        // Equal reports have equal runs and times of making.
        self.report.made.as_microsecond() as isize
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((
            slf.get_type().getattr("from_json")?,
            (slf.get().json.clone(),),
        ))
    }
}
