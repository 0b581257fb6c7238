//! What a vCenter answered, without what is the estate's own: to be given away, and read once more without a vCenter.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use patchcore::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::{
    Service,
    soap::{Call, Element, Fault, MoRef},
    standin::{StandIns, is_plain},
};

/// What a vCenter answered: each call with its answer, in their order.
///
/// Names, addresses, texts and sessions are replaced by stand-ins when they are noted, the same one by the same stand-in;
/// numbers, times and the vendor's own words stay. Logins are never noted. A cheap clone of one transcript.
///
/// ```
/// use patchcore_vsphere::Transcript;
/// let transcript = Transcript::new();
/// assert_eq!(transcript.to_string(), "");
/// assert!(Transcript::from_lines("no transcript").is_err());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Transcript(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    stand_ins: StandIns,
    lines: VecDeque<Line>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Service(Service),
    Answer { call: String, answer: Element },
    Fault { call: String, fault: Fault },
}

impl Transcript {
    /// One that holds nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that was written down.
    ///
    /// # Errors
    /// `InvalidInput` with the line that is none of a transcript.
    pub fn from_lines(text: &str) -> Result<Self> {
        let read = |(at, line): (usize, &str)| {
            serde_json::from_str::<Line>(line).map_err(|error| {
                Error::new(
                    ErrorKind::InvalidInput,
                    format!("line {} is no line of a transcript", at + 1),
                )
                .expected("lines of JSON as a transcript writes them")
                .found(error.to_string())
            })
        };
        let lines = text.lines().enumerate().map(read).collect::<Result<_>>()?;
        let inside = Inside {
            lines,
            ..Inside::default()
        };
        Ok(Self(Arc::new(Mutex::new(inside))))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inside) -> T) -> T {
        // Whoever panicked left a whole line behind, or none.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn note_service(&self, service: &Service) {
        self.with(|inside| {
            let mut service = service.clone();
            service.instance = inside.stand_ins.text(&service.instance).into();
            inside.lines.push_back(Line::Service(service));
        });
    }

    pub(super) fn note(&self, call: &Call, outcome: &Result<Element, Fault>) {
        self.with(|inside| {
            let call = inside.label(call);
            let line = match outcome {
                Ok(answer) => {
                    let mut answer = answer.clone();
                    inside.stand_ins.apply(&mut answer);
                    Line::Answer { call, answer }
                }
                Err(fault) => {
                    let mut fault = fault.clone();
                    inside.stand_ins.apply(&mut fault.detail);
                    // It may tell names.
                    fault.message = inside.stand_ins.text(&fault.message);
                    Line::Fault { call, fault }
                }
            };
            inside.lines.push_back(line);
        });
    }

    pub(super) fn service(&self) -> Result<Service> {
        match self.with(|inside| inside.lines.pop_front()) {
            Some(Line::Service(service)) => Ok(service),
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                "the transcript does not begin with what the vCenter says of itself",
            )),
        }
    }

    /// The answer that the transcript has next, which must be one to this call.
    pub(super) fn next(&self, asked: &Call) -> Result<Result<Element, Fault>> {
        let (next, asked) = self.with(|inside| (inside.lines.pop_front(), inside.label(asked)));
        let differs = |found: &str| {
            Error::new(
                ErrorKind::InvalidInput,
                "the transcript is of other calls than are made now",
            )
            .expected(asked.clone())
            .found(found)
            .hint("it was written by another version, or of something else")
        };
        match next {
            Some(Line::Answer { call, answer }) if call == asked => Ok(Ok(answer)),
            Some(Line::Fault { call, fault }) if call == asked => Ok(Err(fault)),
            Some(Line::Answer { call, .. } | Line::Fault { call, .. }) => Err(differs(&call)),
            Some(Line::Service(_)) => Err(differs("a second beginning")),
            None => Err(differs("its end")),
        }
    }
}

impl Inside {
    /// A call in words that say nothing of the estate.
    fn label(&mut self, call: &Call) -> String {
        let MoRef { kind, id } = &call.this;
        let id = match is_plain(id) {
            true => id.clone(),
            false => self.stand_ins.text(id),
        };
        format!("{kind} {id}: {}", call.method)
    }
}

/// Lines of JSON.
impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|inside| {
            for line in &inside.lines {
                let text = serde_json::to_string(line).map_err(|_| fmt::Error)?;
                writeln!(f, "{text}")?;
            }
            Ok(())
        })
    }
}
