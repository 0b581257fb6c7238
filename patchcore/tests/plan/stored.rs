//! Plans and approvals in files.

use std::fs;

use patchcore::{ErrorKind, approve::Approval, plan::Plan};

use crate::rich_estate::{NOW, POLICY, at, planned, rich};

#[test]
fn what_is_saved_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let plan = planned(&rich(), POLICY);
    let path = folder.path().join("plan.json");
    plan.save(&path).unwrap();
    plan.save(&path).unwrap();
    let loaded = Plan::load(&path).unwrap();
    assert_eq!(loaded, plan);
    assert_eq!(loaded.id(), plan.id());
    assert_eq!(loaded.to_string(), plan.to_string());

    let approval = plan
        .approval("maria", at(NOW))
        .unwrap()
        .with_comment("read it twice");
    let path = folder.path().join("maria.json");
    approval.save(&path).unwrap();
    assert_eq!(Approval::load(&path).unwrap(), approval);
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "nothing is left beside them: {names:?}");
}

#[test]
fn what_is_no_plan_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    let plan = planned(&rich(), POLICY).to_json().unwrap();
    let newer = plan.replace("patchcore.plan/1", "patchcore.plan/2");
    for (text, kind, part) in [
        (None, ErrorKind::NotFound, "could not be read"),
        (Some("{"), ErrorKind::InvalidInput, "it is not JSON"),
        (Some("{}"), ErrorKind::InvalidInput, "it names no schema"),
        (
            Some(&*newer),
            ErrorKind::InvalidInput,
            "expected patchcore.plan/1 but found patchcore.plan/2",
        ),
        (
            Some(r#"{"schema":"patchcore.plan/1"}"#),
            ErrorKind::InvalidInput,
            "a part of it cannot be read",
        ),
    ] {
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let error = Plan::load(&path).unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let approval = Approval::load(&path).unwrap_err();
    assert!(
        approval
            .to_string()
            .contains("expected patchcore.approval/1"),
        "{approval}"
    );
    let nowhere = folder.path().join("no/such/folder.json");
    let error = planned(&rich(), POLICY).save(&nowhere).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!nowhere.exists());
}

#[test]
fn one_changed_byte_voids_an_approval() {
    let plan = planned(&rich(), POLICY);
    let approval = plan.approval("maria", at(NOW)).unwrap();
    let mut other = plan.clone();
    other.envelope.rings[0].at_once += 1;
    let error = patchcore::approve::approve(other, [approval.clone()], at(NOW)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ApprovalMismatch);
    patchcore::approve::approve(plan, [approval], at(NOW)).unwrap();
}
