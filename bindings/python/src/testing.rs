//! The conformance suites, against an outside that is written in Python.

use std::sync::Arc;

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result,
    clock::{SharedClock, SystemClock},
    id::{ComponentId, PatchId, Version},
    provider::{BracketKind, Change, ProbeRequest, Provider},
};
use patchcore_bridge::ports::Method;
use patchcore_testkit::{Check, Fixture, Made, ProbeCase, Seen, Stock, Trouble, Verdict, checks};
use pyo3::{prelude::*, types::PyString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{call::Call, context::PyClock, errors::raise, foreign::Joined, provider::provider};

const FIXTURE: &str = "fixture";

/// An outside whose methods are Python's.
#[derive(Debug)]
struct PyFixture {
    joined: Joined,
    clock: SharedClock,
    stock: Stock,
}

impl PyFixture {
    async fn call<T: DeserializeOwned>(&self, name: &'static str, given: Value) -> Result<T> {
        let method = Method::changes(FIXTURE, name);
        let answer = self.joined.call(None, method, given.to_string()).await?;
        read(&self.joined, method, &answer)
    }
}

fn read<T: DeserializeOwned>(joined: &Joined, method: Method, answer: &str) -> Result<T> {
    serde_json::from_str(answer).map_err(|error| {
        joined
            .fault(method, "its answer is not what it must be")
            .found(answer)
            .source_error(error)
    })
}

fn value(of: impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

#[async_trait]
impl Fixture for PyFixture {
    fn clock(&self) -> SharedClock {
        Arc::clone(&self.clock)
    }

    fn stock(&self) -> Stock {
        self.stock.clone()
    }

    async fn connect(&self) -> Result<Arc<dyn Provider>> {
        let method = Method::changes(FIXTURE, "connect");
        let made = self.joined.object(method).await?;
        let provider = crate::gate::attached(|py| {
            provider(made.bind(py)).map_err(|e| self.joined.fault(method, &e.to_string()))
        });
        match provider {
            Some(provider) => Ok(Arc::new(provider?)),
            None => Err(Error::new(ErrorKind::Cancelled, "Python is ending")),
        }
    }

    async fn look(&self, component: &ComponentId) -> Result<Seen> {
        #[derive(Deserialize)]
        struct Plain {
            versions: std::collections::BTreeMap<PatchId, Version>,
            trace: Value,
        }
        let seen: Plain = self.call("look", json!([component])).await?;
        Ok(Seen {
            versions: seen.versions,
            trace: seen.trace,
        })
    }

    async fn meddle(
        &self,
        component: &ComponentId,
        patch: &PatchId,
        version: &Version,
    ) -> Result<()> {
        self.call("meddle", json!([component, patch, version]))
            .await
    }

    async fn trouble(&self, trouble: &Trouble) -> Result<Made> {
        let (word, component) = match trouble {
            Trouble::ToolLies(component) => ("tool_lies", component),
            Trouble::LockTaken(component) => ("lock_taken", component),
            Trouble::LockGivenBack(component) => ("lock_given_back", component),
            Trouble::BracketEnded(component) => ("bracket_ended", component),
            _ => return Ok(Made::CannotBeMade),
        };
        let made: bool = self.call("trouble", json!([word, component])).await?;
        Ok(if made { Made::Yes } else { Made::CannotBeMade })
    }

    async fn held(&self, component: &ComponentId, kind: BracketKind) -> Result<usize> {
        self.call("held", json!([component, value(kind)])).await
    }
}

/// What the outside holds, as Python writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainStock {
    changes: Vec<Change>,
    other: Version,
    #[serde(default)]
    bad: Option<(Change, PatchId)>,
    #[serde(default)]
    after_restart: Option<Change>,
    #[serde(default)]
    secret: Option<String>,
    #[serde(default)]
    probes: Vec<(ProbeRequest, ProbeRequest, ProbeRequest)>,
}

impl From<PlainStock> for Stock {
    fn from(plain: PlainStock) -> Self {
        let mut stock = Self::of(plain.changes, plain.other);
        if let Some((change, culprit)) = plain.bad {
            stock = stock.with_bad(change, culprit);
        }
        if let Some(change) = plain.after_restart {
            stock = stock.with_after_restart(change);
        }
        if let Some(secret) = plain.secret {
            stock = stock.with_secret(secret);
        }
        let cases = plain.probes.into_iter();
        cases.fold(stock, |stock, (healthy, unhealthy, cannot_run)| {
            stock.with_probe(ProbeCase {
                healthy,
                unhealthy,
                cannot_run,
            })
        })
    }
}

/// Every check: its name, the port that it is about, and the fault that it finds.
#[pyfunction]
pub(crate) fn conformance_checks() -> Vec<(&'static str, String, &'static str)> {
    checks()
        .map(|check| {
            let port = format!("{:?}", check.port).to_lowercase();
            (check.name, port, check.finds)
        })
        .collect()
}

fn named(name: &str) -> PyResult<&'static Check> {
    checks().find(|check| check.name == name).ok_or_else(|| {
        raise(Error::new(
            ErrorKind::NotFound,
            format!("there is no check {name}"),
        ))
    })
}

/// Runs one check against a fresh outside; the answer is the verdict in one word, and in words.
#[pyfunction]
pub(crate) fn conformance_check(
    name: &str,
    outside: Bound<'_, PyAny>,
    clock: Option<Bound<'_, PyClock>>,
) -> PyResult<Call> {
    let check = named(name)?;
    let joined = Joined::new(outside.unbind(), FIXTURE.to_owned());
    let clock = clock.map_or_else(
        || Arc::new(SystemClock) as SharedClock,
        |clock| clock.get().shared(),
    );
    let method = Method::reads(FIXTURE, "stock");
    let stock: PlainStock = joined
        .ask(method, "[]".to_owned())
        .and_then(|answer| read(&joined, method, &answer))
        .map_err(raise)?;
    let fixture = PyFixture {
        joined,
        clock,
        stock: stock.into(),
    };
    Ok(Call::reading(
        async move { Ok(check.run(Arc::new(fixture)).await) },
        |py, verdict| {
            let word = match &verdict {
                Verdict::Holds => "holds",
                Verdict::NotClaimed(_) => "not_claimed",
                Verdict::NotOffered(_) => "not_offered",
                Verdict::Fault(_) => "fault",
                Verdict::Unjudged { .. } => "unjudged",
                Verdict::NotRun(_) => "not_run",
            };
            let said = (word, PyString::new(py, &verdict.to_string())).into_pyobject(py)?;
            Ok(said.into_any().unbind())
        },
    ))
}
