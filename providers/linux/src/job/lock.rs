//! What a machine answers about its lock.

use std::time::Duration;

use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    provider::{Claim, Held},
};

use crate::pm::classify::failed_command;

/// The answer of a script about the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LockAnswer {
    /// It is ours.
    Ours { fence: u64 },
    /// It is ours, and was somebody else's.
    Over { fence: u64, from: Held },
    /// Somebody else's.
    Held(Held),
    /// Nobody's.
    Free,
}

impl LockAnswer {
    /// Reads an answer.
    ///
    /// # Errors
    /// What the machine said where it cannot keep a lock, by its kind; `ProviderFault` for anything but an answer in
    /// version 1.
    pub(crate) fn parse(answer: &[u8]) -> Result<Self> {
        let text = String::from_utf8_lossy(answer);
        let (header, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let wrong = |expected: &str| {
            Error::new(
                ErrorKind::ProviderFault,
                "the answer about the lock of the machine is not understood",
            )
            .expected(expected)
            .found(format!("{:?}", text.chars().take(200).collect::<String>()))
            .hint("a newer version of patchcore may have written it: use that one")
        };
        let mut words = header.split(' ');
        let mut value = |key: &str| words.next().and_then(|w| w.strip_prefix(key));
        let (Some(_), Some(answer), Some(fence), Some(now)) = (
            value("PL1"),
            value("answer="),
            value("fence="),
            value("now="),
        ) else {
            return Err(wrong("a line PL1 with answer, fence and now"));
        };
        let fence: u64 = fence.parse().map_err(|_| wrong("a number for fence"))?;
        let now = now
            .parse()
            .ok()
            .and_then(|second| Timestamp::from_second(second).ok())
            .ok_or_else(|| wrong("a time for now"))?;
        let held = || {
            let line = rest.lines().next().unwrap_or_default();
            holding(line, now).ok_or_else(|| wrong("a holding in version 1"))
        };
        match answer {
            "ours" => Ok(Self::Ours { fence }),
            "over" => Ok(Self::Over {
                fence,
                from: held()?,
            }),
            "held" => Ok(Self::Held(held()?)),
            "free" => Ok(Self::Free),
            "failed" => Err(failed_command("taking the lock of the machine", 1, rest)
                .consequence("nothing was begun")),
            _ => Err(wrong("ours, over, held, free or failed")),
        }
    }
}

/// A holding as its machine tells it: `FENCE SEEN 1 JOURNAL OPENING EPOCH LEASE SINCE HOLDER`.
pub(crate) fn holding(line: &str, now: Timestamp) -> Option<Held> {
    let mut words = line.splitn(9, ' ');
    let mut word = || words.next();
    let fence = word()?.parse().ok()?;
    let seen = Timestamp::from_second(word()?.parse().ok()?).ok()?;
    if word()? != "1" {
        return None;
    }
    let (journal, opening) = (word()?, word()?);
    let epoch = word()?.parse().ok()?;
    let lease = Duration::from_secs(word()?.parse().ok()?);
    let since = Timestamp::from_second(word()?.parse().ok()?).ok()?;
    let claim = Claim::new(journal, opening, epoch, word()?).with_lease(lease);
    Some(Held::new(claim, fence, since).with_seen(seen).read_at(now))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HELD: &str = "PL1 answer=held fence=6 now=1795611202\n\
        6 1795611142 1 3f2a o1 4 900 1795611102 process 4711 on admin-1 since 2026-11-28 20:02:11 UTC\n";

    #[test]
    fn an_answer_is_read_whole_or_refused_with_what_was_expected() {
        let LockAnswer::Held(held) = LockAnswer::parse(HELD.as_bytes()).unwrap() else {
            panic!("it is held");
        };
        assert_eq!((held.fence, held.claim.epoch), (6, 4));
        assert_eq!(
            held.to_string(),
            "process 4711 on admin-1 since 2026-11-28 20:02:11 UTC (journal 3f2a), held for 1 min 40 s, \
             last sign of life 1 min 0 s ago"
        );
        for (from, to, expect) in [
            ("PL1", "PC1", "a line PL1"),
            (
                "answer=held",
                "answer=hold",
                "ours, over, held, free or failed",
            ),
            ("fence=6", "fence=x", "a number for fence"),
            ("now=1795611202", "now=", "a time for now"),
            (" 1 3f2a", " 2 3f2a", "a holding in version 1"),
            (" 900 ", " x ", "a holding in version 1"),
        ] {
            let error = LockAnswer::parse(HELD.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(error.to_string().contains(expect), "{to}: {error}");
        }
    }

    #[test]
    fn a_machine_that_cannot_keep_a_lock_says_why() {
        let failed = |said: &str| {
            let answer = format!("PL1 answer=failed fence=0 now=1795611202\n{said}\n");
            LockAnswer::parse(answer.as_bytes()).unwrap_err().kind()
        };
        let path = "mkdir: cannot create directory '/var/lib/patchcore/lock'";
        assert_eq!(
            failed(&format!("{path}: No space left on device")),
            ErrorKind::DiskFull
        );
        assert_eq!(
            failed(&format!("{path}: Permission denied")),
            ErrorKind::AuthzDenied
        );
        assert_eq!(
            failed("mkdir: cannot create directory '/var/lib/patchcore': Permission denied"),
            ErrorKind::AuthzDenied
        );
        assert_eq!(
            failed(&format!("{path}: Read-only file system")),
            ErrorKind::Unhealthy
        );
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(noise: Vec<u8>, at in 0..HELD.len(), byte: u8) {
            let _ = LockAnswer::parse(&noise);
            let mut near = HELD.as_bytes().to_vec();
            near[at] = byte;
            let _ = LockAnswer::parse(&near);
        }
    }
}
