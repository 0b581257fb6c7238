//! vLCM's own check of hosts before an image is put into them: what it looks at is the vendor's knowledge.

use std::collections::BTreeMap;

use patchcore::{Result, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Message, below};
use crate::client::{Rest, VCenter, soap::MoRef, typed};

/// What a check came to, `Software.CheckResult` and `LastCheckResult.CheckResult`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Of which state of the image.
    pub(crate) commit: String,
    /// When it was over, by the vCenter's clock.
    pub(crate) at: Timestamp,
    /// Of the cluster as a whole; none where it says nothing of it.
    pub(crate) cluster: Option<Verdict>,
    /// By what the vCenter calls them.
    pub(crate) hosts: BTreeMap<String, Verdict>,
    /// The word for all together.
    pub(crate) word: Word,
}

/// What it says of a host, or of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) word: Word,
    /// What does not pass; empty where it gives no reason.
    pub(crate) why: Vec<Refusal>,
}

/// One thing that does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) word: Word,
    /// In the vCenter's words.
    pub(crate) what: String,
    /// What it says is to be done; none where it does not.
    pub(crate) remedy: Option<String>,
}

/// `Software.Status`. A warning is none that keeps anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    Passes,
    /// It may pass when it is asked again.
    Again,
    /// It did not come to an end.
    Timeout,
    /// Also for words that are not known.
    Refused,
}

impl Word {
    fn of(word: &str) -> Self {
        match word {
            "OK" | "WARNING" => Self::Passes,
            "RETRY" => Self::Again,
            "TIMEOUT" => Self::Timeout,
            _ => Self::Refused,
        }
    }
}

#[derive(Deserialize)]
struct ResultBody {
    status: String,
    commit: String,
    end_time: Timestamp,
    entity_results: Vec<EntityBody>,
}

#[derive(Deserialize)]
struct EntityBody {
    status: String,
    #[serde(default)]
    host: Option<String>,
    check_statuses: Vec<CheckBody>,
}

#[derive(Deserialize)]
struct CheckBody {
    check: InfoBody,
    status: String,
    issues: Vec<Message>,
    #[serde(default)]
    check_issues: Option<Vec<IssueBody>>,
}

#[derive(Deserialize)]
struct InfoBody {
    name: Message,
}

#[derive(Deserialize)]
struct IssueBody {
    description: Message,
    #[serde(default)]
    resolution: Option<Message>,
}

impl Checked {
    pub(crate) fn of(body: Value) -> Result<Self> {
        let body: ResultBody = typed("the result of a check", body)?;
        let mut read = Self {
            commit: body.commit,
            at: body.end_time,
            cluster: None,
            hosts: BTreeMap::new(),
            word: Word::of(&body.status),
        };
        for entity in body.entity_results {
            let verdict = Verdict {
                word: Word::of(&entity.status),
                why: entity
                    .check_statuses
                    .into_iter()
                    .flat_map(CheckBody::refusals)
                    .collect(),
            };
            match entity.host {
                Some(host) => read.hosts.insert(host, verdict),
                None => read.cluster.replace(verdict),
            };
        }
        Ok(read)
    }
}

impl CheckBody {
    /// Whatever of it does not pass, each with what is to be done about it.
    fn refusals(self) -> Vec<Refusal> {
        let word = Word::of(&self.status);
        if word == Word::Passes {
            return Vec::new();
        }
        let name = self.check.name.default_message;
        let refusal = |what: Option<String>, remedy: Option<String>| Refusal {
            word,
            what: match what {
                Some(what) => format!("{name}: {what}"),
                None => name.clone(),
            },
            remedy,
        };
        // From 8.0 on each has a remedy; before that they are texts.
        let issues = self.check_issues.unwrap_or_default();
        let mut all: Vec<Refusal> = issues
            .into_iter()
            .map(|issue| {
                let remedy = issue.resolution.map(|remedy| remedy.default_message);
                refusal(Some(issue.description.default_message), remedy)
            })
            .collect();
        if all.is_empty() {
            let issues = self.issues.into_iter();
            all = issues
                .map(|issue| refusal(Some(issue.default_message), None))
                .collect();
        }
        if all.is_empty() {
            all.push(refusal(None, None));
        }
        all
    }
}

impl VCenter {
    /// What hosts of a cluster were last found to be like; none where nobody ever had them checked.
    pub(crate) async fn last_checked(&self, cluster: &MoRef) -> Result<Option<Checked>> {
        let call = Rest::get(below(
            cluster,
            &["software", "reports", "last-check-result"],
        ));
        match self.try_rest(&call).await? {
            Ok(body) => Checked::of(body).map(Some),
            Err(fault) if fault.kind == "NOT_FOUND" => Ok(None),
            Err(fault) => Err(fault.into_error(&call.named())),
        }
    }
}

/// The call that has hosts checked. It changes nothing but vLCM's own report of it.
pub(crate) fn check(cluster: &MoRef, commit: &str, hosts: &[&str]) -> Rest {
    let spec = json!({"commit": commit, "hosts": hosts});
    Rest::task(below(cluster, &["software"]), "check", Some(spec))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(host: &Value) -> Value {
        json!({"status": "ERROR", "commit": "7", "start_time": "2026-11-01T00:00:00.000Z",
            "end_time": "2026-11-01T00:01:00.000Z", "host_info": {}, "entity_results": [
                {"type": "CLUSTER", "cluster": "domain-c1", "status": "WARNING", "check_statuses": []},
                host]})
    }

    fn check_of(status: &str, more: &Value) -> Value {
        let mut check = json!({"check": {"check": "x", "name": {"default_message": "Disk"}, "description": {}},
            "status": status, "issues": []});
        for (key, value) in more.as_object().into_iter().flatten() {
            check[key] = value.clone();
        }
        json!({"type": "HOST", "host": "host-9", "status": status, "check_statuses": [check]})
    }

    #[test]
    fn what_does_not_pass_is_read_with_its_remedy() {
        let text = |text: &str| json!({"default_message": text});
        let check = |status: &str, more: Value, expect: &[(&str, Option<&str>)]| {
            let read = Checked::of(body(&check_of(status, &more))).unwrap();
            let verdict = &read.hosts["host-9"];
            let why = verdict.why.iter();
            let why: Vec<_> = why.map(|r| (&*r.what, r.remedy.as_deref())).collect();
            assert_eq!((verdict.word, &*why), (Word::of(status), expect));
            assert_eq!(read.cluster.as_ref().map(|c| c.word), Some(Word::Passes));
        };
        check("OK", json!({"issues": [text("old news")]}), &[]);
        check("WARNING", json!({"issues": [text("be warned")]}), &[]);
        check("ERROR", json!({}), &[("Disk", None)]);
        check(
            "ERROR",
            json!({"issues": [text("full")]}),
            &[("Disk: full", None)],
        );
        check(
            "TIMEOUT",
            json!({"issues": [text("full")], "check_issues": [
                {"description": text("full"), "resolution": text("free it")}, {"description": text("slow")}]}),
            &[("Disk: full", Some("free it")), ("Disk: slow", None)],
        );
        check("PERHAPS", json!({}), &[("Disk", None)]);
        assert_eq!(Word::of("PERHAPS"), Word::Refused);
        assert_eq!(Word::of("RETRY"), Word::Again);
    }
}
