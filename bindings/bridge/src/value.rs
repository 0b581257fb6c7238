//! What a screen shows, as JSON: one form for every language.

use patchcore::{
    Run, Standing,
    execute::{RunProgress, Told, kernel::Event},
};
use serde_json::{Value, json};

/// An event, flat.
#[derive(Debug, Clone, PartialEq)]
pub struct FaceEvent {
    /// Its place in the journal.
    pub seq: u64,
    /// When it was decided.
    pub at: patchcore::Timestamp,
    /// In which run.
    pub run: u64,
    /// About which component.
    pub component: Option<String>,
    /// `run`, `component`, `other` (written by a newer version) or `damaged`.
    pub family: &'static str,
    /// Its kind, such as `ring_opened`.
    pub kind: String,
    /// What it says, as a JSON object; of a damaged one, why it cannot be read, as a JSON string.
    pub body: String,
    /// The line for people.
    pub text: String,
}

impl From<&Told> for FaceEvent {
    fn from(told: &Told) -> Self {
        let (family, mut body) = match &told.event {
            Event::Run(event) => ("run", serde_json::to_value(event).unwrap_or_default()),
            Event::Component(event) => {
                ("component", serde_json::to_value(event).unwrap_or_default())
            }
            Event::Damaged(kind, why) => ("damaged", json!({ "kind": kind, "why": why })),
            Event::Other(kind, body) => ("other", json!({ "kind": kind, "body": body })),
            _ => ("other", json!({ "kind": "unknown", "body": null })),
        };
        let kind = body
            .as_object_mut()
            .and_then(|body| body.remove("kind"))
            .and_then(|kind| kind.as_str().map(str::to_owned))
            .unwrap_or_default();
        Self {
            seq: told.seq,
            at: told.at,
            run: told.run.0,
            component: told.component.as_ref().map(ToString::to_string),
            family,
            kind,
            body: body.to_string(),
            text: told.to_string(),
        }
    }
}

/// How a run stands, with the line for people.
#[must_use]
pub fn standing(run: &Run, standing: &Standing) -> Value {
    let (state, until) = match standing {
        Standing::Working { .. } => ("working", None),
        Standing::Waiting { until, .. } => ("waiting", Some(*until)),
        Standing::AtRest { .. } => ("at_rest", None),
        Standing::Parked { until, .. } => ("parked", *until),
        Standing::Ended { .. } => ("ended", None),
        Standing::Broken { .. } => ("broken", None),
        _ => ("unknown", None),
    };
    let waits: Vec<String> = standing.waits().iter().map(ToString::to_string).collect();
    json!({
        "state": state,
        "until": until,
        "waits": waits,
        "verdict": match standing { Standing::Ended { verdict } => Some(verdict), _ => None },
        "failure": match standing { Standing::Broken { failure } => Some(failure), _ => None },
        "text": run.heartbeat(),
    })
}

/// How far a run is.
#[must_use]
pub fn progress(run: &Run, progress: &RunProgress) -> Value {
    let rings: Vec<Value> = progress
        .rings
        .iter()
        .map(|ring| {
            json!({
                "ring": ring.ring,
                "components": ring.components,
                "waiting": ring.waiting,
                "at_work": ring.at_work,
                "in_service": ring.in_service,
                "done": ring.done,
                "failed": ring.failed,
                "undecided": ring.undecided,
                "skipped": ring.skipped,
            })
        })
        .collect();
    let at_work: Vec<Value> = progress
        .at_work
        .iter()
        .map(|one| {
            json!({
                "component": one.component,
                "ring": one.ring,
                "doing": one.phase.to_string(),
                "since": one.since,
                "late": one.late.map(|late| late.as_secs_f64()),
                "says": one.says,
            })
        })
        .collect();
    json!({
        "run": progress.run.0,
        "now": progress.now,
        "standing": standing(run, &progress.standing),
        "rings": rings,
        "at_work": at_work,
        "ends": progress.ends,
    })
}
