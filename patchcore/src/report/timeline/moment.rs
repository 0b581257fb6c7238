//! One moment of a run, folded.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    execute::{
        Told,
        kernel::{ComponentEvent, Event, RunEvent, Step},
        words,
    },
    id::ComponentId,
    plan::text::names,
};

/// So many names stand before an equal text; the rest is counted.
const NAMES: usize = 3;

/// What happens between two decisions about the run.
#[derive(Debug, Default)]
struct Stretch<'t> {
    components: BTreeMap<&'t ComponentId, Vec<&'t ComponentEvent>>,
    /// Follows from one component alone, wherever it stands among the others.
    follows: Vec<(&'t RunEvent, Timestamp)>,
    other: Vec<(Option<&'t ComponentId>, String)>,
}

/// Who and what, in an order that does not depend on which of two independent answers came first.
pub(super) fn fold(
    moment: &[Told],
    run_text: impl Fn(&RunEvent, Timestamp) -> String,
) -> Vec<(Option<String>, String)> {
    let mut texts = Vec::new();
    let mut stretch = Stretch::default();
    for told in moment {
        match (&told.event, &told.component) {
            (Event::Run(event @ (RunEvent::Halted { .. } | RunEvent::Denied { .. })), _) => {
                stretch.follows.push((event, told.at));
            }
            (Event::Run(event), _) => {
                std::mem::take(&mut stretch).write(&run_text, &mut texts);
                texts.push((None, run_text(event, told.at)));
            }
            (Event::Component(event), Some(component)) => {
                stretch.components.entry(component).or_default().push(event);
            }
            (event, component) => {
                stretch.other.push((component.as_ref(), event.to_string()));
            }
        }
    }
    stretch.write(&run_text, &mut texts);
    texts
}

impl Stretch<'_> {
    fn write(
        mut self,
        run_text: &impl Fn(&RunEvent, Timestamp) -> String,
        texts: &mut Vec<(Option<String>, String)>,
    ) {
        let mut equal: BTreeMap<(bool, String), Vec<&ComponentId>> = BTreeMap::new();
        for (component, events) in &self.components {
            let clauses = clauses(component, events);
            if !clauses.is_empty() {
                let begins = matches!(events.first(), Some(ComponentEvent::Admitted { .. }));
                equal
                    .entry((begins, clauses.join(" · ")))
                    .or_default()
                    .push(component);
            }
        }
        let mut lines: Vec<_> = equal.into_iter().collect();
        // Who begins now does so because of what the others did, so those are read first.
        lines.sort_by(|((a, _), x), ((b, _), y)| (a, x.first()).cmp(&(b, y.first())));
        for ((_, text), who) in lines {
            texts.push((Some(names(who, NAMES)), text));
        }
        for (component, text) in self.other {
            texts.push((component.map(ToString::to_string), text));
        }
        self.follows.sort_by_key(|(event, _)| match event {
            RunEvent::Denied { denial } => (0, Some(denial)),
            _ => (1, None),
        });
        for (event, at) in self.follows {
            texts.push((None, run_text(event, at)));
        }
    }
}

/// What happened to one component at one moment, without what tells nothing new.
fn clauses(component: &ComponentId, events: &[&ComponentEvent]) -> Vec<String> {
    let mut clauses: Vec<String> = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let scanned_next = matches!(events.get(at + 1), Some(ComponentEvent::Scanned { .. }));
        let mut said = words::said(event, Some(component));
        match event {
            // That it began is seen by what it does; that it takes or gives back, by what it took or gave back; that
            // its soak is over, by the same word on its ring.
            ComponentEvent::Begun { .. }
            | ComponentEvent::SoakOver { .. }
            | ComponentEvent::Intended {
                step: Step::Take | Step::GiveBack,
                ..
            } => said.clear(),
            // What is kept for the way back is told when it is there.
            ComponentEvent::Intended { .. } => said.truncate(1),
            // What the tool read back is told by the scan that follows, which read more.
            ComponentEvent::Settled {
                step: Step::Apply | Step::RollBack,
                ..
            } if scanned_next => said.truncate(1),
            _ => {}
        }
        for clause in said {
            if !clauses.contains(&clause) {
                clauses.push(clause);
            }
        }
    }
    clauses
}
