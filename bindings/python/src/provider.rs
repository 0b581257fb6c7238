//! Providers that are written in Python, the short way and the full way.

use std::time::Duration;

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    estate::{Patch, PatchChange, PatchClass, Sighting},
    provider::{Installed, OpContext, Provider, ProviderInfo, Simple},
};
use patchcore_bridge::{
    ports::{ForeignPorts, Foreigner, Method},
    provider::{Foreign, ForeignProvider},
    wire::Offers,
};
use pyo3::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    builtin::{PyHttp, PyLinux},
    errors::raise,
    foreign::Joined,
    sim::PySim,
    vsphere::PyVsphereCluster,
};

/// What `patchcore._joined` says of a provider.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    name: String,
    version: String,
    #[serde(default)]
    evidence: std::collections::BTreeMap<String, patchcore::provider::EvidenceLabel>,
    /// None for the short way.
    offers: Option<Offers>,
    quiet_after: Option<f64>,
    /// Of the short way.
    patch_class: Option<PatchClass>,
}

/// A provider of any make: built in, or of Python.
#[derive(Debug)]
pub(crate) struct AnyProvider(Box<dyn Provider>);

impl Provider for AnyProvider {
    fn info(&self) -> &ProviderInfo {
        self.0.info()
    }

    fn ports(&self) -> patchcore::provider::Ports {
        self.0.ports()
    }
}

/// The provider of the core behind an object of Python.
pub(crate) fn provider(object: &Bound<'_, PyAny>) -> PyResult<AnyProvider> {
    if let Ok(linux) = object.cast::<PyLinux>() {
        return Ok(AnyProvider(Box::new(linux.get().linux.clone())));
    }
    if let Ok(http) = object.cast::<PyHttp>() {
        return Ok(AnyProvider(Box::new(http.get().probe.clone())));
    }
    if let Ok(vsphere) = object.cast::<PyVsphereCluster>() {
        return Ok(AnyProvider(Box::new(vsphere.get().cluster.clone())));
    }
    if let Ok(sim) = object.cast::<PySim>() {
        return Ok(AnyProvider(Box::new(sim.get().sim.provider())));
    }
    let joined = object
        .py()
        .import("patchcore._joined")?
        .getattr("joined")?
        .call1((object,))?;
    let described: String = joined.call_method0("describe")?.extract()?;
    let described: Described = serde_json::from_str(&described).map_err(|error| {
        raise(
            Error::new(ErrorKind::InvalidInput, "a provider is not what it must be")
                .source_error(error),
        )
    })?;
    let mut info = ProviderInfo::new(described.name.clone(), described.version);
    info.evidence = described.evidence;
    let joined = Joined::new(joined.unbind(), described.name);
    Ok(AnyProvider(match described.offers {
        Some(offers) => Box::new(Foreigner::new(info, offers, PyPorts(joined)).map_err(raise)?),
        None => {
            let quiet_after = described
                .quiet_after
                .and_then(|s| Duration::try_from_secs_f64(s).ok());
            let provider = PyProvider {
                joined,
                quiet_after,
                patch_class: described.patch_class.unwrap_or(PatchClass::Other),
            };
            Box::new(Simple::new(info, Foreign::new(provider)))
        }
    }))
}

/// The full way.
#[derive(Debug)]
struct PyPorts(Joined);

#[async_trait]
impl ForeignPorts for PyPorts {
    async fn call(&self, ctx: &OpContext, method: Method, given: String) -> Result<String> {
        self.0.call(Some(ctx), method, given).await
    }

    fn ask(&self, method: Method, given: String) -> Result<String> {
        self.0.ask(method, given)
    }
}

/// The short way.
#[derive(Debug)]
struct PyProvider {
    joined: Joined,
    quiet_after: Option<Duration>,
    patch_class: PatchClass,
}

impl PyProvider {
    async fn call<T: DeserializeOwned>(&self, method: Method, given: &[Value]) -> Result<T> {
        let given = Value::from(given).to_string();
        let answer = self.joined.call(None, method, given).await?;
        serde_json::from_str(&answer).map_err(|error| {
            self.joined
                .fault(method, "its answer is not what it must be")
                .found(answer)
                .source_error(error)
        })
    }
}

const SIMPLE: &str = "simple";

fn value(of: impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

#[async_trait]
impl ForeignProvider for PyProvider {
    fn quiet_after(&self) -> Option<Duration> {
        self.quiet_after
    }

    fn patch_class(&self) -> PatchClass {
        self.patch_class
    }

    async fn components(&self, now: Timestamp) -> Result<Vec<Sighting>> {
        self.call(Method::reads(SIMPLE, "components"), &[value(now)])
            .await
    }

    async fn available(&self, component: Sighting) -> Result<Vec<Patch>> {
        self.call(Method::reads(SIMPLE, "available"), &[value(component)])
            .await
    }

    async fn scan(&self, component: Sighting) -> Result<Installed> {
        /// As Python writes it: the type of the core has no stored form.
        #[derive(Deserialize)]
        struct Plain {
            running: std::collections::BTreeMap<String, String>,
            pending: std::collections::BTreeMap<String, String>,
        }
        let method = Method::reads(SIMPLE, "scan");
        let plain: Plain = self.call(method, &[value(component)]).await?;
        let running = Installed::running(plain.running);
        let pending = plain.pending.into_iter();
        Ok(pending.fold(running, |all, (patch, version)| {
            all.with_pending(patch, version)
        }))
    }

    async fn apply(&self, component: Sighting, change: PatchChange) -> Result<()> {
        let method = Method::changes(SIMPLE, "apply");
        self.call(method, &[value(component), value(change)]).await
    }
}
