//! The chain of hashes that makes tampering visible.
//!
//! Every run has its own chain. It begins with the digest of the run's canonical JSON
//! (`approvals, epoch, first_seq, id, plan, plan_digest, started_at`; the parts of the plan that have rows of their
//! own stand in it at their place); every event adds
//! `SHA-256(previous hash ‖ canonical JSON of the event)`, whose keys are
//! `at, body, epoch, kind, run, seq, stream, tseq`. Times are nanoseconds since 1970.
//! Whoever can write the file can also compute the whole chain anew, and can cut its end off with
//! the sums that point there: only a head kept elsewhere shows that.

use std::fmt;

use serde::Serialize;

use super::cause::Place;
use crate::{
    digest::{Digesting, hex, sha256},
    error::{Error, Result},
    id::RunId,
};

/// A hash of the chain.
pub(super) type Hash = [u8; 32];

/// What of a run the chain begins with.
pub(super) struct Header<'a> {
    pub(super) id: i64,
    pub(super) epoch: i64,
    pub(super) plan_digest: &'a str,
    pub(super) started_at: i64,
    pub(super) first_seq: i64,
    pub(super) plan: &'a str,
    /// Where in the plan its parts stand; none where it is whole.
    pub(super) hole: Option<usize>,
    pub(super) approvals: &'a str,
}

/// The hash before the first event, as far as it is computed. Written by hand because the parts are canonical
/// already, and piece by piece because a plan may be large.
pub(super) struct Genesis {
    digest: Digesting,
    parts: u64,
    rest: String,
}

impl Header<'_> {
    /// Begins the hash before the first event; none where the plan has no such place for parts.
    pub(super) fn genesis(&self) -> Option<Genesis> {
        let Self {
            id,
            epoch,
            plan_digest,
            started_at,
            first_seq,
            plan,
            hole,
            approvals,
        } = self;
        let (before, after) = plan.split_at_checked(hole.unwrap_or(plan.len()))?;
        let mut digest = Digesting::default();
        digest.take(&format!(
            r#"{{"approvals":{approvals},"epoch":{epoch},"first_seq":{first_seq},"id":{id},"plan":"#
        ));
        digest.take(before);
        let plan_digest = quoted(plan_digest);
        Some(Genesis {
            digest,
            parts: 0,
            rest: format!(r#"{after},"plan_digest":{plan_digest},"started_at":{started_at}}}"#),
        })
    }
}

impl Genesis {
    /// Takes the next part of the plan.
    pub(super) fn part(&mut self, part: &str) {
        if self.parts > 0 {
            self.digest.take(",");
        }
        self.parts += 1;
        self.digest.take(part);
    }

    /// The hash.
    pub(super) fn finish(mut self) -> Hash {
        self.digest.take(&self.rest);
        self.digest.finish()
    }
}

/// What of an event the chain covers: everything.
pub(super) struct Link<'a> {
    pub(super) seq: i64,
    pub(super) epoch: i64,
    pub(super) run: i64,
    pub(super) stream: &'a str,
    pub(super) tseq: i64,
    pub(super) at: i64,
    pub(super) kind: &'a str,
    pub(super) body: &'a str,
}

impl Link<'_> {
    /// The hash after this event.
    pub(super) fn hash(&self, previous: &Hash) -> Hash {
        let Self {
            seq,
            epoch,
            run,
            stream,
            tseq,
            at,
            kind,
            body,
        } = self;
        let (kind, stream) = (quoted(kind), quoted(stream));
        let text = format!(
            r#"{{"at":{at},"body":{body},"epoch":{epoch},"kind":{kind},"run":{run},"seq":{seq},"stream":{stream},"tseq":{tseq}}}"#
        );
        sha256(&[previous, text.as_bytes()])
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What checking the chain of every run has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// The journal that was checked, as errors name it.
    pub journal: String,
    /// One entry per run, in order.
    pub runs: Vec<RunChain>,
}

/// The chain of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunChain {
    /// The run.
    pub run: RunId,
    /// How many of its events are in the chain, up to the first fault.
    pub events: u64,
    /// The hash after the last of them, 64 hexadecimal digits: what to keep elsewhere as a seal.
    pub head: String,
    /// The first record that is not as it was written.
    pub fault: Option<ChainFault>,
}

/// The first record of a run that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainFault {
    /// The event's number in the journal.
    pub seq: u64,
    /// What is wrong.
    pub what: String,
}

impl ChainReport {
    /// The first fault, with its run.
    #[must_use]
    pub fn first_fault(&self) -> Option<(RunId, &ChainFault)> {
        self.runs
            .iter()
            .find_map(|run| Some((run.run, run.fault.as_ref()?)))
    }

    /// Whether every record is as it was written.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.first_fault().is_none()
    }

    /// An error of kind `JournalDamaged` that names the first fault, if there is one.
    ///
    /// # Errors
    /// The fault.
    pub fn into_result(self) -> Result<Self> {
        match self.first_fault() {
            None => Ok(self),
            Some((run, fault)) => Err(Error::new(
                crate::error::ErrorKind::JournalDamaged,
                format!("journal {}: it was changed at event {} of run {run}: {}", self.journal, fault.seq, fault.what),
            )
            .consequence("what stands before that event is as it was written; nothing after it can be trusted")
            .hint("keep the file for an inquiry, and compare it with a backup or with a head that was kept elsewhere")),
        }
    }
}

impl fmt::Display for ChainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, run) in self.runs.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(
                f,
                "{separator}run {}: {} events, head {}",
                run.run, run.events, run.head
            )?;
            match &run.fault {
                None => f.write_str(", intact")?,
                Some(fault) => write!(f, ", changed at event {}: {}", fault.seq, fault.what)?,
            }
        }
        Ok(())
    }
}

impl RunChain {
    /// A run of which nothing is left.
    pub(super) fn missing(run: RunId, fault: ChainFault) -> Self {
        Self {
            run,
            events: 0,
            head: hex(&Hash::default()),
            fault: Some(fault),
        }
    }
}

/// Where a run lies in the journal.
pub(super) struct Span {
    pub(super) run: i64,
    /// Where its events begin.
    pub(super) first: i64,
    /// Where they end; one less than `first` where it has none.
    pub(super) last: i64,
}

/// What is missing between the runs. Each begins where the one before it has ended, and they are counted from 1: so a run
/// that was taken out leaves a gap, though each chain that is left is whole.
pub(super) fn gaps(spans: &[Span], head: i64) -> Vec<(RunId, ChainFault)> {
    let mut found = Vec::new();
    let mut fault = |run: i64, seq: i64, what: String| {
        let seq = seq.unsigned_abs();
        found.push((RunId(run.unsigned_abs()), ChainFault { seq, what }));
    };
    let (mut run, mut end) = (0, 0);
    for span in spans {
        let (before, first) = (run, span.first);
        for lost in before + 1..span.run {
            let what = format!(
                "the whole run is missing, and nothing up to event {} is left of it",
                first - 1
            );
            fault(lost, end + 1, what);
        }
        // The start of a run is covered by its own chain, so it is the end of the one before that is wrong.
        if span.run == before + 1 && first != end + 1 && before > 0 {
            let what = format!(
                "its run does not end where run {} begins, at event {first}",
                span.run
            );
            fault(before, end.min(first - 1) + 1, what);
        }
        (run, end) = (span.run, span.last);
    }
    if head > end {
        let what =
            format!("the whole run is missing, and nothing up to event {head} is left of it");
        fault(run + 1, end + 1, what);
    } else if head < end {
        fault(
            run,
            head + 1,
            format!("it stands after the end of the journal, event {head}"),
        );
    }
    found
}

/// Follows the chain of one run.
pub(super) struct Follower {
    run: i64,
    next: i64,
    first: i64,
    hash: Hash,
    fault: Option<ChainFault>,
}

impl Follower {
    pub(super) fn new(run: i64, first: i64, genesis: Hash) -> Self {
        Self {
            run,
            next: first,
            first,
            hash: genesis,
            fault: None,
        }
    }

    /// The number of the last event that was followed.
    pub(super) fn position(&self) -> i64 {
        self.next - 1
    }

    /// Takes the next event of the run; `false` once a fault is found.
    pub(super) fn follow(&mut self, link: &Link<'_>, stored: &[u8]) -> bool {
        if link.seq != self.next {
            return self.fail(self.next, "it is missing".to_owned());
        }
        let hash = link.hash(&self.hash);
        if hash != stored {
            let what = if link.seq == self.first {
                "it, or the plan, approvals or start of its run, is not as it was written"
            } else {
                "it is not as it was written"
            };
            return self.fail(link.seq, what.to_owned());
        }
        self.hash = hash;
        self.next += 1;
        true
    }

    /// Compares with where the journal says that the run's events end.
    pub(super) fn end(&mut self, last: i64, head: Option<&[u8]>, rows: i64) {
        if self.fault.is_some() {
            return;
        }
        if self.next <= last {
            self.fail(
                self.next,
                format!("it and everything up to event {last} is missing"),
            );
        } else if self.position() > last || self.position() - self.first + 1 != rows {
            self.fail(
                last + 1,
                "the run has events outside its place in the journal".to_owned(),
            );
        } else if head.is_some_and(|head| head != self.hash) {
            self.fail(last, "it does not carry the seal of its run".to_owned());
        }
    }

    fn fail(&mut self, seq: i64, what: String) -> bool {
        self.fault = Some(ChainFault {
            seq: seq.unsigned_abs(),
            what,
        });
        false
    }

    pub(super) fn finish(self) -> RunChain {
        RunChain {
            run: RunId(self.run.unsigned_abs()),
            events: (self.next - self.first).unsigned_abs(),
            head: hex(&self.hash),
            fault: self.fault,
        }
    }
}

/// A hash as it was read.
pub(super) fn hash_from(place: &Place, bytes: &[u8]) -> Result<Hash> {
    bytes
        .try_into()
        .map_err(|_| place.damaged("a hash has not 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{canonical_json, sha256_hex};
    use serde_json::json;

    #[test]
    fn the_hash_is_that_of_the_canonical_json() {
        // Computed from the documented form alone, as an auditor would.
        let header = json!({"id": 1, "epoch": 2, "plan_digest": "d\"", "started_at": 3, "first_seq": 4, "plan": {"b": [1, {}], "c": 2},
            "approvals": ["maria"]});
        let genesis = sha256_hex(canonical_json(&header).unwrap());
        let hashed = |plan: &str, hole: Option<usize>, parts: &[&str]| {
            let header = Header {
                id: 1,
                epoch: 2,
                plan_digest: "d\"",
                started_at: 3,
                first_seq: 4,
                plan,
                hole,
                approvals: r#"["maria"]"#,
            };
            let mut genesis = header.genesis().unwrap();
            parts.iter().for_each(|part| genesis.part(part));
            genesis.finish()
        };
        let ours = hashed(r#"{"b":[1,{}],"c":2}"#, None, &[]);
        assert_eq!(hex(&ours), genesis);
        // In pieces it is the same plan.
        assert_eq!(hashed(r#"{"b":[],"c":2}"#, Some(6), &["1", "{}"]), ours);
        assert_ne!(hashed(r#"{"b":[],"c":2}"#, Some(6), &["{}", "1"]), ours);

        let event = json!({"seq": 4, "epoch": 2, "run": 1, "stream": "run\n", "tseq": 1, "at": -5, "kind": "k", "body": {"a": 1}});
        let mut bytes = ours.to_vec();
        bytes.extend(canonical_json(&event).unwrap().into_bytes());
        let link = Link {
            seq: 4,
            epoch: 2,
            run: 1,
            stream: "run\n",
            tseq: 1,
            at: -5,
            kind: "k",
            body: r#"{"a":1}"#,
        };
        assert_eq!(hex(&link.hash(&ours)), sha256_hex(bytes));
    }

    /// What is missing between runs that lie so, as run, event and a part of what is said of it.
    fn check_gaps(runs: &[(i64, i64, i64)], head: i64, expect: &[(u64, u64, &str)]) {
        let spans = runs
            .iter()
            .map(|&(run, first, last)| Span { run, first, last });
        let found = gaps(&spans.collect::<Vec<_>>(), head);
        let all = found.iter().map(|(run, fault)| (run.0, fault.seq));
        let expected = expect.iter().map(|(run, seq, _)| (*run, *seq));
        assert!(all.eq(expected), "{runs:?} to {head}: {found:?}");
        for ((_, fault), (_, _, part)) in found.iter().zip(expect) {
            assert!(fault.what.contains(part), "{runs:?} to {head}: {fault:?}");
        }
    }

    #[test]
    fn a_gap_is_named_by_the_run_and_the_event_that_it_begins_with() {
        check_gaps(&[], 0, &[]);
        check_gaps(&[(1, 1, 3), (2, 4, 6)], 6, &[]);
        // The second run has no event yet.
        check_gaps(&[(1, 1, 3), (2, 4, 3), (3, 4, 5)], 5, &[]);
        // Where the first run begins, its own chain says.
        check_gaps(&[(1, 2, 3)], 3, &[]);
        let (up_to_3, up_to_6) = ("nothing up to event 3", "nothing up to event 6");
        check_gaps(&[(2, 4, 6)], 6, &[(1, 1, up_to_3)]);
        check_gaps(&[(1, 1, 3), (3, 7, 9)], 9, &[(2, 4, up_to_6)]);
        let both = [(2, 4, up_to_6), (3, 4, up_to_6)];
        check_gaps(&[(1, 1, 3), (4, 7, 9)], 9, &both);
        let begins = "run 2 begins, at event 4";
        check_gaps(&[(1, 1, 2), (2, 4, 6)], 6, &[(1, 3, begins)]);
        check_gaps(&[(1, 1, 5), (2, 4, 6)], 6, &[(1, 4, begins)]);
        check_gaps(&[], 2, &[(1, 1, "nothing up to event 2")]);
        check_gaps(&[(1, 1, 3)], 6, &[(2, 4, up_to_6)]);
        check_gaps(
            &[(1, 1, 3)],
            2,
            &[(1, 3, "the end of the journal, event 2")],
        );
    }

    #[test]
    fn a_run_ends_where_the_journal_says_and_with_its_seal() {
        let header = Header {
            id: 2,
            epoch: 1,
            plan_digest: "",
            started_at: 0,
            first_seq: 4,
            plan: "{}",
            hole: None,
            approvals: "[]",
        };
        let genesis = header.genesis().expect("a plan that is whole").finish();
        let link = Link {
            seq: 4,
            epoch: 1,
            run: 2,
            stream: "run",
            tseq: 1,
            at: 0,
            kind: "k",
            body: "{}",
        };
        let seal = link.hash(&genesis);
        let check = |last, head: Option<&[u8]>, rows, expect: Option<(u64, &str)>| {
            let mut follower = Follower::new(2, 4, genesis);
            assert!(follower.follow(&link, &seal));
            follower.end(last, head, rows);
            let found = follower.finish();
            assert_eq!((found.events, &found.head), (1, &hex(&seal)));
            let fault = found.fault.as_ref();
            assert_eq!(
                fault.map(|f| f.seq),
                expect.map(|(seq, _)| seq),
                "{fault:?}"
            );
            if let (Some(fault), Some((_, part))) = (fault, expect) {
                assert!(fault.what.contains(part), "{fault:?}");
            }
        };
        check(4, None, 1, None);
        check(4, Some(&seal), 1, None);
        check(6, None, 1, Some((5, "up to event 6 is missing")));
        let outside = "outside its place";
        check(3, None, 1, Some((4, outside)));
        check(4, None, 2, Some((5, outside)));
        check(4, Some(&[0; 32]), 1, Some((4, "the seal of its run")));
    }
}
