//! The journal, and who holds it.

use std::path::PathBuf;

use patchcore::{Error, ErrorKind, Journal, Operator, Result, execute::journal::Holder};
use patchcore_bridge::JournalHandle;
use pyo3::{prelude::*, types::PyType};

use crate::{
    call::Call,
    errors::raise,
    plan::{from_dict, hash_of, to_dict},
    words::datetime,
};

/// A journal, as both faces hold it.
#[pyclass(frozen, name = "Journal", module = "patchcore._native")]
pub(crate) struct PyJournal {
    handle: JournalHandle,
}

impl PyJournal {
    pub(crate) const fn handle(&self) -> &JournalHandle {
        &self.handle
    }

    /// Opens it in a thread that may block.
    fn opened(place: String, open: impl FnOnce() -> Result<Journal> + Send + 'static) -> Call {
        Call::reading(
            async move {
                tokio::task::spawn_blocking(open).await.map_err(|error| {
                    Error::new(ErrorKind::Io, "the journal could not be opened").source_error(error)
                })?
            },
            move |py, journal| {
                let handle = JournalHandle::of(journal, place);
                Ok(Py::new(py, Self { handle })?.into_any())
            },
        )
    }
}

#[pymethods]
impl PyJournal {
    #[staticmethod]
    fn open(path: PathBuf) -> Call {
        Self::opened(path.display().to_string(), move || Journal::open(path))
    }

    #[staticmethod]
    fn take_over(path: PathBuf, holder: &Bound<'_, PyHolder>, by: String, reason: String) -> Call {
        let holder = holder.get().holder.clone();
        Self::opened(path.display().to_string(), move || {
            Journal::take_over(path, &holder, by, &reason)
        })
    }

    #[staticmethod]
    fn holder(path: PathBuf) -> Call {
        Call::reading(
            async move { Operator::open(path)?.holder().await },
            |py, holder| match holder {
                Some(holder) => Ok(Py::new(py, PyHolder::of(holder)?)?.into_any()),
                None => Ok(py.None()),
            },
        )
    }

    #[staticmethod]
    fn in_memory() -> Call {
        Call::reading(async move { Journal::in_memory() }, |py, journal| {
            let handle = JournalHandle::of(journal, "in memory");
            Ok(Py::new(py, Self { handle })?.into_any())
        })
    }

    #[getter]
    fn place(&self) -> &str {
        self.handle.place()
    }

    #[getter]
    fn closed(&self) -> bool {
        self.handle.is_closed()
    }

    fn close(&self) -> Call {
        let handle = self.handle.clone();
        Call::changing(async move { handle.close().await }, |py, ()| Ok(py.None()))
    }
}

/// Who holds a journal: which process, on which machine, since when.
#[pyclass(frozen, name = "Holder", module = "patchcore")]
pub(crate) struct PyHolder {
    holder: Holder,
    json: String,
}

impl PyHolder {
    fn of(holder: Holder) -> PyResult<Self> {
        let json = patchcore::digest::canonical_json(&holder).map_err(raise)?;
        Ok(Self { holder, json })
    }
}

#[pymethods]
impl PyHolder {
    /// The process.
    #[getter]
    const fn pid(&self) -> u32 {
        self.holder.pid
    }

    /// The machine it runs on.
    #[getter]
    fn host(&self) -> &str {
        &self.holder.host
    }

    /// When it opened the journal.
    #[getter]
    fn since<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.holder.since)
    }

    /// Plain data that `from_dict` reads.
    fn to_dict(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        to_dict(py, &self.json)
    }

    /// Read who holds a journal from plain data.
    #[classmethod]
    fn from_dict(cls: &Bound<'_, PyType>, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let text = from_dict(cls.py(), data)?;
        Self::of(serde_json::from_str(&text).map_err(|error| {
            raise(
                Error::new(
                    ErrorKind::InvalidInput,
                    "this is nobody who holds a journal",
                )
                .expected("what Holder.to_dict gave")
                .found(text)
                .source_error(error),
            )
        })?)
    }

    fn __str__(&self) -> String {
        self.holder.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<Holder {}>", self.holder)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Self>()
            .is_ok_and(|other| other.get().holder == self.holder)
    }

    fn __hash__(&self) -> u64 {
        hash_of(&self.json)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Py<PyAny>,))> {
        let data = slf.get().to_dict(slf.py())?;
        Ok((slf.get_type().getattr("from_dict")?, (data,)))
    }
}
