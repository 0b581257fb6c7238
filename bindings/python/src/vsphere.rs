//! A vCenter, and a cluster of it as a provider.

use std::{path::PathBuf, sync::Arc};

use patchcore::{Error, ErrorKind, Result, document::Settings as _, policy::duration_words};
use patchcore_vsphere::{Transcript, VCenter, VsphereCluster, VsphereConfig};
use pyo3::{
    prelude::*,
    types::{PyString, PyType},
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    builtin::{chosen, environment},
    call::Call,
    errors::raise,
    words::length,
};

/// A vCenter, which is connected to by the first call that needs it.
#[pyclass(frozen, name = "VCenter", module = "patchcore._native")]
pub(crate) struct PyVCenter {
    inner: Arc<Inner>,
}

struct Inner {
    config: VsphereConfig,
    connected: OnceCell<VCenter>,
}

impl Inner {
    async fn vcenter(&self) -> Result<&VCenter> {
        let connect = || VCenter::connect(self.config.clone());
        self.connected.get_or_try_init(connect).await
    }
}

impl PyVCenter {
    fn of(config: VsphereConfig) -> Self {
        let connected = OnceCell::new();
        Self {
            inner: Arc::new(Inner { config, connected }),
        }
    }

    /// A call whose answer is text or JSON.
    fn said<F>(&self, work: impl FnOnce(VCenter) -> F + Send + 'static) -> Call
    where
        F: Future<Output = Result<String>> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        Call::reading(
            async move { work(inner.vcenter().await?.clone()).await },
            |py, text| Ok(PyString::new(py, &text).into_any().unbind()),
        )
    }
}

#[pymethods]
impl PyVCenter {
    #[new]
    #[pyo3(signature = (
        *, server, user, password = None, password_file = None, ca_file = None, fingerprint = None, deadline = None,
        memory = None
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords of a settings table")]
    fn new(
        server: &str,
        user: &str,
        password: Option<&Bound<'_, PyAny>>,
        password_file: Option<PathBuf>,
        ca_file: Option<PathBuf>,
        fingerprint: Option<&str>,
        deadline: Option<&Bound<'_, PyAny>>,
        memory: Option<&str>,
    ) -> PyResult<Self> {
        let deadline = deadline.map(length).transpose()?.map(duration_words);
        let password = password.map(revealed).transpose()?;
        let given = chosen([
            ("server", Some(Value::from(server))),
            ("user", Some(Value::from(user))),
            ("password", password.map(Value::from)),
            ("password_file", password_file.map(|file| json!(file))),
            ("ca_file", ca_file.map(|file| json!(file))),
            ("fingerprint", fingerprint.map(Value::from)),
            ("deadline", deadline.map(Value::from)),
            ("memory", memory.map(Value::from)),
        ]);
        let config = VsphereConfig::from_value(&given, "VCenter").map_err(raise)?;
        Ok(Self::of(config))
    }

    #[classmethod]
    fn from_file(_cls: &Bound<'_, PyType>, path: PathBuf) -> PyResult<Self> {
        Ok(Self::of(VsphereConfig::from_file(path).map_err(raise)?))
    }

    #[classmethod]
    #[pyo3(signature = (prefix = "PATCHCORE_VSPHERE_"))]
    fn from_env(cls: &Bound<'_, PyType>, prefix: &str) -> PyResult<Self> {
        let variables = environment(cls.py())?;
        let config = VsphereConfig::from_variables(prefix, variables).map_err(raise)?;
        Ok(Self::of(config))
    }

    #[getter]
    fn address(&self) -> &str {
        self.inner.config.address()
    }

    fn full_name(&self) -> Call {
        self.said(|vcenter| async move { Ok(vcenter.full_name().to_owned()) })
    }

    fn clusters(&self) -> Call {
        self.said(|vcenter| async move {
            let all = vcenter.clusters().await?;
            let names: Vec<&str> = all.iter().map(|cluster| &*cluster.name).collect();
            Ok(json!(names).to_string())
        })
    }

    fn cluster(&self, name: String, provider: String) -> Call {
        let inner = Arc::clone(&self.inner);
        Call::reading(
            async move {
                let vcenter = inner.vcenter().await?;
                let cluster = vcenter.cluster_named(&name).await?;
                Ok(VsphereCluster::named(provider, vcenter.clone(), cluster))
            },
            |py, cluster| Ok(Py::new(py, PyVsphereCluster { cluster })?.into_any()),
        )
    }

    /// The text for people, the whole as JSON, and what the vCenter answered where that is asked for: by a login of its own,
    /// since a transcript begins with what the vCenter says of itself.
    fn checkup(&self, with_transcript: bool) -> Call {
        let inner = Arc::clone(&self.inner);
        Call::reading(
            async move {
                let mut answered = None;
                let found = match with_transcript {
                    false => inner.vcenter().await?.checkup().await?,
                    true => {
                        let transcript = Transcript::new();
                        let config = inner.config.clone().with_transcript(transcript.clone());
                        let vcenter = VCenter::connect(config).await?;
                        let found = vcenter.checkup().await?;
                        vcenter.log_out().await?;
                        answered = Some(transcript.to_string());
                        found
                    }
                };
                let json = serde_json::to_string(&found).map_err(unwritten)?;
                Ok((found.to_string(), json, answered))
            },
            |py, said| Ok(said.into_pyobject(py)?.into_any().unbind()),
        )
    }

    fn log_out(&self) -> Call {
        let inner = Arc::clone(&self.inner);
        Call::changing(
            async move {
                match inner.connected.get() {
                    Some(vcenter) => vcenter.log_out().await,
                    None => Ok(()),
                }
            },
            |py, ()| Ok(py.None()),
        )
    }
}

/// A cluster of a vCenter, as a provider: its hosts are patched by the cluster's image, and a roll moves its machines.
#[pyclass(frozen, name = "VsphereCluster", module = "patchcore")]
pub(crate) struct PyVsphereCluster {
    pub(crate) cluster: VsphereCluster,
}

#[pymethods]
impl PyVsphereCluster {
    /// Its name in the estate.
    #[getter]
    fn name(&self) -> String {
        self.cluster.id().to_string()
    }

    /// The name of the provider, by which plans and rolls know it.
    #[getter]
    fn provider(&self) -> String {
        use patchcore::provider::Provider as _;
        self.cluster.info().name.to_string()
    }

    /// The cluster as JSON, with what stays and what is not modelled.
    fn _read(&self) -> Call {
        let cluster = self.cluster.clone();
        Call::reading(
            async move {
                let read = cluster.read().await?;
                let pinned = read.pinned.iter().map(|pinned| {
                    let why = pinned.why.to_string();
                    json!({"vm": pinned.vm, "host": pinned.host, "why": why})
                });
                let pinned: Vec<Value> = pinned.collect();
                let cluster = serde_json::to_value(&read.cluster).map_err(unwritten)?;
                let whole = json!({
                    "cluster": cluster, "pinned": pinned, "not_modelled": read.not_modelled,
                });
                Ok(whole.to_string())
            },
            |py, text| Ok(PyString::new(py, &text).into_any().unbind()),
        )
    }

    fn __repr__(&self) -> String {
        format!("<VsphereCluster {}>", self.cluster.id())
    }
}

fn unwritten(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::ProviderFault, "it cannot be written as JSON").source_error(error)
}

/// A password that was given as text or as a `Secret`. What else was given is not shown.
fn revealed(given: &Bound<'_, PyAny>) -> PyResult<String> {
    let secret = given.py().import("patchcore._secret")?.getattr("Secret")?;
    let text = match given.is_instance(&secret)? {
        true => given.call_method0("reveal")?,
        false => given.clone(),
    };
    text.extract().map_err(|_| {
        raise(
            Error::new(ErrorKind::InvalidInput, "the password cannot be used")
                .expected("text, or a Secret")
                .found("something else, which is not shown"),
        )
    })
}
