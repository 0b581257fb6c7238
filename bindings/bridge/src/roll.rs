//! Planning the roll of a cluster, on a thread of its own, so that whoever waits for it can stop waiting.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use patchcore::{
    Error, ErrorKind, Result,
    plan::roll::{Answer, Cluster, Infeasible, NotFound, Objective, RollPlan, WhatIf, Wish, plan},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What is asked of the planner, as it crosses.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What the roll is to be good at.
    pub objective: Objective,
    /// Whether hosts may be left out that cannot be emptied.
    #[serde(default)]
    pub allow_partial: bool,
    /// How many attempts are made; none: as many as pay.
    #[serde(default)]
    pub attempts: Option<usize>,
    /// How many placements are looked at to mend what is stuck; none: as many as the planner says.
    #[serde(default)]
    pub effort: Option<u64>,
}

impl Asked {
    fn wish(&self) -> Wish {
        let usual = Wish::new(self.objective);
        Wish {
            allow_partial: self.allow_partial,
            attempts: self.attempts,
            effort: self.effort.unwrap_or(usual.effort),
            ..usual
        }
    }
}

/// Reads what is asked.
///
/// # Errors
/// `InvalidInput`: it cannot be read.
pub fn asked(text: &str) -> Result<Asked> {
    serde_json::from_str(text).map_err(|error| {
        Error::new(
            ErrorKind::InvalidInput,
            "this cannot be asked of the planner",
        )
        .found(error.to_string())
    })
}

/// What came of planning.
#[derive(Debug)]
pub enum Planned {
    /// A roll.
    Roll(Box<RollPlan>),
    /// None: why, for people, and as JSON with the key `infeasible` or `not_found`.
    None {
        /// For people.
        text: String,
        /// The same as JSON.
        body: Value,
    },
}

/// That no roll was found, as it crosses.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct NotPlanned {
    /// The most hosts that an attempt could patch.
    pub patched: usize,
    /// Hosts that it could not empty.
    pub left: Vec<String>,
    /// Whether every way was looked at, one move after the other: then there is none.
    pub exhausted: bool,
    /// Whether the caller stopped the search.
    pub stopped: bool,
}

impl From<NotFound> for NotPlanned {
    fn from(not: NotFound) -> Self {
        Self {
            patched: not.patched,
            left: not.left.iter().map(ToString::to_string).collect(),
            exhausted: not.exhausted,
            stopped: not.stopped,
        }
    }
}

/// Stops the search when nobody waits for its answer any more.
struct Stops(Arc<AtomicBool>);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Works on a thread of its own; the work is asked to stop when this is dropped.
async fn apart<T: Send + 'static>(
    work: impl FnOnce(&dyn Fn() -> bool) -> Result<T> + Send + 'static,
) -> Result<T> {
    let over = Arc::new(AtomicBool::new(false));
    let stops = Stops(Arc::clone(&over));
    let done = tokio::task::spawn_blocking(move || work(&|| over.load(Ordering::Relaxed))).await;
    drop(stops);
    done.unwrap_or_else(|lost| {
        Err(Error::new(ErrorKind::ProviderFault, "the planner broke off").source_error(lost))
    })
}

/// Plans the roll of a cluster in its stored form.
///
/// # Errors
/// As [`Cluster::from_json`] and [`plan`].
pub async fn planned(cluster: String, asked: Asked) -> Result<Planned> {
    apart(move |stop| {
        let cluster = Cluster::from_json(&cluster)?;
        Ok(match plan(&cluster, &asked.wish(), stop)? {
            Answer::Planned(found) => {
                Planned::Roll(Box::new(RollPlan::of(cluster, asked.objective, *found)?))
            }
            Answer::Infeasible(infeasible) => Planned::None {
                text: format!("no roll patches every host: {infeasible}"),
                body: json!({ "infeasible": infeasible }),
            },
            Answer::NotFound(not) => Planned::None {
                text: not.to_string(),
                body: json!({ "not_found": NotPlanned::from(not) }),
            },
        })
    })
    .await
}

/// What would be if the cluster were a little different, in a few lines.
///
/// # Errors
/// As [`WhatIf::answer`].
pub async fn what_if(cluster: String, asked: Asked, words: String) -> Result<String> {
    apart(move |stop| {
        let what_if: WhatIf = words.parse()?;
        let cluster = Cluster::from_json(&cluster)?;
        what_if.answer(&cluster, &asked.wish(), stop)
    })
    .await
}

/// What crosses, as JSON Schema by the names of its types.
#[must_use]
pub fn schemas() -> Value {
    json!({
        "Cluster": Cluster::json_schema(),
        "RollPlan": RollPlan::json_schema(),
        "Infeasible": schemars::schema_for!(Infeasible),
        "NotPlanned": schemars::schema_for!(NotPlanned),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::runtime;

    #[test]
    fn a_search_ends_soon_after_nobody_waits_for_it() {
        let (tell, told) = std::sync::mpsc::channel();
        let call = apart(move |stop| {
            for _ in 0..20_000 {
                if stop() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            let _ = tell.send(stop());
            Ok(())
        });
        let started = runtime::start(call, None).unwrap();
        let waited = started.wait(|| Err::<(), _>("enough"));
        assert!(matches!(waited, runtime::Waited::Interrupted("enough")));
        started.stop();
        assert!(told.recv_timeout(Duration::from_secs(5)).unwrap());
    }

    #[test]
    fn what_is_asked_wrongly_is_refused() {
        assert!(asked("{\"objective\": \"best\"}").is_err());
        let asked = asked("{\"objective\": \"knee\", \"attempts\": 2}").unwrap();
        let wish = asked.wish();
        assert_eq!(
            (wish.attempts, wish.effort),
            (Some(2), Wish::new(Objective::Knee).effort)
        );
        let call = planned("{}".to_owned(), asked);
        let started = runtime::start(call, None).unwrap();
        let runtime::Waited::Answer(Err(error)) = started.wait(|| Ok::<_, ()>(())) else {
            unreachable!("no cluster");
        };
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
