//! Machines that cannot leave their host, and clusters that somebody else patches.

use patchcore::{ErrorKind, Result, plan::roll::Certificate};
use patchcore_vsphere::WhyPinned;
use serde_json::{Value, json};

use super::{
    super::seen::Seen, CLUSTER, Scene, blocked_lines, blockers, host, kinds, machine, no_roll,
};

/// Machines stay, each for these reasons: no roll is planned, and all of them are named.
async fn stays(
    trouble: Vec<(&'static str, Value)>,
    expect: &[(u32, &[WhyPinned])],
) -> Result<Seen> {
    let scene = match Scene::with(trouble)? {
        Ok(scene) => scene,
        Err(skipped) => return Ok(skipped),
    };
    let (plan, read) = scene.attempt().await?;
    let (said, proof) = no_roll(&plan, &read)?;
    let named = expect.iter().all(|(vm, whys)| {
        let of = read
            .pinned
            .iter()
            .filter(|pinned| pinned.vm == *machine(*vm));
        of.map(|pinned| &pinned.why).eq(*whys)
    });
    let all: usize = expect.iter().map(|(_, whys)| whys.len()).sum();
    Ok(scene
        .told(&said)?
        .says(&["no roll patches every host", "cannot be emptied"])
        .proves(
            "all reasons are named, with their types",
            named && read.pinned.len() == all,
        )
        .proves(
            "the refusal is a proof",
            matches!(proof, Some(Certificate::PinnedNoPolicy { .. })),
        ))
}

pub(crate) async fn question() -> Result<Seen> {
    let asks = |n: u32| ("machine", json!({"name": machine(n), "question": true}));
    let bound = ("machine", json!({"name": machine(1), "cpu_affinity": true}));
    let whys: &[(u32, &[WhyPinned])] = &[
        (0, &[WhyPinned::Question]),
        (1, &[WhyPinned::Question, WhyPinned::CpuAffinity]),
    ];
    stays(vec![asks(0), asks(1), bound], whys).await
}

pub(crate) async fn datastore() -> Result<Seen> {
    let local = ("store", json!({"name": "LocalDS_0", "shared": false}));
    let why = [WhyPinned::LocalStorage {
        datastore: "LocalDS_0".to_owned(),
    }];
    let whys: Vec<(u32, &[WhyPinned])> = (0..6).map(|n| (n, &why[..])).collect();
    stays(vec![local], &whys).await
}

/// Two of the machines are on each host.
pub(crate) async fn no_vmotion() -> Result<Seen> {
    let set = json!({"summary.config.vmotionEnabled": false});
    let off = ("host", json!({"name": host(0), "set": set}));
    let whys: &[(u32, &[WhyPinned])] =
        &[(0, &[WhyPinned::NoVmotion]), (3, &[WhyPinned::NoVmotion])];
    stays(vec![off], whys).await
}

/// Every host is blocked for these reasons, and nothing is planned.
async fn blocked(
    trouble: Vec<(&'static str, Value)>,
    expect: &[ErrorKind],
    says: &[&str],
) -> Result<Seen> {
    let scene = match Scene::with(trouble)? {
        Ok(scene) => scene,
        Err(skipped) => return Ok(skipped),
    };
    let (plan, _) = scene.attempt().await?;
    let all = (0..3).all(|n| kinds(&plan, &host(n)) == expect);
    Ok(scene
        .told(&blocked_lines(&plan))?
        .failure(blockers(&plan, &host(0)).first(), expect[0])
        .says(says)
        .says(&["3 blocked"])
        .proves("everything stands at every host", all))
}

pub(crate) async fn no_image() -> Result<Seen> {
    let baselines = ("image", json!({"cluster": CLUSTER, "managed": false}));
    blocked(
        vec![baselines],
        &[ErrorKind::Unsupported],
        &[
            "cluster DC0_C0 is not managed by an image",
            "baselines are not supported",
        ],
    )
    .await
}

pub(crate) async fn cloud_foundation() -> Result<Seen> {
    let registered = ("extension", json!({"key": "com.vmware.sddcManager"}));
    blocked(
        vec![registered],
        &[ErrorKind::Unhealthy],
        &["VMware Cloud Foundation manages its vCenter"],
    )
    .await
}

pub(crate) async fn all_at_once() -> Result<Seen> {
    let gone = |n: u32| {
        let set = json!({"connectionState": "notResponding"});
        ("host", json!({"name": host(n), "set": set}))
    };
    blocked(
        vec![
            gone(0),
            gone(1),
            gone(2),
            ("image", json!({"cluster": CLUSTER, "managed": false})),
            ("extension", json!({"key": "com.vmware.sddcManager"})),
            ("rights", json!({"missing": ["Resource.HotMigrate"]})),
        ],
        &[
            ErrorKind::Unsupported,
            ErrorKind::Unhealthy,
            ErrorKind::Unhealthy,
            ErrorKind::Unhealthy,
        ],
        &[
            "vCenter has no connection to it",
            "not managed by an image",
            "VMware Cloud Foundation",
            "lacks the right Resource.HotMigrate",
        ],
    )
    .await
}
