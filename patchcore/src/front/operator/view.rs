//! One run as another process sees it.

use std::fmt;

use crate::{
    Timestamp,
    error::Result,
    execute::{DrivenBy, RunProgress, Standing, Story, journal::CommandRow, words},
    id::{ComponentId, EstateName, RunId},
    plan::text::Times,
    report::Report,
};

/// So much of what is owed stands on the first page.
const OWED: usize = 6;
/// So many components are told of where none was named.
const PAGES: usize = 4;

/// One run as its journal tells it at one moment, and who drives it. Made by [`Operator::run`](crate::Operator::run).
///
/// `Display` is the page that a person reads first: how the run stands, who drives it, how far each ring is, what
/// lies in its inbox, what it owes, and what can be done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunView {
    /// Everything that the journal says of it.
    pub story: Story,
    /// How it stands by its journal alone.
    pub standing: Standing,
    /// Who drives it.
    pub driven: DrivenBy,
    /// Whose estate it is.
    pub estate: Option<EstateName>,
    /// Commands for it that nobody has taken yet.
    pub inbox: Vec<CommandRow>,
    /// The moment: the clock's, or that of the newest event if that is later.
    pub now: Timestamp,
}

impl RunView {
    pub(super) fn new(
        story: Story,
        driven: DrivenBy,
        estate: Option<EstateName>,
        inbox: Vec<CommandRow>,
        now: Timestamp,
    ) -> Result<Self> {
        Ok(Self {
            standing: story.standing(now)?,
            story,
            driven,
            estate,
            inbox,
            now,
        })
    }

    /// Its number in its journal.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.story.run
    }

    /// The run in one line, for a list: *run 1 · begun Mon 7 Dec 13:00 CET · working · 4 planned = 4 not over*.
    #[must_use]
    pub fn line(&self) -> String {
        let begun = self.times().at(self.story.started_at);
        let (id, figures) = (self.id(), self.report().figures);
        format!("run {id} · begun {begun} · {} · {figures}", self.stands())
    }

    /// How it stands, in one line.
    #[must_use]
    pub fn heartbeat(&self) -> String {
        match self.waits().as_slice() {
            [] => self.stands(),
            waits => format!("{} · waiting: {}", self.stands(), waits.join("; ")),
        }
    }

    /// How it stands, without what it waits for. A run that nobody drives does not work, and it is said so.
    fn stands(&self) -> String {
        let stands = words::stands(&self.standing, &self.times());
        match (&self.standing, self.driven.is_driven()) {
            (Standing::Working { .. }, false) => "interrupted, and nobody drives it".to_owned(),
            (Standing::Waiting { .. }, false) => format!("{stands}, and nobody drives it"),
            _ => stands,
        }
    }

    fn waits(&self) -> Vec<String> {
        words::waits(self.standing.waits(), &self.times())
    }

    /// How far it is, as figures. What tools say of operations in flight is known to the process that drives them
    /// alone.
    ///
    /// # Errors
    /// As [`Story::progress`].
    pub fn progress(&self) -> Result<RunProgress> {
        self.story.progress(&self.standing, self.now)
    }

    /// Why a component is where it is: which gate, who holds what, since when, and when it may open.
    ///
    /// # Errors
    /// `NotFound`: it is not in this plan.
    pub fn why(&self, component: impl Into<ComponentId>) -> Result<String> {
        let mut why = self
            .story
            .why(&component.into(), &self.standing, self.now)?;
        if let Some(resume) = words::resume(&self.driven).filter(|_| !self.is_over()) {
            why.push_str(&format!("\n   {} · {resume}", self.driven));
        }
        Ok(why)
    }

    /// Why the run is where it is: how it stands, and why of each component that is on the way or needs a person.
    ///
    /// # Errors
    /// As [`progress`](Self::progress).
    pub fn why_not_over(&self) -> Result<String> {
        let mut pages = vec![format!("run {}: {}", self.id(), self.heartbeat())];
        let on_the_way = self.progress()?.at_work;
        for one in on_the_way.iter().take(PAGES) {
            pages.push(self.why(one.component.clone())?);
        }
        if on_the_way.len() > PAGES {
            let more = on_the_way.len() - PAGES;
            pages.push(format!(
                "+ {more} more on the way: ask for each by its name"
            ));
        }
        Ok(pages.join("\n"))
    }

    /// What it owes, as sentences. Empty when it owes nothing.
    #[must_use]
    pub fn ledger(&self) -> Vec<String> {
        self.story.ledger_at(self.now)
    }

    /// What was observed.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::of(&self.story, self.now)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.standing, Standing::Ended { .. })
    }

    pub(super) fn times(&self) -> Times {
        Times::of(&self.story.plan.envelope, None)
    }
}

impl fmt::Display for RunView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (times, envelope) = (self.times(), &self.story.plan.envelope);
        write!(f, "run {}", self.id())?;
        if let Some(estate) = &self.estate {
            write!(f, " · estate {estate}")?;
        }
        write!(
            f,
            " · plan {} · requested by {} · begun {}",
            self.story.plan.id(),
            envelope.requested_by,
            times.at(self.story.started_at)
        )?;
        let mut lines = vec![self.stands()];
        lines.extend(self.waits().iter().map(|wait| format!("waiting: {wait}")));
        if !self.is_over() {
            lines.push(self.driven.to_string());
        }
        if let Ok(progress) = self.progress() {
            lines.extend(words::progress(&progress, &times));
            lines.extend(
                progress
                    .ends
                    .filter(|_| self.driven.is_driven() && !self.is_over())
                    .map(|ends| format!("ends about {}", times.at(ends))),
            );
        }
        lines.extend(self.inbox.iter().map(|row| {
            format!(
                "in the inbox since {}: {}",
                times.moment(row.at),
                words::command(row)
            )
        }));
        let owed = self.ledger();
        lines.extend(owed.iter().take(OWED).map(|owed| format!("owed: {owed}")));
        if owed.len() > OWED {
            lines.push(format!("owed: {} more, in the ledger", owed.len() - OWED));
        }
        lines.extend(
            words::next(&self.standing, &self.driven)
                .iter()
                .map(|next| format!("next: {next}")),
        );
        lines
            .iter()
            .try_for_each(|line| write!(f, "\n   {}", words::on_one_line(line)))
    }
}
