//! Properties of many objects, in pages.

use patchcore::Result;

use super::{
    VCenter,
    soap::{Broken, Call, Element, Fault, MoRef, Node},
    unreadable,
};

/// Objects in one answer: of them a page is held as a tree at a time.
const PAGE: u32 = 500;

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
        let itself = Node::of(
            "objectSet",
            [Node::moref("obj", object), Node::truth("skip", false)],
        );
        let call = request(&self.service().properties, &object.kind, paths, itself);
        let answer = self.call(&call).await?;
        let broken = |broken| unreadable(&format!("properties of {object:?}"), broken);
        answer
            .children
            .into_iter()
            .next()
            .and_then(|page| {
                page.children
                    .into_iter()
                    .find(|part| &*part.name == "objects")
            })
            .ok_or(Broken::NotSoap("the object"))
            .and_then(found)
            .map_err(broken)
    }

    async fn pages<T>(
        &self,
        container: &MoRef,
        wanted: Wanted,
        all: &mut T,
        take: &mut impl FnMut(&mut T, Found) -> Result<(), Broken>,
    ) -> Result<Result<(), Fault>> {
        let view = Call::new("CreateContainerView", &self.service().views)
            .with(Node::moref("container", container))
            .with(Node::text("type", wanted.kind))
            .with(Node::truth("recursive", true));
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
            // Nothing at all is answered by nothing at all.
            let Some(page) = answer.children.into_iter().next() else {
                break Ok(());
            };
            let mut token = None;
            for part in page.children {
                match &*part.name {
                    "objects" => take(all, found(part).map_err(broken)?).map_err(broken)?,
                    "token" => token = Some(part.text.into_string()),
                    _ => {}
                }
            }
            match token {
                Some(token) => {
                    call = Call::new("ContinueRetrievePropertiesEx", &self.service().properties)
                        .with(Node::text("token", token));
                }
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
    let members = Node::of(
        "selectSet",
        [
            Node::text("name", "members"),
            Node::text("type", "ContainerView"),
            Node::text("path", "view"),
            Node::truth("skip", false),
        ],
    )
    .typed("TraversalSpec");
    let all = Node::of(
        "objectSet",
        [Node::moref("obj", view), Node::truth("skip", true), members],
    );
    request(collector, wanted.kind, wanted.paths, all)
}

fn request(collector: &MoRef, kind: &str, paths: &[&'static str], objects: Node) -> Call {
    let properties = [
        Node::text("type", kind.to_owned()),
        Node::truth("all", false),
    ]
    .into_iter()
    .chain(paths.iter().map(|path| Node::text("pathSet", *path)));
    Call::new("RetrievePropertiesEx", collector)
        .with(Node::of(
            "specSet",
            [Node::of("propSet", properties), objects],
        ))
        .with(Node::of("options", [Node::number("maxObjects", PAGE)]))
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
