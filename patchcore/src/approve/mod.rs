//! From a plan and people's approvals to an [`ApprovedPlan`], the only thing that can be executed.
//!
//! Pure. An approval is bound to the digest of the plan's envelope; patchcore checks that binding, the
//! embedder says who the person is.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    digest,
    error::{Error, ErrorKind, Result},
    id::PersonId,
    plan::{Plan, Severity, time_words},
    stored,
};

/// What the embedder can show for an approval: a signature, a token of its own system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// Of which kind, such as `ed25519`.
    pub scheme: String,
    /// The proof itself, as text.
    pub value: String,
}

/// One person's approval of one envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Approval {
    /// Which schema this is: `patchcore.approval/1`.
    pub schema: String,
    /// The digest of the envelope that was approved.
    pub envelope: String,
    /// Who.
    pub by: PersonId,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What the person wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What the embedder can show for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

impl Approval {
    /// The name and version of the stored form.
    pub const SCHEMA: &'static str = "patchcore.approval/1";

    /// Writes it to a file, whole or not at all.
    ///
    /// # Errors
    /// `NotFound` where there is no such folder, `DiskFull` or `Io` where it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        stored::save(path.as_ref(), &self.to_json()?, "approval")
    }

    /// The stored form.
    ///
    /// # Errors
    /// As [`digest::canonical_json`].
    pub fn to_json(&self) -> Result<String> {
        digest::canonical_json(self)
    }

    /// Reads the stored form. Whether it counts is for [`approve`] to say.
    ///
    /// # Errors
    /// `InvalidInput`: not JSON, no approval, or one of a newer version.
    pub fn from_json(text: &str) -> Result<Self> {
        stored::parse(text, Self::SCHEMA, "an approval", "approval.load")
    }

    /// Reads it from a file. Whether it counts is for [`approve`] to say.
    ///
    /// # Errors
    /// `NotFound` or `Io` where the file cannot be read; `InvalidInput` where it is no approval, or one of a
    /// newer version.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = stored::load(path, "approval")?;
        Self::from_json(&text).map_err(|e| e.context("file", path.display().to_string()))
    }

    /// The JSON Schema of the stored form.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).into()
    }

    /// What the person wrote.
    #[must_use]
    pub fn with_comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// What the embedder can show for it.
    #[must_use]
    pub fn with_proof(mut self, scheme: impl Into<String>, value: impl Into<String>) -> Self {
        self.proof = Some(Proof {
            scheme: scheme.into(),
            value: value.into(),
        });
        self
    }
}

/// How much an approval is worth as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The embedder says that this person approved.
    Asserted,
    /// The embedder's verifier accepted the proof that came with it.
    Signed,
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Asserted => "asserted",
            Self::Signed => "signed",
        })
    }
}

/// An approval that counted, and how much it is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// The approval.
    pub approval: Approval,
    /// Its worth.
    pub standing: Standing,
}

/// A plan that enough of the right people approved. It cannot be deserialised: only [`approve`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovedPlan {
    plan: Arc<Plan>,
    /// The digest of its envelope.
    digest: String,
    approvals: Vec<Counted>,
    at: Timestamp,
}

impl ApprovedPlan {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The plan, for whoever holds it on. It may be large, so nobody copies it.
    #[cfg(feature = "sqlite")]
    pub(crate) fn shared(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The digest of its envelope. It may be large, so nobody writes it twice for that.
    #[cfg(feature = "sqlite")]
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// The approvals that counted.
    #[must_use]
    pub fn approvals(&self) -> &[Counted] {
        &self.approvals
    }

    /// When they were counted.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

impl Plan {
    /// One person's approval of this plan's envelope, given at `at`.
    ///
    /// # Errors
    /// As [`Envelope::digest`](crate::plan::Envelope::digest).
    pub fn approval(&self, by: impl Into<PersonId>, at: Timestamp) -> Result<Approval> {
        Ok(Approval {
            schema: Approval::SCHEMA.to_owned(),
            envelope: self.envelope.digest()?,
            by: by.into(),
            at,
            comment: None,
            proof: None,
        })
    }
}

/// Accepts or refuses the proof of an approval.
pub type Verifier<'a> = &'a dyn Fn(&Approval) -> Result<()>;

/// Counts approvals. Each counts as *asserted*, whatever proof came with it.
///
/// # Errors
/// As [`approve_verified`].
pub fn approve(
    plan: Plan,
    approvals: impl IntoIterator<Item = Approval>,
    now: Timestamp,
) -> Result<ApprovedPlan> {
    count(
        Arc::new(plan),
        approvals
            .into_iter()
            .map(|a| (a, Standing::Asserted))
            .collect(),
        now,
    )
}

/// Counts approvals whose proof the embedder can verify: those count as *signed*, those without as *asserted*.
///
/// # Errors
/// - `NotApproved`: too few approvals, or by people whom the policy does not name; or the plan cannot run as it is.
/// - `ApprovalMismatch`: given to another envelope, or before this plan was made.
/// - `SelfApproved`: by the requester.
/// - `ApprovalExpired`: the plan is too old.
/// - the verifier's own error for a proof it refuses.
pub fn approve_verified(
    plan: Plan,
    approvals: impl IntoIterator<Item = Approval>,
    now: Timestamp,
    verify: Verifier<'_>,
) -> Result<ApprovedPlan> {
    let mut counted = Vec::new();
    for approval in approvals {
        let standing = match &approval.proof {
            Some(_) => {
                verify(&approval)?;
                Standing::Signed
            }
            None => Standing::Asserted,
        };
        counted.push((approval, standing));
    }
    count(Arc::new(plan), counted, now)
}

/// Counts again what a journal kept: same plan, same approvals, same time, same answer.
#[cfg(feature = "sqlite")]
pub(crate) fn recount(
    plan: Arc<Plan>,
    approvals: Vec<Counted>,
    at: Timestamp,
) -> Result<ApprovedPlan> {
    count(
        plan,
        approvals
            .into_iter()
            .map(|c| (c.approval, c.standing))
            .collect(),
        at,
    )
}

fn count(
    plan: Arc<Plan>,
    approvals: Vec<(Approval, Standing)>,
    now: Timestamp,
) -> Result<ApprovedPlan> {
    let envelope = &plan.envelope;
    let refuse = |kind, what: String| {
        Err(Error::new(kind, format!("plan {}: {what}", plan.id()))
            .operation("approve")
            .consequence("nothing was started"))
    };
    if let Some(remark) = plan
        .remarks
        .iter()
        .find(|r| r.severity == Severity::CannotRun)
    {
        return refuse(
            ErrorKind::NotApproved,
            format!("it cannot run as it is: {}", remark.text),
        )
        .map_err(|e: Error| e.hint("mend the policy and plan again"));
    }
    if now >= envelope.expires {
        return refuse(
            ErrorKind::ApprovalExpired,
            "it is too old to be approved".to_owned(),
        )
        .map_err(|e: Error| {
            e.expected(format!(
                "an approval before {}",
                time_words(envelope, envelope.expires)
            ))
            .found(time_words(envelope, now))
            .hint("plan again and have the new plan approved")
        });
    }
    let digest = envelope.digest()?;
    let rules = &envelope.approval;
    let names: Vec<&str> = rules
        .from
        .iter()
        .filter(|p| **p != envelope.requested_by)
        .map(PersonId::as_str)
        .collect();
    let mut people = BTreeSet::new();
    let mut counted = Vec::new();
    for (approval, standing) in approvals {
        if approval.envelope != digest {
            return refuse(
                ErrorKind::ApprovalMismatch,
                format!("{} approved another plan", approval.by),
            )
            .map_err(|e: Error| {
                e.expected(format!("envelope {}", &digest[..8]))
                    .found(format!(
                        "envelope {}",
                        approval.envelope.get(..8).unwrap_or(&approval.envelope)
                    ))
                    .hint(format!(
                        "show {} this plan and have it approved",
                        approval.by
                    ))
            });
        }
        if approval.at < envelope.made || approval.at > now {
            return refuse(
                ErrorKind::ApprovalMismatch,
                format!("{}'s approval has an impossible time", approval.by),
            )
            .map_err(|e: Error| {
                e.expected(format!(
                    "between {} (when the plan was made) and {} (now)",
                    time_words(envelope, envelope.made),
                    time_words(envelope, now)
                ))
                .found(time_words(envelope, approval.at))
                .hint("compare the clocks of the two machines, then have it approved again")
            });
        }
        if approval.by == envelope.requested_by {
            return refuse(
                ErrorKind::SelfApproved,
                format!("{} asked for it and cannot approve it", approval.by),
            )
            .map_err(|e: Error| e.hint(format!("have it approved by {}", names.join(" or "))));
        }
        if !rules.from.contains(&approval.by) {
            return refuse(
                ErrorKind::NotApproved,
                format!("{} may not approve it", approval.by),
            )
            .map_err(|e: Error| {
                e.expected(format!("an approval by one of: {}", names.join(", ")))
                    .found(approval.by.to_string())
                    .hint(format!(
                        "have it approved by {}, or name {} in from of [approval] and plan again",
                        names.join(" or "),
                        approval.by
                    ))
            });
        }
        if people.insert(approval.by.clone()) {
            counted.push(Counted { approval, standing });
        }
    }
    if people.len() < rules.needs.max(1) as usize {
        let others: Vec<&str> = rules
            .from
            .iter()
            .filter(|p| !people.contains(*p) && **p != envelope.requested_by)
            .map(PersonId::as_str)
            .collect();
        return refuse(ErrorKind::NotApproved, "it is not approved".to_owned()).map_err(
            |e: Error| {
                e.expected(format!(
                    "approvals by {} of: {}",
                    rules.needs.max(1),
                    names.join(", ")
                ))
                .found(match people.len() {
                    0 => "none".to_owned(),
                    _ => people
                        .iter()
                        .map(PersonId::as_str)
                        .collect::<Vec<_>>()
                        .join(", "),
                })
                .hint(format!("have it approved by {}", others.join(" or ")))
            },
        );
    }
    Ok(ApprovedPlan {
        plan,
        digest,
        approvals: counted,
        at: now,
    })
}
