//! An answer, read: bounded in depth, and without a document type. Its length is bounded where it is received.

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use super::{Element, Fault};

/// Deeper than any type of vim25; a deeper answer is not one.
const DEEPEST: usize = 64;

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("no XML: {0}")]
    NotXml(String),
    #[error("{0} is not allowed in an answer")]
    NotAllowed(&'static str),
    #[error("no SOAP answer: {0} is missing")]
    NotSoap(&'static str),
    #[error("{inside} has no {name}")]
    Missing { inside: String, name: String },
    #[error("{name} is no {what} but {found:?}")]
    NotA {
        what: &'static str,
        name: String,
        found: String,
    },
}

/// The response element of an answer, or the fault that stands instead.
pub(crate) fn answer(text: &str) -> Result<Result<Element, Fault>, Broken> {
    let envelope = tree(text)?;
    if &*envelope.name != "Envelope" {
        return Err(Broken::NotSoap("Envelope"));
    }
    let body = envelope.child("Body").ok_or(Broken::NotSoap("Body"))?;
    // Taken out, not copied: it can hold ten thousand objects.
    let at = envelope
        .children
        .iter()
        .position(|child| std::ptr::eq(child, body));
    let mut envelope = envelope;
    let mut body = envelope.children.swap_remove(at.unwrap_or_default());
    if let Some(fault) = body.child("Fault") {
        return Ok(Err(Fault::of(fault)));
    }
    if body.children.is_empty() {
        return Err(Broken::NotSoap("what is in Body"));
    }
    Ok(Ok(body.children.swap_remove(0)))
}

/// The whole text as a tree.
pub(crate) fn tree(text: &str) -> Result<Element, Broken> {
    let wrong = |error: &dyn std::fmt::Display| Broken::NotXml(error.to_string());
    let mut reader = Reader::from_str(text);
    let mut open: Vec<(Element, String)> = Vec::new();
    let mut root = None;
    loop {
        match reader.read_event().map_err(|e| wrong(&e))? {
            Event::Start(start) => {
                if open.len() == DEEPEST {
                    return Err(Broken::NotAllowed("so deep a tree"));
                }
                open.push((element(&start)?, String::new()));
            }
            Event::Empty(start) => {
                let element = element(&start)?;
                close(element, &mut open, &mut root)?;
            }
            Event::End(_) => {
                let (mut element, text) = open
                    .pop()
                    .ok_or_else(|| Broken::NotXml("an end without a start".to_owned()))?;
                // Between children there is only indentation.
                if element.children.is_empty() {
                    element.text = text.into_boxed_str();
                }
                close(element, &mut open, &mut root)?;
            }
            Event::Text(part) => push(&mut open, &part.xml10_content()),
            Event::CData(part) => push(&mut open, &part.xml10_content()),
            Event::GeneralRef(reference) => {
                let decoded = match reference.resolve_char_ref().map_err(|e| wrong(&e))? {
                    Some(c) => c.to_string(),
                    None => match quick_xml::escape::resolve_predefined_entity(&reference) {
                        Some(known) => known.to_owned(),
                        None => return Err(Broken::NotAllowed("an entity of its own")),
                    },
                };
                push(&mut open, &decoded);
            }
            Event::DocType(_) => return Err(Broken::NotAllowed("a document type")),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    if open.is_empty() {
        root.ok_or_else(|| Broken::NotXml("nothing".to_owned()))
    } else {
        Err(Broken::NotXml("it breaks off".to_owned()))
    }
}

fn push(open: &mut [(Element, String)], part: &str) {
    if let Some((_, text)) = open.last_mut() {
        text.push_str(part);
    }
}

fn close(
    element: Element,
    open: &mut [(Element, String)],
    root: &mut Option<Element>,
) -> Result<(), Broken> {
    match (open.last_mut(), root.is_some()) {
        (Some((parent, _)), _) => parent.children.push(element),
        (None, false) => *root = Some(element),
        (None, true) => return Err(Broken::NotXml("two roots".to_owned())),
    }
    Ok(())
}

fn element(start: &BytesStart<'_>) -> Result<Element, Broken> {
    let name = start.local_name();
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.as_ref().is_empty() || !name.as_ref().chars().all(is_name) {
        return Err(Broken::NotXml(
            "an element without a proper name".to_owned(),
        ));
    }
    let mut element = Element {
        name: name.as_ref().into(),
        ..Element::default()
    };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| Broken::NotXml(e.to_string()))?;
        let name = attribute.key;
        let wanted = match (name.prefix().is_some(), name.local_name().as_ref()) {
            (true, "type") => &mut element.kind,
            (false, "type") => &mut element.of,
            _ => continue,
        };
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|e| Broken::NotXml(e.to_string()))?;
        let value = value.rsplit(':').next().unwrap_or_default();
        *wanted = Some(value.into());
    }
    Ok(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enveloped(inside: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><soapenv:Envelope xmlns:soapenv=\"s\" xmlns:xsi=\"i\"><soapenv:Body>{inside}</soapenv:Body></soapenv:Envelope>"
        )
    }

    #[test]
    fn a_response_is_a_tree_of_texts_and_types() {
        let text = enveloped(concat!(
            r#"<LoginResponse xmlns="urn:vim25"><returnval><key>a&amp;&#x62;<![CDATA[<c>]]></key>"#,
            r#"<host type="HostSystem">host-9</host><spec xsi:type="vim:Spec"/><empty></empty>"#,
            r#"<on>1</on><off>false</off></returnval></LoginResponse>"#,
        ));
        let answer = answer(&text).unwrap().unwrap();
        assert_eq!(&*answer.name, "LoginResponse");
        let value = answer.child("returnval").unwrap();
        assert_eq!(value.text_of("key"), Some("a&b<c>"));
        let host = value.child("host").unwrap().moref().unwrap();
        assert_eq!((&*host.kind, &*host.id), ("HostSystem", "host-9"));
        assert_eq!(value.child("spec").unwrap().kind.as_deref(), Some("Spec"));
        assert_eq!(value.text_of("empty"), None);
        assert_eq!(value.child("on").unwrap().truth(), Ok(true));
        assert_eq!(value.child("off").unwrap().truth(), Ok(false));
        assert!(value.child("key").unwrap().truth().is_err());
        assert!(value.child("key").unwrap().number::<u32>().is_err());
        assert!(value.child("key").unwrap().moref().is_err());
    }

    #[test]
    fn a_fault_has_its_type_and_what_it_holds() {
        let fault = |detail: &str| {
            let text = enveloped(&format!(
                "<soapenv:Fault><faultcode>x</faultcode><faultstring>no</faultstring><detail>{detail}</detail></soapenv:Fault>"
            ));
            answer(&text).unwrap().unwrap_err()
        };
        let typed = fault(
            r#"<NoPermissionFault xsi:type="NoPermission"><privilegeId>Host.Config.Maintenance</privilegeId></NoPermissionFault>"#,
        );
        assert_eq!(&*typed.kind, "NoPermission");
        let error = typed.into_error("HostSystem host-9: EnterMaintenanceMode_Task");
        assert!(
            error.remedy().unwrap().contains("Host.Config.Maintenance"),
            "{error:?}"
        );
        assert_eq!(&*fault("<InvalidLoginFault/>").kind, "InvalidLogin");
        assert_eq!(&*fault("").kind, "SOAP");
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let deep = format!(
            "{}x{}",
            "<a>".repeat(DEEPEST + 1),
            "</a>".repeat(DEEPEST + 1)
        );
        for (text, why) in [
            ("", "nothing"),
            ("plain", "nothing"),
            ("<html><body>502</body></html>", "Envelope"),
            ("<a><b></a>", "XML"),
            ("<a><b>", "breaks off"),
            ("<a/><b/>", "two roots"),
            ("<a//>", "proper name"),
            ("<>x</>", "name"),
            (
                "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
                "document type",
            ),
            ("<a>&b;</a>", "entity"),
            (&*deep, "deep"),
            ("<Envelope/>", "Body"),
            ("<Envelope><Body/></Envelope>", "Body"),
        ] {
            let broken = answer(text).expect_err(text);
            assert!(broken.to_string().contains(why), "{text}: {broken}");
        }
    }
}
