//! What the core tells through `tracing`, for the logging of another language.

use std::{
    fmt::Write as _,
    sync::mpsc::{SyncSender, TrySendError, sync_channel},
    thread,
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// So many records wait for the other language at most; whoever tells more than it reads loses the rest.
const KEPT: usize = 1024;

/// One thing that was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who tells, such as `patchcore::execute::ensure`.
    pub target: &'static str,
    /// How grave it is.
    pub level: Level,
    /// What, with its facts behind it.
    pub text: String,
}

/// Hands every record of patchcore to a sink, on a thread of its own: whoever tells never waits for the other language.
/// The sink says whether it takes more. A program that has a subscriber already keeps it, and the sink gets nothing.
pub fn hand_to(mut sink: impl FnMut(Record) -> bool + Send + 'static) {
    let (records, receiver) = sync_channel(KEPT);
    if tracing::subscriber::set_global_default(Tells(records)).is_err() {
        return;
    }
    // Without a thread nothing is told, and nothing else is amiss.
    let _ = thread::Builder::new()
        .name("patchcore-log".to_owned())
        .spawn(move || {
            for record in receiver {
                if !sink(record) {
                    return;
                }
            }
        });
}

struct Tells(SyncSender<Record>);

impl Subscriber for Tells {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && *metadata.level() <= Level::DEBUG
            && metadata.target().starts_with("patchcore")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let record = Record {
            target: event.metadata().target(),
            level: *event.metadata().level(),
            text: text.message + &text.facts,
        };
        // Full, or nobody listens any more: what is told is for people, and nothing depends on it.
        let (Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) =
            self.0.try_send(record);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Text {
    message: String,
    facts: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string does not fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.facts, " · {} {value:?}", field.name())
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::channel, time::Duration};

    use super::*;

    #[test]
    fn what_is_told_arrives_with_its_facts_and_what_others_tell_does_not() {
        let (sender, told) = channel();
        hand_to(move |record| sender.send(record).is_ok());
        tracing::warn!(target: "patchcore::x", key = %"k/1", error = "no answer", "begin may have been sent");
        tracing::warn!(target: "other", "nothing of ours");
        tracing::trace!(target: "patchcore::x", "too much");
        tracing::debug!(target: "patchcore::x", n = 3, "the last");
        let next = || told.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(
            next(),
            Record {
                target: "patchcore::x",
                level: Level::WARN,
                text: "begin may have been sent · key k/1 · error no answer".to_owned(),
            }
        );
        assert_eq!(next().text, "the last · n 3");
    }
}
