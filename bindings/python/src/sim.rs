//! The simulated estate.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use patchcore::{
    Error, ErrorKind,
    estate::{ComponentKind, Patch, RedundancyGroup, Role},
    sim::{Script, Sim},
};
use pyo3::{prelude::*, types::PyType};

use crate::{
    errors::raise,
    words::{datetime, length, moment},
};

fn bad(what: String, expected: &str) -> PyErr {
    raise(
        Error::new(ErrorKind::InvalidInput, what)
            .expected(expected)
            .consequence("nothing was added"),
    )
}

fn word<T: serde::de::DeserializeOwned>(word: &str, what: &str) -> PyResult<T> {
    serde_json::from_value(serde_json::Value::from(word))
        .map_err(|error| bad(format!("there is no {what} \"{word}\""), &error.to_string()))
}

/// A simulated estate in virtual time.
#[pyclass(frozen, name = "Sim", module = "patchcore")]
pub(crate) struct PySim {
    pub(crate) sim: Sim,
}

#[pymethods]
impl PySim {
    #[new]
    #[pyo3(signature = (start, *, seed = 0))]
    fn new(start: &Bound<'_, PyAny>, seed: u64) -> PyResult<Self> {
        Ok(Self {
            sim: Sim::starting(moment(start)?, seed),
        })
    }

    /// A simulated copy of what was found, to try a policy on. Its time begins when the inventory was made.
    #[classmethod]
    #[pyo3(signature = (inventory, *, seed = 0))]
    fn from_inventory(
        _cls: &Bound<'_, PyType>,
        inventory: &Bound<'_, PyAny>,
        seed: u64,
    ) -> PyResult<Self> {
        let text: String = inventory.call_method0("to_json")?.extract()?;
        let inventory = serde_json::from_str(&text)
            .map_err(|error| bad("an inventory cannot be read".to_owned(), &error.to_string()))?;
        Ok(Self {
            sim: Sim::from_inventory(&inventory, seed),
        })
    }

    /// Add one component, or several that are alike.
    #[pyo3(signature = (
        *names, packages = None, labels = None, address = None, owner = None, kind = "guest", takes = None,
        restart_takes = None, wants = None
    ))]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a keyword of its own in Python"
    )]
    fn guest<'py>(
        slf: Bound<'py, Self>,
        names: Vec<String>,
        packages: Option<BTreeMap<String, String>>,
        labels: Option<BTreeMap<String, String>>,
        address: Option<&str>,
        owner: Option<&str>,
        kind: &str,
        takes: Option<&Bound<'py, PyAny>>,
        restart_takes: Option<&Bound<'py, PyAny>>,
        wants: Option<Vec<String>>,
    ) -> PyResult<Bound<'py, Self>> {
        if names.is_empty() {
            return Err(bad("no component is named".to_owned(), "one name or more"));
        }
        let kind: ComponentKind = word(kind, "kind of component")?;
        let takes = takes.map(length).transpose()?;
        let restart_takes = restart_takes.map(length).transpose()?;
        for name in names {
            // Describing changes the world that all clones share.
            let _ = slf
                .get()
                .sim
                .clone()
                .component(name.clone(), kind, |mut guest| {
                    for (package, version) in packages.iter().flatten() {
                        guest = guest.package(package.as_str(), version.as_str());
                    }
                    for (key, value) in labels.iter().flatten() {
                        guest = guest.label(key, value);
                    }
                    for package in wants.iter().flatten() {
                        guest = guest.wants(package.as_str());
                    }
                    if let Some(address) = address {
                        guest = guest.address(address.replace("{name}", &name));
                    }
                    if let Some(owner) = owner {
                        guest = guest.owner(owner);
                    }
                    if let Some(takes) = takes {
                        guest = guest.takes(takes, slow(takes));
                    }
                    if let Some(takes) = restart_takes {
                        guest = guest.restart_takes(takes, slow(takes));
                    }
                    guest
                });
        }
        Ok(slf)
    }

    /// Components that stand in for each other: all but one of them stay up.
    fn group<'py>(
        slf: Bound<'py, Self>,
        name: &str,
        role: &str,
        members: Vec<String>,
    ) -> Bound<'py, Self> {
        let role = word(role, "role").unwrap_or_else(|_| Role::Other(role.to_owned()));
        let group = RedundancyGroup::all_but_one(name, role, members);
        let _ = slf.get().sim.clone().group(group);
        slf
    }

    /// Offer a patch, at once or `at` a later moment, to every component that has the package.
    #[pyo3(signature = (patch, *, at = None))]
    fn publish<'py>(
        slf: Bound<'py, Self>,
        patch: &Bound<'py, PyAny>,
        at: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let patch = read_patch(patch)?;
        let sim = slf.get().sim.clone();
        let _ = match at {
            Some(at) => sim.publish_at(moment(at)?, patch),
            None => sim.publish(patch),
        };
        Ok(slf)
    }

    /// Plan a fault.
    fn script<'py>(slf: Bound<'py, Self>, script: &Bound<'py, PyScript>) -> Bound<'py, Self> {
        let _ = slf.get().sim.clone().script(script.get().script());
        slf
    }

    /// The version of a package that is installed on a component now.
    fn version(&self, component: &str, patch: &str) -> Option<String> {
        self.sim.version(component, patch).map(|v| v.to_string())
    }

    /// The virtual time now.
    fn now<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        use patchcore::clock::Clock as _;
        datetime(py, self.sim.clock().now())
    }

    fn __repr__(&self) -> String {
        use patchcore::clock::Clock as _;
        format!("<Sim at {}>", self.sim.clock().now())
    }
}

/// How long it takes in 95 % of the cases, where only the usual figure is named.
fn slow(usual: Duration) -> Duration {
    usual.saturating_mul(2)
}

/// A `Patch` of Python, by its plain data.
pub(crate) fn read_patch(patch: &Bound<'_, PyAny>) -> PyResult<Patch> {
    let data = patch.call_method0("to_dict")?;
    let json: String = patch
        .py()
        .import("json")?
        .call_method1("dumps", (data,))?
        .extract()?;
    serde_json::from_str(&json).map_err(|error| {
        raise(
            Error::new(ErrorKind::InvalidInput, "this is no patch")
                .expected("a patchcore.Patch")
                .found(json)
                .source_error(error),
        )
    })
}

/// One fault of a simulated estate, on one component, on some, or on all.
#[pyclass(frozen, name = "Script", module = "patchcore")]
pub(crate) struct PyScript {
    /// Locked, because a fault notes whether it happened and is not made for several threads.
    script: Mutex<Script>,
    /// What makes it, as a program writes that.
    said: String,
}

impl PyScript {
    fn of(script: Script, said: String) -> Self {
        Self {
            script: Mutex::new(script),
            said,
        }
    }

    fn script(&self) -> Script {
        let script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.clone()
    }
}

#[pymethods]
impl PyScript {
    /// The package's own script fails: it is left half-configured.
    #[classmethod]
    fn postinst_fails(_cls: &Bound<'_, PyType>, patch: &str, version: &str) -> Self {
        let said = format!("postinst_fails({patch:?}, {version:?})");
        Self::of(Script::postinst_fails(patch, version), said)
    }

    /// Checks fail as long as this version is installed.
    #[classmethod]
    fn health_breaks(_cls: &Bound<'_, PyType>, patch: &str, version: &str) -> Self {
        let said = format!("health_breaks({patch:?}, {version:?})");
        Self::of(Script::health_breaks(patch, version), said)
    }

    /// The tool says that it is done with this patch, and installs nothing.
    #[classmethod]
    fn lies_success(_cls: &Bound<'_, PyType>, patch: &str) -> Self {
        Self::of(
            Script::lies_success(patch),
            format!("lies_success({patch:?})"),
        )
    }

    /// Every way back fails.
    #[classmethod]
    fn roll_back_fails(_cls: &Bound<'_, PyType>) -> Self {
        Self::of(Script::roll_back_fails(), "roll_back_fails()".to_owned())
    }

    /// The component does not come back from a restart.
    #[classmethod]
    fn restart_never_returns(_cls: &Bound<'_, PyType>) -> Self {
        Self::of(
            Script::restart_never_returns(),
            "restart_never_returns()".to_owned(),
        )
    }

    /// Nobody reaches the component from one moment to another.
    #[classmethod]
    fn unreachable(
        _cls: &Bound<'_, PyType>,
        start: &Bound<'_, PyAny>,
        end: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let (start, end) = (moment(start)?, moment(end)?);
        let said = format!("unreachable(\"{start}\", \"{end}\")");
        Ok(Self::of(Script::unreachable(start, end), said))
    }

    /// The `nth` start of this verb does its work, and its answer gets lost.
    #[classmethod]
    fn loses_reply(_cls: &Bound<'_, PyType>, verb: &str, nth: u32) -> Self {
        let said = format!("loses_reply({verb:?}, {nth})");
        Self::of(Script::loses_reply(verb, nth), said)
    }

    /// On these components only.
    #[pyo3(signature = (*components))]
    fn on(&self, components: Vec<String>) -> Self {
        let words: Vec<String> = components.iter().map(|c| format!("{c:?}")).collect();
        let said = format!("{}.on({})", self.said, words.join(", "));
        Self::of(self.script().on_each(components), said)
    }

    fn __repr__(&self) -> String {
        format!("Script.{}", self.said)
    }
}
