//! What a key stands for: one effect, found again by anybody, and never taken for another's.

use patchcore::provider::{Begun, Guarantee, Located, Op};

use crate::{
    bench::Bench,
    check::{Checked, Verdict, demand, fault},
    drive::{Outcome, Started, knows_operations, result_of, results},
};

pub(in crate::conformance) async fn operations_begin_twice_has_one_effect(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let change = bench.change()?;
    let component = &change.component;
    let op = bench.prepared_apply(&on).await?;
    if !matches!(on.deployer()?.guarantee(&op), Guarantee::Keyed { .. }) {
        return Err(Verdict::NotClaimed("keyed operations".to_owned()));
    }
    let (op, _) = bench.carry_out(&on, op).await.settled()?;
    // Somebody puts the old version back: a second effect would be seen, and `from` is no obstacle to it.
    bench.put_back().await?;
    let before = bench.look(component).await?;
    let after_crash = bench.connect().await?;
    match bench.carry_out(&after_crash, op).await {
        Outcome::Settled(..) => {}
        other => {
            return fault(format!(
                "a second begin under the key of a settled operation answered {other:?}"
            ));
        }
    }
    let after = bench.look(component).await?;
    demand(before.versions == after.versions, || {
        format!(
            "{component}: a second begin under one key had a second effect: {}",
            crate::bench::difference(&before, &after)
        )
    })
}

pub(in crate::conformance) async fn operations_key_with_other_content_is_refused(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let first = bench.prepared_apply(&on).await?;
    if !matches!(on.deployer()?.guarantee(&first), Guarantee::Keyed { .. }) {
        return Err(Verdict::NotClaimed("keyed operations".to_owned()));
    }
    let (first, _) = bench.carry_out(&on, first).await.settled()?;
    let change = match bench.stock.changes.get(1) {
        Some(other) => other.clone(),
        None => {
            bench.put_back().await?;
            let mut shorter = bench.change()?;
            shorter.patches.reverse();
            if shorter.patches.len() < 2 {
                return Err(Verdict::NotOffered("a second change".to_owned()));
            }
            shorter
        }
    };
    let component = change.component.clone();
    let request = bench.apply_request(&on, vec![change]).await?;
    let other = match bench
        .prepare(&on, bench.key(&component, "apply"), request)
        .await
    {
        Ok(op) => Op::new(first.key.clone(), op.request, op.baseline),
        Err(outcome) => return outcome.settled().map(|_| ()),
    };
    let before = bench.look_at_all().await?;
    let begun = on
        .deployer()?
        .begin(&bench.working(&on, &other.key), &other)
        .await;
    match begun {
        Ok(Begun::Refused(_)) => {}
        answer => {
            return fault(format!(
                "a key that stands for other content was begun again and answered {answer:?}"
            ));
        }
    }
    bench.untouched_since(&before, "a refused begin").await
}

pub(in crate::conformance) async fn operations_locate_of_what_never_began_finds_nothing(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let op = bench.prepared_apply(&on).await?;
    let blind = matches!(on.deployer()?.guarantee(&op), Guarantee::Blind);
    let elsewhere = bench.connect().await?;
    for process in [&on, &elsewhere] {
        match bench.locate(process, &op).await? {
            Ok(Located::NotFound) => {}
            Ok(Located::Unknown { .. }) if blind => {}
            answer => {
                return fault(format!(
                    "an operation that nobody began was located: {answer:?}"
                ));
            }
        }
    }
    Ok(())
}

pub(in crate::conformance) async fn operations_locate_finds_a_running_one_from_a_new_process(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let Started { op, .. } = bench.running_apply(&on).await?;
    if !knows_operations(&*on.deployer()?, &op) {
        return Err(Verdict::NotClaimed(
            "operations that can be found again".to_owned(),
        ));
    }
    drop(on);
    let after_crash = bench.connect().await?;
    match bench.locate(&after_crash, &op).await? {
        Ok(Located::Running(handle)) => {
            match bench.finish(&after_crash, Started { op, handle }).await {
                Outcome::Settled(..) => Ok(()),
                other => fault(format!(
                    "a running operation was found again and did not come to its result: {other:?}"
                )),
            }
        }
        // It may have ended in the meantime.
        Ok(Located::Settled(_)) => Ok(()),
        answer => fault(format!(
            "an operation that runs was not found from a new process: {answer:?}"
        )),
    }
}

pub(in crate::conformance) async fn operations_locate_finds_a_settled_one_from_a_new_process(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let (op, settled) = {
        let op = bench.prepared_apply(&on).await?;
        bench.carry_out(&on, op).await.succeeded()?
    };
    let blind = matches!(on.deployer()?.guarantee(&op), Guarantee::Blind);
    drop(on);
    let after_crash = bench.connect().await?;
    match bench.locate(&after_crash, &op).await? {
        Ok(Located::Settled(found)) => {
            for (component, was) in results(&settled) {
                let is = result_of(&found, component)?;
                demand(was.is_ok() == is.is_ok(), || {
                    format!("{component}: the result was {was:?} and is found as {is:?}")
                })?;
            }
            Ok(())
        }
        Ok(Located::Unknown { .. }) if blind => Ok(()),
        answer => fault(format!(
            "an operation that settled was not found from a new process: {answer:?}"
        )),
    }
}

pub(in crate::conformance) async fn operations_result_of_another_key_is_never_returned(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let change = bench.change()?;
    let component = &change.component;
    let older = bench.prepared_apply(&on).await?;
    bench.carry_out(&on, older).await.settled()?;
    bench.put_back().await?;
    let before = bench.look(component).await?;
    // The same content under a new key, as after a retry.
    let op = bench.prepared_apply(&on).await?;
    match bench.locate(&on, &op).await? {
        Ok(Located::Settled(settled)) => {
            return fault(format!(
                "{component}: a new key was located as settled before it was begun, by an older \
                 operation's result: {settled:?}"
            ));
        }
        Ok(Located::Running(handle)) => {
            return fault(format!(
                "{component}: a new key was located as running before it was begun: {handle:?}"
            ));
        }
        _ => {}
    }
    let (_, settled) = bench.carry_out(&on, op).await.settled()?;
    let after = bench.look(component).await?;
    let done = result_of(&settled, component)?.is_ok();
    demand(!done || before.versions != after.versions, || {
        format!(
            "{component}: a new key is called a success, and nothing went in: an older operation's \
             result was returned"
        )
    })
}

pub(in crate::conformance) async fn operations_handles_survive_json_and_a_new_process(
    bench: &Bench,
) -> Checked {
    let on = bench.connect().await?;
    let op = bench.prepared_apply(&on).await?;
    drop(on);
    let again = through_json(&op)?;
    demand(op == again, || {
        format!("the operation was {op:?} and is read back as {again:?}")
    })?;
    let second = bench.connect().await?;
    let Started { op, handle } = match bench.begin(&second, again).await {
        Ok(started) => started,
        // What is over at once needs no handle.
        Err(Outcome::Settled(..)) => return Ok(()),
        Err(other) => {
            return fault(format!(
                "an operation that another process prepared could not begin: {other:?}"
            ));
        }
    };
    drop(second);
    let again = through_json(&handle)?;
    demand(handle == again, || {
        format!("the handle was {handle:?} and is read back as {again:?}")
    })?;
    let third = bench.connect().await?;
    match bench.finish(&third, Started { op, handle: again }).await {
        Outcome::Settled(..) => Ok(()),
        other => fault(format!(
            "an operation that another process began was not found by its handle: {other:?}"
        )),
    }
}

fn through_json<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> Checked<T> {
    serde_json::to_string(value)
        .and_then(|text| serde_json::from_str(&text))
        .or_else(|e| fault(format!("it does not survive JSON: {e}")))
}
