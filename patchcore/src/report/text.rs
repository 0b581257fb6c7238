//! How a report reads on a terminal.

use std::fmt;

use super::Report;
use crate::execute::words::on_one_line;

/// A name longer than this is not waited for by the column after it.
const WIDEST: usize = 26;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head: Vec<String> = self.head().iter().map(|l| on_one_line(l)).collect();
        f.write_str(&head.join("\n"))?;
        for section in self.sections() {
            write!(f, "\n{}", section.title)?;
            if let Some(about) = &section.about {
                write!(f, ": {about}")?;
            }
            let width = section
                .rows
                .iter()
                .map(|(who, _)| who.chars().count())
                .filter(|w| *w <= WIDEST)
                .max()
                .unwrap_or(0);
            for (who, what) in &section.rows {
                match who.as_str() {
                    "" => write!(f, "\n  {}", on_one_line(what))?,
                    who => write!(f, "\n  {who:<width$}  {}", on_one_line(what))?,
                }
            }
        }
        let times = self.times();
        write!(f, "\nmade {}", times.at(self.made))
    }
}
