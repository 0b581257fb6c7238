//! The roll of a whole cluster.

use patchcore::{
    ClusterRoll, Error, ErrorKind,
    plan::roll::{Cluster, RollPlan},
    provider::ClusterSetting,
};
use patchcore_bridge::roll;
use pyo3::prelude::*;

use crate::{call::Call, errors::raise, plan::PyPlan};

/// A planned roll; what Python sees of it is `patchcore.roll.RollPlan`.
#[pyclass(frozen, name = "RollPlan", module = "patchcore._native")]
pub(crate) struct PyRollPlan(RollPlan);

/// A roll as Python hands it over: whose cluster, by which provider, what was planned, and what is held meanwhile.
pub(crate) type Rolled<'py> = (String, String, Bound<'py, PyRollPlan>, Vec<String>);

/// The same for the core.
pub(crate) fn of_cluster((name, by, plan, holding): Rolled<'_>) -> PyResult<ClusterRoll> {
    let plan = &plan.get().0;
    let held = holding.iter().map(|word| {
        let known = ClusterSetting::ALL.into_iter().find(|s| s.slug() == word);
        known.ok_or_else(|| {
            let words = ClusterSetting::ALL.map(ClusterSetting::slug).join(", ");
            raise(
                Error::new(
                    ErrorKind::InvalidInput,
                    "this setting of a cluster is not known",
                )
                .expected(words)
                .found(format!("{word:?}")),
            )
        })
    });
    let held: Vec<ClusterSetting> = held.collect::<PyResult<_>>()?;
    let roll = ClusterRoll::new(name, by, plan.cluster().clone(), plan.roll().clone());
    Ok(roll.with_objective(plan.objective()).holding(held))
}

#[pymethods]
impl PyRollPlan {
    /// Reads the stored form, and checks it again.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        py.detach(|| RollPlan::from_json(text))
            .map(Self)
            .map_err(raise)
    }

    /// The stored form.
    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.0.to_json()).map_err(raise)
    }

    /// The plan for people.
    fn text(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.to_string())
    }

    /// The picture.
    fn svg(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.svg())
    }

    /// How many hosts are patched, how many machines move, and how long it takes in seconds.
    fn short(&self) -> (u32, u64, u64) {
        let figures = self.0.figures();
        (figures.patched, figures.moves, figures.makespan_ms / 1000)
    }
}

/// Whether a cluster in its stored form can be read; all its mistakes are named.
#[pyfunction]
pub(crate) fn check_cluster(py: Python<'_>, text: &str) -> PyResult<()> {
    let read = py.detach(|| Cluster::from_json(text));
    read.map(|_| ()).map_err(|faults| raise(faults.into()))
}

/// A cluster in its stored form, of which only the hosts of a plan are patched.
#[pyfunction]
pub(crate) fn cluster_for_plan(cluster: &str, plan: &Bound<'_, PyPlan>) -> PyResult<String> {
    let cluster = Cluster::from_json(cluster).map_err(|faults| raise(faults.into()))?;
    let cluster = cluster.for_plan(&plan.get().plan);
    Ok(serde_json::to_string(&cluster).unwrap_or_default())
}

/// Plans a cluster in its stored form. The answer is the roll, or a pair of texts: why there is none, for people and as
/// JSON.
#[pyfunction]
pub(crate) fn plan_roll(cluster: String, asked: &str) -> PyResult<Call> {
    let asked = roll::asked(asked).map_err(raise)?;
    Ok(Call::reading(
        roll::planned(cluster, asked),
        |py, planned| {
            Ok(match planned {
                roll::Planned::Roll(plan) => Py::new(py, PyRollPlan(*plan))?.into_any(),
                roll::Planned::None { text, body } => (text, body.to_string())
                    .into_pyobject(py)?
                    .into_any()
                    .unbind(),
            })
        },
    ))
}

/// What would be if the cluster were a little different.
#[pyfunction]
pub(crate) fn roll_what_if(cluster: String, asked: &str, words: String) -> PyResult<Call> {
    let asked = roll::asked(asked).map_err(raise)?;
    Ok(Call::reading(
        roll::what_if(cluster, asked, words),
        |py, said| Ok(said.into_pyobject(py)?.into_any().unbind()),
    ))
}

/// What crosses, as JSON Schema by the names of its types.
#[pyfunction]
pub(crate) fn roll_schemas() -> String {
    roll::schemas().to_string()
}
