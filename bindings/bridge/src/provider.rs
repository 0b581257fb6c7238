//! A provider that is written in another language, the short way: the arguments are owned, because nothing borrowed
//! can cross.

use std::{collections::BTreeMap, fmt::Debug, sync::Mutex, sync::PoisonError, time::Duration};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result,
    estate::{Patch, PatchChange, PatchClass, Sighting},
    id::ComponentId,
    provider::{Installed, OpContext, SimpleProvider},
};

/// [`SimpleProvider`] with owned arguments: each call gets the component as the provider listed it.
#[async_trait]
pub trait ForeignProvider: Debug + Send + Sync + 'static {
    /// As [`SimpleProvider::quiet_after`].
    fn quiet_after(&self) -> Option<Duration>;

    /// As [`SimpleProvider::patch_class`].
    fn patch_class(&self) -> PatchClass;

    /// As [`SimpleProvider::components`]; `now` is when they are seen.
    ///
    /// # Errors
    /// The other language's.
    async fn components(&self, now: patchcore::Timestamp) -> Result<Vec<Sighting>>;

    /// As [`SimpleProvider::available`].
    ///
    /// # Errors
    /// The other language's.
    async fn available(&self, component: Sighting) -> Result<Vec<Patch>>;

    /// As [`SimpleProvider::scan`].
    ///
    /// # Errors
    /// The other language's.
    async fn scan(&self, component: Sighting) -> Result<Installed>;

    /// As [`SimpleProvider::apply`].
    ///
    /// # Errors
    /// The other language's.
    async fn apply(&self, component: Sighting, change: PatchChange) -> Result<()>;
}

/// Makes a [`SimpleProvider`] of a foreign one. It remembers what was listed, and lists again where a component is
/// asked for that it has not seen: a process that takes a run over begins without a listing.
#[derive(Debug)]
pub struct Foreign<P> {
    provider: P,
    seen: Mutex<BTreeMap<ComponentId, Sighting>>,
}

impl<P: ForeignProvider> Foreign<P> {
    /// Of a provider.
    pub const fn new(provider: P) -> Self {
        Self {
            provider,
            seen: Mutex::new(BTreeMap::new()),
        }
    }

    async fn list(&self, ctx: &OpContext) -> Result<Vec<Sighting>> {
        let listed = self.provider.components(ctx.now()).await?;
        let seen = listed.iter().map(|s| (s.component.clone(), s.clone()));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen.collect();
        Ok(listed)
    }

    fn known(&self, component: &ComponentId) -> Option<Sighting> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(component).cloned()
    }

    async fn sighting(&self, ctx: &OpContext, component: &ComponentId) -> Result<Sighting> {
        if let Some(known) = self.known(component) {
            return Ok(known);
        }
        self.list(ctx).await?;
        self.known(component).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("{component} is not among the components of its provider"),
            )
            .context("component", component.to_string())
        })
    }
}

#[async_trait]
impl<P: ForeignProvider> SimpleProvider for Foreign<P> {
    fn quiet_after(&self) -> Option<Duration> {
        self.provider.quiet_after()
    }

    fn patch_class(&self) -> PatchClass {
        self.provider.patch_class()
    }

    async fn components(&self, ctx: &OpContext) -> Result<Vec<Sighting>> {
        self.list(ctx).await
    }

    async fn available(&self, ctx: &OpContext, component: &ComponentId) -> Result<Vec<Patch>> {
        let sighting = self.sighting(ctx, component).await?;
        self.provider.available(sighting).await
    }

    async fn scan(&self, ctx: &OpContext, component: &ComponentId) -> Result<Installed> {
        let sighting = self.sighting(ctx, component).await?;
        self.provider.scan(sighting).await
    }

    async fn apply(
        &self,
        ctx: &OpContext,
        component: &ComponentId,
        change: &PatchChange,
    ) -> Result<()> {
        let sighting = self.sighting(ctx, component).await?;
        self.provider.apply(sighting, change.clone()).await
    }
}
