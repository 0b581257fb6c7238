//! One call, written.

use std::borrow::Cow;

use quick_xml::escape::escape;

use super::MoRef;

/// A call of one method on one object. It cannot be printed: that of `Login` holds the password.
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) this: MoRef,
    pub(crate) arguments: Vec<Node>,
}

impl Call {
    pub(crate) fn new(method: &'static str, this: &MoRef) -> Self {
        Self {
            method,
            this: this.clone(),
            arguments: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, argument: Node) -> Self {
        self.arguments.push(argument);
        self
    }

    /// The whole request. Every text is escaped.
    pub(crate) fn envelope(&self) -> String {
        let mut out = String::with_capacity(1024);
        out.push_str(concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?>"#,
            r#"<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/""#,
            r#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance""#,
            r#" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><soapenv:Body>"#,
        ));
        out.push('<');
        out.push_str(self.method);
        out.push_str(r#" xmlns="urn:vim25">"#);
        Node::moref("_this", &self.this).write(&mut out);
        for argument in &self.arguments {
            argument.write(&mut out);
        }
        out.push_str("</");
        out.push_str(self.method);
        out.push_str("></soapenv:Body></soapenv:Envelope>");
        out
    }
}

enum Inside {
    Text(Cow<'static, str>),
    Children(Vec<Node>),
}

/// An element of a call. Names are words of this program; only texts come from outside.
pub(crate) struct Node {
    name: &'static str,
    /// The type of the object that a reference leads to.
    of: Option<Cow<'static, str>>,
    /// Which of the types that the schema allows here it is.
    typed: Option<&'static str>,
    inside: Inside,
}

impl Node {
    pub(crate) fn text(name: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name,
            of: None,
            typed: None,
            inside: Inside::Text(text.into()),
        }
    }

    pub(crate) fn number(name: &'static str, number: u32) -> Self {
        Self::text(name, number.to_string())
    }

    pub(crate) fn truth(name: &'static str, truth: bool) -> Self {
        Self::text(name, if truth { "true" } else { "false" })
    }

    pub(crate) fn moref(name: &'static str, to: &MoRef) -> Self {
        let mut node = Self::text(name, to.id.to_string());
        node.of = Some(Cow::Owned(to.kind.to_string()));
        node
    }

    pub(crate) fn of(name: &'static str, children: impl IntoIterator<Item = Self>) -> Self {
        Self {
            name,
            of: None,
            typed: None,
            inside: Inside::Children(children.into_iter().collect()),
        }
    }

    /// The same with the type that the schema only names as one of several.
    pub(crate) fn typed(mut self, name: &'static str) -> Self {
        self.typed = Some(name);
        self
    }

    fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(self.name);
        if let Some(of) = &self.of {
            out.push_str(" type=\"");
            out.push_str(&escape(of.as_ref()));
            out.push('"');
        }
        if let Some(typed) = self.typed {
            out.push_str(" xsi:type=\"");
            out.push_str(typed);
            out.push('"');
        }
        out.push('>');
        match &self.inside {
            Inside::Text(text) => out.push_str(&escape(text.as_ref())),
            Inside::Children(children) => children.iter().for_each(|child| child.write(out)),
        }
        out.push_str("</");
        out.push_str(self.name);
        out.push('>');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_become_markup() {
        let this = MoRef::new("HostSystem", "host-1\"/><x");
        let call = Call::new("Login", &this).with(Node::text("userName", "a</userName><b>&\"'"));
        let text = call.envelope();
        assert!(
            text.contains("<userName>a&lt;/userName&gt;&lt;b&gt;&amp;&quot;&apos;</userName>"),
            "{text}"
        );
        assert!(
            text.contains("<_this type=\"HostSystem\">host-1&quot;/&gt;&lt;x</_this>"),
            "{text}"
        );
    }

    #[test]
    fn a_typed_tree_is_written_in_order() {
        let this = MoRef::new("PropertyCollector", "propertyCollector");
        let call = Call::new("RetrievePropertiesEx", &this)
            .with(Node::of(
                "specSet",
                [Node::of("selectSet", [Node::truth("skip", false)]).typed("TraversalSpec")],
            ))
            .with(Node::of("options", [Node::number("maxObjects", 5)]));
        let text = call.envelope();
        assert!(text.contains(concat!(
            r#"<RetrievePropertiesEx xmlns="urn:vim25"><_this type="PropertyCollector">propertyCollector</_this>"#,
            r#"<specSet><selectSet xsi:type="TraversalSpec"><skip>false</skip></selectSet></specSet>"#,
            r#"<options><maxObjects>5</maxObjects></options></RetrievePropertiesEx>"#
        )), "{text}");
    }
}
