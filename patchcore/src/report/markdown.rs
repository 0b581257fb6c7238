//! How a report reads as a document.

use super::Report;

impl Report {
    /// The report as a Markdown document: the same content as on a terminal.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut page = Vec::new();
        let mut head = self.head().into_iter();
        page.push(format!(
            "# {}",
            capital(&escape(&head.next().unwrap_or_default()))
        ));
        page.push(String::new());
        page.extend(head.map(|line| format!("- {}", escape(&line))));
        for section in self.sections() {
            page.push(String::new());
            page.push(format!("## {}", capital(section.title)));
            page.push(String::new());
            if let Some(about) = &section.about {
                page.push(format!("{}.", capital(&escape(about))));
            }
            let listed = section.rows.iter().all(|(who, _)| who.is_empty());
            if section.rows.is_empty() {
                continue;
            }
            if section.about.is_some() {
                page.push(String::new());
            }
            if listed {
                let rows = section.rows.iter();
                page.extend(rows.map(|(_, what)| format!("- {}", escape(what))));
            } else {
                page.push("| | |".to_owned());
                page.push("|---|---|".to_owned());
                let rows = section.rows.iter();
                page.extend(
                    rows.map(|(who, what)| format!("| {} | {} |", escape(who), escape(what))),
                );
            }
        }
        page.push(String::new());
        page.push(format!("Made {}.", self.times().at(self.made)));
        page.push(String::new());
        page.join("\n")
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// What others wrote must not become mark-up: names, comments and messages come from outside.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '&' | '!' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
