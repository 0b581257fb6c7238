//! What is sure to be over when a step begins, in whatever order the steps run.

use super::view::{Act, View};

/// No host was opened again by this.
const NEVER: u32 = u32::MAX;

/// The order that the steps' needs make.
///
/// Every proof of the checker is of one form. Take any moment of any run that the needs allow, and of what has begun
/// then the step that is listed last: all that it needs is over, and nothing that is listed after it has begun.
#[derive(Debug)]
pub(super) struct Graph<'r> {
    view: &'r View<'r>,
    /// For each step, how many of the reopenings, in the order of the list, are sure to be over before it.
    opened: Vec<u32>,
    /// For each step, which reopening is sure to come after it; filled where that is proven.
    ends_by: Vec<u32>,
    /// The place of each host's reopening among the reopenings.
    ordinal: Vec<u32>,
    seen: Vec<u32>,
    search: u32,
}

impl<'r> Graph<'r> {
    pub(super) fn of(view: &'r View<'r>) -> Self {
        let steps = view.acts.len();
        let mut ordinal = vec![NEVER; view.cluster.hosts.len()];
        let mut ends_by = vec![NEVER; steps];
        let mut count = 0;
        for (at, act) in view.acts.iter().enumerate() {
            if let Act::Reopen(host) = act {
                ordinal[*host] = count;
                ends_by[at] = count;
                count += 1;
            }
        }
        let mut opened = vec![0_u32; steps];
        let mut direct = Vec::new();
        for at in 0..steps {
            direct.clear();
            let mut sure = 0;
            for need in &view.roll.steps[at].needs {
                let need = *need as usize;
                sure = sure.max(opened[need]);
                if matches!(view.acts[need], Act::Reopen(_)) {
                    direct.push(ends_by[need]);
                }
            }
            direct.sort_unstable();
            for reopening in &direct {
                if *reopening == sure {
                    sure += 1;
                }
            }
            opened[at] = sure;
        }
        Self {
            view,
            opened,
            ends_by,
            ordinal,
            seen: vec![0; steps],
            search: 0,
        }
    }

    /// How many of the reopenings, in the order of the list, are sure to be over before this step.
    pub(super) fn opened(&self, step: usize) -> usize {
        self.opened[step] as usize
    }

    /// Notes that a step was proven to be over before its host is opened again.
    pub(super) fn ends_before_reopening(&mut self, step: usize, host: usize) {
        self.ends_by[step] = self.ordinal[host];
    }

    /// Whether `first` is sure to be over before `then` begins.
    pub(super) fn before(&mut self, first: usize, then: usize) -> bool {
        if first >= then {
            return false;
        }
        if self.ends_by[first] < self.opened[then] {
            return true;
        }
        let view = self.view;
        let needs = |step: usize| view.roll.steps[step].needs.iter().map(|n| *n as usize);
        if needs(then).any(|need| need == first) {
            return true;
        }
        self.search += 1;
        let mut open = vec![then];
        while let Some(step) = open.pop() {
            for need in needs(step) {
                if need == first {
                    return true;
                }
                if need > first && self.seen[need] != self.search {
                    self.seen[need] = self.search;
                    if self.ends_by[first] < self.opened[need] {
                        return true;
                    }
                    open.push(need);
                }
            }
        }
        false
    }
}
