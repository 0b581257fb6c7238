//! Who logs in, with which rights, and whom the vCenter reaches.

use patchcore::{ErrorKind, Result};
use patchcore_vsphere::VCenter;
use serde_json::json;

use super::{super::seen::Seen, Scene, Trouble, blocked_lines, blockers, host, kinds};

pub(crate) async fn wrong_password() -> Result<Seen> {
    let scene = match Scene::with(Trouble::new())? {
        Ok(scene) => scene,
        Err(skipped) => return Ok(skipped),
    };
    let answer = VCenter::connect(scene.config("not-the-password")?).await;
    let shown = answer.as_ref().err().map(|error| format!("{error:?}"));
    let shown = shown.unwrap_or_default();
    Ok(Seen::refused(answer, ErrorKind::AuthzDenied)
        .says(&["administrator@vsphere.local", "password"])
        .proves(
            "it does not show the password",
            !shown.contains("not-the-password"),
        )
        .and(scene.told("")?))
}

pub(crate) async fn missing_rights() -> Result<Seen> {
    let lacks = json!({"missing": ["Host.Config.Maintenance", "Resource.HotMigrate", "VirtualMachine.Interact.Suspend"]});
    let scene = match Scene::with(vec![("rights", lacks)])? {
        Ok(scene) => scene,
        Err(skipped) => return Ok(skipped),
    };
    let (plan, _) = scene.attempt().await?;
    let all = (0..3).all(|n| kinds(&plan, &host(n)) == [ErrorKind::Unhealthy]);
    Ok(scene
        .told(&blocked_lines(&plan))?
        .failure(blockers(&plan, &host(0)).first(), ErrorKind::Unhealthy)
        .says(&["lacks the rights Host.Config.Maintenance, Resource.HotMigrate"])
        .proves("it stands at every host", all)
        .proves(
            "a right that this plan does not need is not asked for",
            !plan.to_string().contains("Suspend"),
        ))
}

pub(crate) async fn nothing_may_be_read() -> Result<Seen> {
    let refused = json!({"method": "RetrievePropertiesEx", "fault": "NoPermission"});
    let scene = match Scene::with(vec![("rules", refused)])? {
        Ok(scene) => scene,
        Err(skipped) => return Ok(skipped),
    };
    let answer = scene.attempt().await;
    Ok(Seen::refused(answer, ErrorKind::AuthzDenied).and(scene.told("")?))
}

/// The login ended and nothing else happened: it is renewed, and nobody notices.
pub(crate) async fn login_that_ended() -> Result<Seen> {
    let scene = match Scene::with(Trouble::new())? {
        Ok(scene) => scene,
        Err(skipped) => return Ok(skipped),
    };
    let cluster = scene.connected().await?;
    scene.tell("end-sessions", json!({}))?;
    let plan = scene.planned(&cluster).await?;
    let text = plan.to_string();
    let line = text.lines().find(|line| line.contains(" found = "));
    Ok(scene
        .told(line.unwrap_or_default())?
        .says(&["3 planned"])
        .proves("it logged in again by itself", scene.logins()? > 2))
}

/// The login ended, and by now somebody changed the password.
pub(crate) async fn login_that_cannot_be_renewed() -> Result<Seen> {
    let scene = match Scene::with(Trouble::new())? {
        Ok(scene) => scene,
        Err(skipped) => return Ok(skipped),
    };
    let cluster = scene.connected().await?;
    scene.tell("end-sessions", json!({}))?;
    for (method, fault) in [
        ("Login", "InvalidLogin"),
        ("session.login", "UNAUTHENTICATED"),
    ] {
        scene.tell("rules", json!({"method": method, "fault": fault}))?;
    }
    let answer = scene.planned(&cluster).await;
    Ok(Seen::refused(answer, ErrorKind::AuthzDenied)
        .says(&["InvalidLogin"])
        .and(scene.told("")?))
}

pub(crate) async fn host_that_does_not_respond() -> Result<Seen> {
    let gone = |n: u32| {
        let set = json!({"connectionState": "notResponding"});
        ("host", json!({"name": host(n), "set": set}))
    };
    let scene = match Scene::with(vec![gone(1), gone(2)])? {
        Ok(scene) => scene,
        Err(skipped) => return Ok(skipped),
    };
    let (plan, _) = scene.attempt().await?;
    let both = [1, 2]
        .iter()
        .all(|n| kinds(&plan, &host(*n)).contains(&ErrorKind::Unhealthy));
    Ok(scene
        .told(&blocked_lines(&plan))?
        .failure(blockers(&plan, &host(1)).first(), ErrorKind::Unhealthy)
        .says(&[
            "vCenter has no connection to it",
            "10 found = 1 planned + 7 not covered + 2 blocked",
        ])
        .proves("both are named", both)
        .proves(
            "the other one is planned",
            plan.envelope.target(&host(0).into()).is_some(),
        ))
}

pub(crate) async fn held_by_another() -> Result<Seen> {
    let by = |n: u32, user: &str| ("host", json!({"name": host(n), "by": user}));
    let mut scene = match Scene::with(vec![by(0, "maria"), by(1, "jon")])? {
        Ok(scene) => scene,
        Err(skipped) => return Ok(skipped),
    };
    scene.until(&[host(0), host(1)]).await?;
    scene.begins()?;
    let (plan, _) = scene.attempt().await?;
    let both = [0, 1]
        .iter()
        .all(|n| kinds(&plan, &host(*n)) == [ErrorKind::Unhealthy]);
    Ok(scene
        .told(&blocked_lines(&plan))?
        .failure(blockers(&plan, &host(0)).first(), ErrorKind::Unhealthy)
        .says(&[
            "it is in maintenance mode, by maria",
            "it is in maintenance mode, by jon",
        ])
        .proves("both are named", both)
        .proves(
            "the other one is planned",
            plan.envelope.target(&host(2).into()).is_some(),
        ))
}
