//! What is held around a change: made sure as any operation, and believed when it is read back.

use std::sync::Arc;

use super::{
    ensure::{self, Ask, Pause, READ_DEADLINE, Record},
    kernel::{OpResult, OpState, Step},
    patience::Patience,
    port::Port,
    supervise::{Caller, contained},
};
use crate::{
    clock::later,
    error::{Error, ErrorKind, Failure, Result},
    id::{ComponentId, OpKey, ProviderName},
    mutant::{self, Mutant},
    provider::{Bracket, BracketRequest, Holding, OpContext, PortRequest, Progress},
};

/// Who holds a bracket and does not answer is asked again for this long: it is no part of what is patched, and a
/// component waits for it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5 * 60);

/// Makes sure that something is taken or given back. What is taken is read back, whatever its tool says.
///
/// # Errors
/// The journal's only: then nothing more may happen.
pub(super) async fn ensure(
    port: &Arc<dyn Bracket>,
    by: ProviderName,
    caller: &Caller,
    ctx: &OpContext,
    (step, key, request): (Step, OpKey, BracketRequest),
    journaled: Option<Box<OpState>>,
    to: &impl Record,
) -> Result<OpResult> {
    let give_back_by = match &request {
        BracketRequest::Take { at_least, .. } => Some(later(ctx.now(), *at_least)),
        BracketRequest::GiveBack { .. } => None,
    };
    let ask = Ask {
        step,
        key: key.clone(),
        subject: subject(&request)?,
        request: request.clone(),
        journaled,
        give_back_by,
        around: Vec::new(),
    };
    let result = ensure::ensure(&Port::bracket(by, Arc::clone(port)), caller, ctx, ask, to).await?;
    let takes = matches!(request, BracketRequest::Take { .. });
    if !(takes && matches!(result, OpResult::Done(_))) {
        return Ok(result);
    }
    Ok(match held(port, caller, ctx, &request, &key).await {
        Ok(()) => result,
        Err(error) => OpResult::Failed(vec![Failure::from(&error)]),
    })
}

fn subject(request: &BracketRequest) -> Result<ComponentId> {
    request.subjects().pop_first().ok_or_else(|| {
        Error::new(
            ErrorKind::JournalDamaged,
            "a request to a bracket names no component",
        )
    })
}

/// What must be held when a change begins: a run that was paused, or whose process died, may be late.
#[derive(Debug)]
pub(super) struct Around {
    pub(super) port: Arc<dyn Bracket>,
    pub(super) caller: Caller,
    /// How it is given back.
    pub(super) request: BracketRequest,
    /// The operation that took it.
    pub(super) taken: OpKey,
}

impl Around {
    /// Asks whether it is there.
    ///
    /// # Errors
    /// As [`held`].
    pub(super) async fn is_held(&self, ctx: &OpContext) -> Result<()> {
        held(&self.port, &self.caller, ctx, &self.request, &self.taken).await
    }
}

/// Asks whether what an operation took is there.
///
/// # Errors
/// `VerifyFailed`: it is not. Else that nobody could say.
async fn held(
    port: &Arc<dyn Bracket>,
    caller: &Caller,
    ctx: &OpContext,
    request: &BracketRequest,
    taken: &OpKey,
) -> Result<()> {
    if mutant::is(Mutant::HeldNotRead) {
        return Ok(());
    }
    let (subject, kind) = (subject(request)?, request.kind());
    let mut patience = Patience::of(ctx, PATIENCE);
    let mut pause = Pause::new();
    loop {
        let (asked, port, taken) = ([subject.clone()], Arc::clone(port), taken.clone());
        let what = format!("reading back of what is held around {subject}");
        let reading = caller.call(&what, ctx, READ_DEADLINE, |ctx| async move {
            port.held(&ctx, kind, &taken, &asked).await
        });
        let answer = contained(reading).await.and_then(|answer| answer);
        let answer = answer.and_then(|mut answers| {
            answers.remove(&subject).unwrap_or_else(|| {
                Err(Error::new(
                    ErrorKind::ProviderFault,
                    format!("what is held is read back without {subject}"),
                ))
            })
        });
        match answer {
            Ok(Holding::Held(_)) => return Ok(()),
            Ok(Holding::NotHeld { found }) => {
                return Err(Error::new(
                    ErrorKind::VerifyFailed,
                    format!("{}, and is not there", kind.taken_words()),
                )
                .expected(kind.held_words())
                .found(found)
                .hint("look whether somebody else ended it, and plan again"));
            }
            Err(error) if error.is_retryable() && !patience.is_over() => {
                ctx.progress(Progress::message(error.chain()));
                ctx.sleep(pause.next(error.retry())).await;
            }
            Err(error) => return Err(error),
        }
    }
}
