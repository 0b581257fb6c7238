//! Each event, wait and standing is a sentence, and a new one does not compile until it has one here.

mod component;
mod run;
mod stand;

use std::collections::BTreeSet;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::*;
use crate::{
    error::{Error, ErrorKind, Failure},
    execute::kernel::{End, Forced, PausePoint, Phase, RunVerdict, Step},
    id::{OpKey, RunId},
    judge::{Answer, RingCount},
    plan::Denial,
    policy::ClosedBecause,
    provider::{Baseline, DeployRequest, Evidence, Guarantee, Handle, PortCall, Undo},
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn berlin() -> Times {
    Times::within(
        TimeZone::get("Europe/Berlin").unwrap(),
        at("2026-12-07T14:00:00Z"),
    )
}

fn night() -> Timestamp {
    at("2026-12-08T21:05:04Z")
}

fn yes(saw: &str) -> Answer {
    Answer::Yes {
        saw: saw.to_owned(),
    }
}

fn no(expected: &str, found: &str) -> Answer {
    Answer::No {
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}

fn denial() -> Denial {
    Denial {
        patch: "nginx".into(),
        version: "1.22.1-10".into(),
        component: "web-c2".into(),
        run: RunId(1),
        at: night(),
        why: "web-c2: the postinst script of nginx failed".to_owned(),
    }
}

fn pause_point(component: Option<&str>) -> PausePoint {
    PausePoint {
        component: component.map(Into::into),
        step: Step::Reboot,
        by: "jon".into(),
        reason: "the vendor looks first".to_owned(),
    }
}

fn failure(message: &str, hint: Option<&str>) -> Failure {
    let error = Error::new(ErrorKind::InstallFailed, message);
    Failure::from(&match hint {
        Some(hint) => error.hint(hint),
        None => error,
    })
}
