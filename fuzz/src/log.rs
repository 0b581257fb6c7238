//! What the log of a job says.

use patchcore_linux::pm::classify::{failed_command, kept_configuration, marked};

use crate::rules;

pub(crate) fn classify(input: &[u8]) -> bool {
    let log = String::from_utf8_lossy(input);
    let id = rules::job();
    let error = failed_command("apt-get", 100, &log);
    rules::refusal(&error, &[error.kind()]);
    // A log has no bound of its own here, and what a person reads of it has.
    assert!(format!("{error:?}").len() < 16 * 1024, "{error:?}");
    let marks = marked(&id, &log);
    let lines = log.lines().count();
    assert!(marks.len() <= lines);
    for mark in &marks {
        assert!(!mark.word.contains(' ') && !mark.text.contains('\n'));
    }
    let kept = kept_configuration(&log);
    assert!(kept.len() <= lines);
    assert!(kept.iter().all(|path| log.contains(path)));
    !marks.is_empty() || !kept.is_empty()
}
