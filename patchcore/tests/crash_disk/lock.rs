//! The locks of that outside: a file for each guest, read and written under a lock of the operating system.

use std::{
    fs::{self, File},
    io::ErrorKind,
};

use async_trait::async_trait;
use patchcore::{
    Result,
    id::ComponentId,
    provider::{Claim, Held, OpContext, Taken, TargetLock},
};
use serde::{Deserialize, Serialize};

use super::{provider::Outside, world::World};

/// The lock of one guest.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// The number of the last holding.
    fence: u64,
    held: Option<Held>,
}

impl World {
    /// Looks at the lock of a guest, or changes it, while nobody else does.
    fn with_lock<T>(&self, guest: &str, change: impl FnOnce(&mut Kept) -> T) -> T {
        let folder = self.0.join("locks");
        fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.join(format!("{guest}.lock"))).unwrap();
        lock.lock().unwrap();
        let path = folder.join(guest);
        let mut kept = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).unwrap(),
            Err(error) if error.kind() == ErrorKind::NotFound => Kept::default(),
            Err(error) => panic!("{guest}: {error}"),
        };
        let result = change(&mut kept);
        fs::write(path, serde_json::to_string(&kept).unwrap()).unwrap();
        result
    }

    /// Does something for whoever comes with this fence, if it is still the guest's; else says which one is.
    pub(crate) fn admitted<T>(
        &self,
        guest: &str,
        fence: u64,
        act: impl FnOnce() -> T,
    ) -> std::result::Result<T, (u64, Option<Box<Held>>)> {
        self.with_lock(guest, |kept| {
            let admitted = match &kept.held {
                Some(held) => held.fence == fence,
                None => kept.fence <= fence,
            };
            match admitted {
                true => Ok(act()),
                false => Err((kept.fence, kept.held.clone().map(Box::new))),
            }
        })
    }
}

#[async_trait]
impl TargetLock for Outside {
    async fn take(&self, ctx: &OpContext, component: &ComponentId, claim: &Claim) -> Result<Taken> {
        let now = ctx.now();
        Ok(self.world.with_lock(component.as_str(), |kept| {
            let mut from = None;
            if let Some(held) = kept.held.take().map(|held| held.read_at(now)) {
                if held.claim.is_of(claim) {
                    let fence = held.fence;
                    kept.held = Some(held.with_seen(now));
                    return Taken::Ours { fence };
                }
                if !held.yields_to(claim) {
                    kept.held = Some(held.clone());
                    return Taken::HeldBy(held);
                }
                from = Some(held);
            }
            kept.fence += 1;
            let fence = kept.fence;
            kept.held = Some(Held::new(claim.clone(), fence, now));
            match from {
                Some(from) => Taken::TakenOver { fence, from },
                None => Taken::Ours { fence },
            }
        }))
    }

    async fn give_back(&self, _: &OpContext, component: &ComponentId, fence: u64) -> Result<()> {
        self.world.with_lock(component.as_str(), |kept| {
            if kept.held.as_ref().is_some_and(|held| held.fence == fence) {
                kept.held = None;
            }
        });
        Ok(())
    }

    async fn look(&self, ctx: &OpContext, component: &ComponentId) -> Result<Option<Held>> {
        let held = self
            .world
            .with_lock(component.as_str(), |kept| kept.held.clone());
        Ok(held.map(|held| held.read_at(ctx.now())))
    }
}
