//! What people want, of this process and of others.

use super::{
    super::{
        inbox,
        journal::CommandRow,
        kernel::{Command, RunEvent},
    },
    Driver, INBOX,
};
use crate::{clock::later, error::Result, id::PersonId};

impl Driver {
    /// Looks at what other processes want, and writes what has waited for long enough.
    pub(super) async fn look(&mut self) -> Result<()> {
        self.next_look = later(self.clock.now(), INBOX);
        self.write().await?;
        let commands = self.until_free(|| self.journal.take_commands()).await?;
        for row in commands {
            // A command is answered by the first event of its transaction, so each has one of its own.
            self.write().await?;
            self.obey(row);
            self.commit().await?;
        }
        Ok(())
    }

    fn obey(&mut self, row: CommandRow) {
        let done = match row.run {
            Some(run) if run != self.story.run => Err(format!(
                "run {} is open, and it was meant for another",
                self.story.run
            )),
            _ => inbox::read(&row)
                .and_then(|(command, reason)| self.steer(&row.by, &reason, &command)),
        };
        if let Err(why) = done {
            let refused = RunEvent::CommandRefused {
                by: row.by,
                verb: row.verb,
                why,
            };
            self.record(vec![refused], Vec::new());
        }
        self.turn.answers(row.id);
    }

    pub(super) fn steer(
        &mut self,
        by: &PersonId,
        reason: &str,
        command: &Command,
    ) -> std::result::Result<(), String> {
        let steered = self.story.steer(by, reason, command)?;
        self.record(steered.run, steered.components);
        Ok(())
    }
}
