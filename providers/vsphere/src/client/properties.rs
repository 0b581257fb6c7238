//! Properties of many objects, in pages.

use patchcore::{Result, Timestamp};

use super::{
    VCenter,
    soap::{Broken, Call, Element, Fault, MoRef, Node},
    unreadable,
};

/// Objects in one answer: of them a page is held as a tree at a time.
const PAGE: u32 = 500;

/// The same where few properties of each are read.
const FEW: u32 = 2500;

/// How often the whole is read anew when the session ended in its middle: views and tokens end with it.
const TRIES: u32 = 3;

/// Which properties of all objects of one type below a folder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) kind: &'static str,
    /// Narrow ones: some servers send what no client can read for a whole structure.
    pub(crate) paths: &'static [&'static str],
}

/// An object with what was asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) object: MoRef,
    /// By path; what an object does not have is not here.
    pub(crate) properties: Vec<(Box<str>, Element)>,
}

impl Found {
    pub(crate) fn get(&self, path: &str) -> Option<&Element> {
        self.properties
            .iter()
            .find(|(name, _)| &**name == path)
            .map(|(_, value)| value)
    }

    /// The text of a property; empty ones count as not there.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.get(path)
            .map(|value| &*value.text)
            .filter(|text| !text.is_empty())
    }

    /// Whether a property is true; empty ones count as not there.
    pub(crate) fn truth(&self, path: &str) -> Result<Option<bool>, Broken> {
        self.get(path)
            .filter(|value| !value.text.is_empty())
            .map(Element::truth)
            .transpose()
    }
}

impl VCenter {
    /// Reads `wanted` of every object of its type below `container`, and hands each to `take`; from the beginning, with
    /// a new `start`, where the session ended meanwhile.
    ///
    /// Works with servers that page and with those that do not.
    pub(crate) async fn collect<T>(
        &self,
        container: &MoRef,
        wanted: Wanted,
        start: impl Fn() -> T,
        mut take: impl FnMut(&mut T, Found) -> Result<(), Broken>,
    ) -> Result<T> {
        let mut tries = 1;
        loop {
            let mut all = start();
            match self.pages(container, wanted, &mut all, &mut take).await? {
                Ok(()) => return Ok(all),
                Err(fault) if tries < TRIES && ended(&fault) => tries += 1,
                Err(fault) => {
                    return Err(fault.into_error(&format!("properties of {}", wanted.kind)));
                }
            }
        }
    }

    /// Reads some properties of one object.
    pub(crate) async fn properties_of(
        &self,
        object: &MoRef,
        paths: &'static [&'static str],
    ) -> Result<Found> {
        let found = self.read(&[Of::object(object, paths)]).await?;
        let itself = found.into_iter().find(|found| found.object == *object);
        itself.ok_or_else(|| {
            unreadable(
                &format!("properties of {object:?}"),
                Broken::NotSoap("the object"),
            )
        })
    }

    /// Reads some properties of some objects, in one call where they fit into one answer.
    pub(crate) async fn read(&self, of: &[Of<'_>]) -> Result<Vec<Found>> {
        let named: Vec<String> = of.iter().map(|of| format!("{:?}", of.object)).collect();
        self.try_read(of)
            .await?
            .map_err(|fault| fault.into_error(&format!("properties of {}", named.join(", "))))
    }

    /// The same that hands out the server's own fault.
    pub(crate) async fn try_read(&self, of: &[Of<'_>]) -> Result<Result<Vec<Found>, Fault>> {
        self.dated_read(of).await.map(|(read, _)| read)
    }

    /// The same with the server's own time of its first answer.
    pub(crate) async fn dated_read(
        &self,
        of: &[Of<'_>],
    ) -> Result<(Result<Vec<Found>, Fault>, Option<Timestamp>)> {
        let call = request(&self.service().properties, of.iter().map(Of::spec));
        self.all_pages(call).await
    }

    async fn all_pages(
        &self,
        mut call: Call,
    ) -> Result<(Result<Vec<Found>, Fault>, Option<Timestamp>)> {
        let mut all = Vec::new();
        let mut date = None;
        loop {
            let answer = self.dated_call(&call).await?;
            date = date.or(answer.date);
            let page = match answer.outcome {
                Ok(answer) => answer.children.into_iter().next(),
                Err(fault) => return Ok((Err(fault), date)),
            };
            let take = |object: Found| {
                all.push(object);
                Ok(())
            };
            match token_of(page, take).map_err(|b| unreadable("properties", b))? {
                Some(token) => call = next(&self.service().properties, token),
                None => return Ok((Ok(all), date)),
            }
        }
    }

    /// Reads some properties of all objects of some types below a container, and some of others, in one call where they
    /// fit into one answer. They must be few: all of an answer is held as a tree.
    pub(crate) async fn read_below<const N: usize>(
        &self,
        container: &MoRef,
        wanted: [Wanted; N],
        of: &Of<'_>,
    ) -> Result<Vec<Found>> {
        let what = format!("what is below {container:?}");
        let mut tries = 1;
        loop {
            // A view lasts as long as the login.
            let known = self.0.views.lock().await.get(&container.id).cloned();
            let view = match known {
                Some(view) => view,
                None => {
                    let kinds = wanted.map(|wanted| wanted.kind);
                    let call = view_of(&self.service().views, container, kinds);
                    let made = self.try_call(&call).await?;
                    let made = made.map_err(|fault| fault.into_error(&what))?;
                    let view = made.child("returnval").ok_or(Broken::NotSoap("the view"));
                    let view = view.and_then(Element::moref);
                    let view = view.map_err(|broken| unreadable(&what, broken))?;
                    let mut views = self.0.views.lock().await;
                    views.insert(container.id.clone(), view.clone());
                    view
                }
            };
            let parts = wanted.iter().map(|w| properties(w.kind, w.paths));
            let mut parts: Vec<Node> = parts.collect();
            parts.push(traversed(&view, "ContainerView"));
            let specs = [Node::of("specSet", parts), of.spec()];
            let call = request_at_once(&self.service().properties, specs, FEW);
            match self.all_pages(call).await?.0 {
                Ok(found) => return Ok(found),
                Err(fault) if tries < TRIES && ended(&fault) => {
                    tries += 1;
                    self.0.views.lock().await.remove(&container.id);
                }
                Err(fault) => return Err(fault.into_error(&what)),
            }
        }
    }

    async fn pages<T>(
        &self,
        container: &MoRef,
        wanted: Wanted,
        all: &mut T,
        take: &mut impl FnMut(&mut T, Found) -> Result<(), Broken>,
    ) -> Result<Result<(), Fault>> {
        let view = view_of(&self.service().views, container, [wanted.kind]);
        let broken = |broken| unreadable(&format!("properties of {}", wanted.kind), broken);
        let view = match self.try_call(&view).await? {
            Ok(answer) => answer
                .child("returnval")
                .ok_or(Broken::NotSoap("the view"))
                .and_then(Element::moref)
                .map_err(broken)?,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut call = retrieve(&self.service().properties, &view, wanted);
        let outcome = loop {
            let answer = match self.try_call(&call).await? {
                Ok(answer) => answer,
                Err(fault) => break Err(fault),
            };
            let page = answer.children.into_iter().next();
            match token_of(page, |found| take(all, found)).map_err(broken)? {
                Some(token) => call = next(&self.service().properties, token),
                None => break Ok(()),
            }
        };
        if outcome.is_ok() {
            // What cannot be destroyed ends with the session.
            let _ = self.try_call(&Call::new("DestroyView", &view)).await?;
        }
        Ok(outcome)
    }
}

/// Whether what a read was built on ended with the session.
fn ended(fault: &Fault) -> bool {
    matches!(&*fault.kind, "ManagedObjectNotFound" | "NotAuthenticated")
        || &*fault.kind == "InvalidArgument"
            && fault.detail.text_of("invalidProperty") == Some("token")
}

fn retrieve(collector: &MoRef, view: &MoRef, wanted: Wanted) -> Call {
    let all = traversed(view, "ContainerView");
    let spec = Node::of("specSet", [properties(wanted.kind, wanted.paths), all]);
    request(collector, [spec])
}

/// All objects that a view of this type has, without the view itself.
pub(super) fn traversed(view: &MoRef, kind: &'static str) -> Node {
    let members = [
        Node::text("name", kind),
        Node::text("type", kind),
        Node::text("path", "view"),
        Node::truth("skip", false),
    ];
    Node::of(
        "objectSet",
        [
            Node::moref("obj", view),
            Node::truth("skip", true),
            Node::of("selectSet", members).typed("TraversalSpec"),
        ],
    )
}

/// Some properties of one object, and of those that one of its properties names.
#[derive(Debug)]
pub(crate) struct Of<'a> {
    object: &'a MoRef,
    paths: &'static [&'static str],
    each: Vec<(&'static str, &'static str, &'static [&'static str])>,
}

impl<'a> Of<'a> {
    pub(crate) fn object(object: &'a MoRef, paths: &'static [&'static str]) -> Self {
        Self {
            object,
            paths,
            each: Vec::new(),
        }
    }

    /// And `paths` of each object of type `kind` that its property `by` names.
    pub(crate) fn and_each(
        mut self,
        by: &'static str,
        kind: &'static str,
        paths: &'static [&'static str],
    ) -> Self {
        self.each.push((by, kind, paths));
        self
    }

    fn spec(&self) -> Node {
        let mut parts = Vec::new();
        if !self.paths.is_empty() {
            parts.push(properties(&self.object.kind, self.paths));
        }
        let mut objects = vec![
            Node::moref("obj", self.object),
            Node::truth("skip", self.paths.is_empty()),
        ];
        for (by, kind, paths) in &self.each {
            parts.push(properties(kind, paths));
            let of = [
                Node::text("name", *by),
                Node::text("type", self.object.kind.to_string()),
                Node::text("path", *by),
                Node::truth("skip", false),
            ];
            objects.push(Node::of("selectSet", of).typed("TraversalSpec"));
        }
        parts.push(Node::of("objectSet", objects));
        Node::of("specSet", parts)
    }
}

pub(super) fn properties(kind: &str, paths: &[&'static str]) -> Node {
    let paths = paths.iter().map(|path| Node::text("pathSet", *path));
    let of = [
        Node::text("type", kind.to_owned()),
        Node::truth("all", false),
    ];
    Node::of("propSet", of.into_iter().chain(paths))
}

fn request(collector: &MoRef, specs: impl IntoIterator<Item = Node>) -> Call {
    request_at_once(collector, specs, PAGE)
}

/// The call that makes a view of all objects of some types below a container.
pub(super) fn view_of<const N: usize>(
    manager: &MoRef,
    container: &MoRef,
    kinds: [&'static str; N],
) -> Call {
    let call = Call::new("CreateContainerView", manager).with(Node::moref("container", container));
    kinds
        .into_iter()
        .fold(call, |call, kind| call.with(Node::text("type", kind)))
        .with(Node::truth("recursive", true))
}

fn request_at_once(collector: &MoRef, specs: impl IntoIterator<Item = Node>, most: u32) -> Call {
    let call = Call::new("RetrievePropertiesEx", collector);
    specs
        .into_iter()
        .fold(call, Call::with)
        .with(Node::of("options", [Node::number("maxObjects", most)]))
}

fn next(collector: &MoRef, token: String) -> Call {
    Call::new("ContinueRetrievePropertiesEx", collector).with(Node::text("token", token))
}

/// Hands each object of a page to `take`; the token of the next page, where there is one.
pub(super) fn token_of(
    page: Option<Element>,
    mut take: impl FnMut(Found) -> Result<(), Broken>,
) -> Result<Option<String>, Broken> {
    let mut token = None;
    // Nothing at all is answered by nothing at all.
    for part in page.map(|page| page.children).unwrap_or_default() {
        match &*part.name {
            "objects" => take(found(part)?)?,
            "token" => token = Some(part.text.into_string()),
            _ => {}
        }
    }
    Ok(token)
}

fn found(object: Element) -> Result<Found, Broken> {
    let missing = |name: &str| Broken::Missing {
        inside: "objects".to_owned(),
        name: name.to_owned(),
    };
    let reference = object.child("obj").ok_or_else(|| missing("obj"))?.moref()?;
    let mut properties = Vec::with_capacity(object.children.len());
    for part in object.children {
        if &*part.name != "propSet" {
            continue;
        }
        let (mut name, mut value) = (None, None);
        for child in part.children {
            match &*child.name {
                "name" => name = Some(child.text),
                "val" => value = Some(child),
                _ => {}
            }
        }
        if let (Some(name), Some(value)) = (name, value) {
            properties.push((name, value));
        }
    }
    Ok(Found {
        object: reference,
        properties,
    })
}
