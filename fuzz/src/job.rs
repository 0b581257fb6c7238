//! What comes back from a script, and from a job.

use patchcore::ErrorKind;
use patchcore_linux::{
    job::{JobStatus, Phase},
    pm::classify::failed_job,
    transport::Script,
};

use crate::rules;

pub(crate) fn status(answer: &[u8]) -> bool {
    let id = rules::job();
    match JobStatus::parse(&id, answer) {
        Ok(status) => {
            assert!(status.log.len() <= answer.len());
            assert!(answer.ends_with(&status.log));
            assert_eq!(status.status.is_some(), status.phase == Phase::Done);
            let log = String::from_utf8_lossy(&status.log);
            if let Some(error) = failed_job("apply", &id, &status, &log) {
                rules::bounded(format!("{error:?}").len(), answer.len());
                assert_ne!(status.status, Some(0));
            }
            true
        }
        Err(error) => {
            rules::refusal(&error, &[ErrorKind::ProviderFault]);
            false
        }
    }
}

pub(crate) fn envelope(stdout: &[u8]) -> bool {
    let id = rules::job();
    match Script::new(id.as_str()).unwrap_output(stdout, Vec::new()) {
        Ok(output) => {
            assert!(output.stdout.len() < stdout.len());
            // A line feed before and after, so that a mark at either end is seen.
            let text = [b"\n", output.stdout.as_slice(), b"\n"].concat();
            for mark in ["begin==\n", "end== "] {
                let mark = format!("\n==patchcore {id} {mark}").into_bytes();
                assert!(
                    !text.windows(mark.len()).any(|window| window == mark),
                    "a mark is part of the answer"
                );
            }
            true
        }
        Err(error) => {
            rules::refusal(&error, &[ErrorKind::Unreachable, ErrorKind::ProviderFault]);
            false
        }
    }
}
