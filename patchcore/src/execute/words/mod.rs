//! How events, waits and standings read.
//!
//! Every sentence can be said in the zone of the run's window. `Display`, which does not know it, says UTC and
//! says so; [`Told`] knows its zone.

mod component;
mod operator;
mod roll;
mod run;
mod stand;

use std::fmt;

pub(crate) use component::{end, phase, said, stalled, without};
pub(crate) use operator::{asked, command, decide, next, overtime, progress, resume};
pub(crate) use run::run_event;
pub(crate) use stand::{standing, stands, wait, waits};

use super::{
    Standing,
    kernel::{ComponentEvent, Event, Phase, RunEvent, Wait},
    story::Told,
};
use crate::{id::ComponentId, plan::text::Times};

/// One line that needs no other: day, time, zone, whom it is about, what.
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = Times::within(self.zone.clone(), self.at);
        let at = times.moment(self.at);
        let what = on_one_line(&event(&self.event, self.component.as_ref(), &times));
        match &self.component {
            Some(component) => write!(f, "{at}  {component}  {what}"),
            None => write!(f, "{at}  run {}  {what}", self.run),
        }
    }
}

/// Text from outside stays on its line and steers no terminal.
pub(crate) fn on_one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// An event in one line.
pub(crate) fn event(event: &Event, component: Option<&ComponentId>, times: &Times) -> String {
    match event {
        Event::Run(event) => run_event(event, times),
        Event::Component(event) => said(event, component).join(" · "),
        Event::Other(kind, _) => format!("{kind} (written by a newer version)"),
        Event::Damaged(kind, why) => format!("{kind} (it cannot be read: {why})"),
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&event(self, None, &Times::utc()))
    }
}

impl fmt::Display for RunEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&run_event(self, &Times::utc()))
    }
}

impl fmt::Display for ComponentEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&said(self, None).join(" · "))
    }
}

/// Where a component is: *is being patched*.
impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(phase(*self))
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&wait(self, &Times::utc()))
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&standing(self, &Times::utc()))
    }
}

#[cfg(test)]
mod tests;
