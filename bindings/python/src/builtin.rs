//! The providers that are built in, beside the simulated estate, and their settings: keyword arguments, a file, or the
//! environment, which all go through the one table of words that the provider has in Rust.

use std::{collections::BTreeMap, path::PathBuf};

use patchcore::{document::Settings as _, policy::duration_words};
use patchcore_http::{HttpConfig, HttpProbe};
use patchcore_linux::{Inventory, Linux, LocalConfig};
use pyo3::{prelude::*, types::PyType};
use serde_json::{Map, Value, json};

use crate::{errors::raise, plan::from_dict, words::length};

/// Linux machines with apt and dpkg. Without more it is the machine on which this program runs.
#[pyclass(frozen, name = "Linux", module = "patchcore")]
pub(crate) struct PyLinux {
    pub(crate) linux: Linux,
    of: String,
}

impl PyLinux {
    fn this_machine(config: LocalConfig) -> Self {
        let of = match &config.name {
            Some(name) => format!("this machine, {name}"),
            None => "this machine".to_owned(),
        };
        Self {
            linux: Linux::local(config),
            of,
        }
    }
}

#[pymethods]
impl PyLinux {
    /// The machine on which this program runs.
    ///
    /// `state` is the folder of jobs and old packages, default /var/lib/patchcore; `lock_wait` is how long a job waits
    /// for another process to give the lock of dpkg back, default ten minutes.
    #[new]
    #[pyo3(signature = (*, name = None, labels = None, owner = None, state = None, lock_wait = None))]
    fn new(
        name: Option<&str>,
        labels: Option<BTreeMap<String, String>>,
        owner: Option<&str>,
        state: Option<&str>,
        lock_wait: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let wait = lock_wait.map(length).transpose()?.map(duration_words);
        let given = chosen([
            ("name", name.map(Value::from)),
            ("labels", labels.map(|labels| json!(labels))),
            ("owner", owner.map(Value::from)),
            ("state", state.map(Value::from)),
            ("lock_wait", wait.map(Value::from)),
        ]);
        let config = LocalConfig::from_value(&given, "Linux").map_err(raise)?;
        Ok(Self::this_machine(config))
    }

    /// The machine on which this program runs, by a TOML or JSON file with the keyword arguments as its keys.
    #[classmethod]
    fn this_machine_from_file(_cls: &Bound<'_, PyType>, path: PathBuf) -> PyResult<Self> {
        let config = LocalConfig::from_file(path).map_err(raise)?;
        Ok(Self::this_machine(config))
    }

    /// By variables: `PATCHCORE_LINUX_INVENTORY` names the inventory of a fleet; without it this is the machine on which
    /// this program runs, by `PATCHCORE_LINUX_NAME`, `…_LABELS` (tier=web, site=north), `…_OWNER`, `…_STATE` and
    /// `…_LOCK_WAIT`.
    #[classmethod]
    #[pyo3(signature = (prefix = "PATCHCORE_LINUX_"))]
    fn from_env(cls: &Bound<'_, PyType>, prefix: &str) -> PyResult<Self> {
        let variables = environment(cls.py())?;
        let inventory = variables.get(&Linux::inventory_variable(prefix)).cloned();
        let linux = Linux::from_variables(prefix, variables.clone()).map_err(raise)?;
        Ok(match inventory {
            Some(of) => Self { linux, of },
            None => Self {
                linux,
                of: "this machine".to_owned(),
            },
        })
    }

    /// The machines of an inventory file, over ssh. Nothing is sent to them before they are asked.
    #[classmethod]
    fn from_file(_cls: &Bound<'_, PyType>, path: PathBuf) -> PyResult<Self> {
        Ok(Self {
            of: path.display().to_string(),
            linux: Linux::from_file(path).map_err(raise)?,
        })
    }

    /// Machines over ssh that a program knows by itself: a mapping each, with the keys of a `[[host]]` of an inventory
    /// file, and `defaults` for all of them.
    #[classmethod]
    #[pyo3(signature = (hosts, *, defaults = None))]
    fn fleet(
        cls: &Bound<'_, PyType>,
        hosts: &Bound<'_, PyAny>,
        defaults: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let hosts: Vec<Bound<'_, PyAny>> = hosts.try_iter()?.collect::<PyResult<_>>()?;
        let hosts = hosts
            .iter()
            .map(|host| plain(cls.py(), host))
            .collect::<PyResult<Vec<Value>>>()?;
        let of = format!("{} machines", hosts.len());
        let defaults = defaults.map(|given| plain(cls.py(), given)).transpose()?;
        let given = chosen([("defaults", defaults), ("host", Some(Value::from(hosts)))]);
        let inventory = Inventory::from_value(&given, "fleet").map_err(raise)?;
        let linux = Linux::fleet(inventory).map_err(raise)?;
        Ok(Self { linux, of })
    }

    fn __repr__(&self) -> String {
        format!("<Linux {}>", self.of)
    }
}

/// Checks of a component's health by a request to a URL: those of a policy with `http`.
#[pyclass(frozen, name = "Http", module = "patchcore")]
pub(crate) struct PyHttp {
    pub(crate) probe: HttpProbe,
    config: HttpConfig,
}

impl PyHttp {
    fn of(config: HttpConfig) -> PyResult<Self> {
        let probe = HttpProbe::new(config.clone()).map_err(raise)?;
        Ok(Self { probe, config })
    }
}

#[pymethods]
impl PyHttp {
    /// `ca_file` is a PEM file with certificates that are trusted beside those that this machine trusts; `redirects`
    /// is `same_page` (the default) or `same_host`.
    #[new]
    #[pyo3(signature = (*, ca_file = None, redirects = None))]
    fn new(ca_file: Option<PathBuf>, redirects: Option<&str>) -> PyResult<Self> {
        let given = chosen([
            ("ca_file", ca_file.map(|file| json!(file))),
            ("redirects", redirects.map(Value::from)),
        ]);
        Self::of(HttpConfig::from_value(&given, "Http").map_err(raise)?)
    }

    /// By a TOML or JSON file with the keyword arguments as its keys; a relative path begins at its folder.
    #[classmethod]
    fn from_file(_cls: &Bound<'_, PyType>, path: PathBuf) -> PyResult<Self> {
        Self::of(HttpConfig::from_file(path).map_err(raise)?)
    }

    /// By the variables `PATCHCORE_HTTP_CA_FILE` and `PATCHCORE_HTTP_REDIRECTS`, or those after another prefix.
    #[classmethod]
    #[pyo3(signature = (prefix = "PATCHCORE_HTTP_"))]
    fn from_env(cls: &Bound<'_, PyType>, prefix: &str) -> PyResult<Self> {
        let variables = environment(cls.py())?;
        Self::of(HttpConfig::from_variables(prefix, variables).map_err(raise)?)
    }

    fn __repr__(&self) -> String {
        let ca_file = match &self.config.ca_file {
            Some(file) => format!("ca_file={file:?}, "),
            None => String::new(),
        };
        let redirects = serde_json::to_string(&self.config.redirects).unwrap_or_default();
        format!("Http({ca_file}redirects={redirects})")
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Self>()
            .is_ok_and(|other| other.get().config == self.config)
    }

    fn __hash__(&self) -> u64 {
        crate::plan::hash_of(&format!("{:?}", self.config))
    }
}

/// What was given, by its word.
pub(crate) fn chosen<const N: usize>(words: [(&str, Option<Value>); N]) -> Map<String, Value> {
    words
        .into_iter()
        .filter_map(|(word, value)| Some((word.to_owned(), value?)))
        .collect()
}

/// What a program has in memory, by its JSON.
fn plain(py: Python<'_>, given: &Bound<'_, PyAny>) -> PyResult<Value> {
    let dict = py.get_type::<pyo3::types::PyDict>().call1((given,))?;
    let text = from_dict(py, &dict)?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

/// The variables as Python has them: the process's own may be changed by another thread while they are read.
pub(crate) fn environment(py: Python<'_>) -> PyResult<BTreeMap<String, String>> {
    let variables = py.import("os")?.getattr("environ")?;
    variables.call_method0("copy")?.extract()
}
