//! What a vCenter answers: by SOAP, and by the REST API of its Lifecycle Manager.

use patchcore::ErrorKind;
use patchcore_vsphere::answers;
use serde_json::Value;

use crate::rules;

/// An answer in SOAP, as a tree and as the objects that a cluster is read from.
pub(crate) fn soap(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let tree = match answers::soap_tree(&text) {
        Ok(tree) => tree,
        Err(error) => {
            rules::refusal(&error, &[ErrorKind::ProviderFault]);
            return false;
        }
    };
    let written = rules::written(&tree);
    rules::bounded(written.len(), text.len());
    // Written down again in the plainest way, it is the same tree.
    let mut again = String::new();
    write(&tree, &mut again);
    match answers::soap_tree(&again) {
        Ok(read) => assert_eq!(read, tree, "written as {again}"),
        Err(error) => panic!("taken once, and then refused: {error:?}\n{again}"),
    }
    match answers::of_cluster(&text) {
        Ok(read) => {
            assert!(read.cluster.hosts.len() + read.cluster.vms.len() <= text.len());
            rules::bounded(rules::written(&read.cluster).len(), text.len());
            rules::written_as_read(&read.cluster);
            true
        }
        Err(error) => {
            assert!(!error.message().is_empty(), "no message: {error:?}");
            rules::bounded(format!("{error:?}").len(), text.len());
            false
        }
    }
}

fn write(element: &Value, text: &mut String) {
    let part = |name: &str| element[name].as_str().unwrap_or_default();
    text.push('<');
    text.push_str(part("name"));
    for (name, attribute) in [("kind", "x:type"), ("of", "type")] {
        if element[name].is_string() {
            text.push_str(&format!(" {attribute}=\""));
            escape(part(name), text);
            text.push('"');
        }
    }
    text.push('>');
    escape(part("text"), text);
    for child in element["children"].as_array().into_iter().flatten() {
        write(child, text);
    }
    text.push_str(&format!("</{}>", part("name")));
}

/// Every character that means something to XML, and every one that it would not keep, by its number.
fn escape(part: &str, text: &mut String) {
    for c in part.chars() {
        match c {
            '<' | '>' | '&' | '"' | '\'' | '\t' | '\n' | '\r' => {
                text.push_str(&format!("&#{};", u32::from(c)));
            }
            c => text.push(c),
        }
    }
}

/// An answer of the REST API, by each status that it may come with, as everything that is read of it.
pub(crate) fn vlcm(input: &[u8]) -> bool {
    let mut taken = false;
    for status in [200, 400, 401, 502] {
        match answers::rest(status, input) {
            Ok(read) => {
                assert_eq!(status, 200);
                assert!(read.hosts <= input.len(), "{} hosts", read.hosts);
                assert!(read.percent.is_none_or(|percent| percent <= 100));
                rules::bounded(read.said.len(), input.len());
                taken |= read.kinds > 0;
            }
            Err(error) => {
                assert!(!error.message().is_empty(), "no message: {error:?}");
                assert!(error.message().len() <= 4096 + input.len() * 8);
            }
        }
    }
    taken
}
