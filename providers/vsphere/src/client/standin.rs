//! What a person may give away of an answer: its form, its numbers and the vendor's own words. Every other text is
//! replaced by a stand-in, the same text by the same one, so that what belonged together still does.

use std::collections::HashMap;

use patchcore::Timestamp;

use super::soap::Element;

/// Elements and properties whose texts are the vendor's words.
const VENDORS: [&str; 13] = [
    "apiType",
    "apiVersion",
    "build",
    "connectionState",
    "defaultVmBehavior",
    "disabledMethod",
    "faultToleranceState",
    "fullName",
    "pathState",
    "powerState",
    "privileges",
    "state",
    "version",
];

/// What stands in for texts, by these in lower case: a name is the same however it is written.
#[derive(Debug, Default)]
pub(super) struct StandIns(HashMap<Box<str>, Box<str>>);

impl StandIns {
    /// Replaces the texts in a tree.
    pub(super) fn apply(&mut self, element: &mut Element) {
        let name = element.name.clone();
        self.inside(element, &name);
    }

    /// What stands in for a text.
    pub(super) fn text(&mut self, text: &str) -> Box<str> {
        let next = self.0.len() + 1;
        let known = self.0.entry(text.to_lowercase().into());
        known
            .or_insert_with(|| format!("text-{next}").into())
            .clone()
    }

    /// `named` is the last word of the property that an element is the value of, or its own name.
    fn inside(&mut self, element: &mut Element, named: &str) {
        if !element.text.is_empty() && !may_stay(element, named) {
            element.text = self.text(&element.text);
        }
        let property = (&*element.name == "propSet")
            .then(|| element.text_of("name"))
            .flatten()
            .and_then(|path| path.rsplit('.').next())
            .map(str::to_owned);
        for child in &mut element.children {
            match (&property, &*child.name) {
                // Which properties were asked for is this program's own.
                (Some(_), "name") => {}
                (Some(property), _) => self.inside(child, property),
                // The elements of a list of texts have no name of their own.
                (None, "string") => self.inside(child, named),
                (None, own) => {
                    let own = own.to_owned();
                    self.inside(child, &own);
                }
            }
        }
    }
}

/// Whether an object's name on its server says nothing more, such as `host-22`; that of a view holds its session, and
/// what is already a stand-in stays one.
pub(super) fn is_plain(id: &str) -> bool {
    id.len() <= 40 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn may_stay(element: &Element, named: &str) -> bool {
    let text = &*element.text;
    let plain = |allowed: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || allowed.contains(c))
    };
    if element.of.is_some() {
        return is_plain(text);
    }
    let is_number = text.parse::<f64>().is_ok() && text.contains(|c: char| c.is_ascii_digit());
    // A name may look like a number.
    (is_number && named != "name")
        || matches!(text, "true" | "false")
        || text.parse::<Timestamp>().is_ok()
        || (VENDORS.contains(&named) && plain(" .-_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::soap::tree;

    fn shown(text: &str) -> Element {
        let mut element = tree(text).unwrap();
        StandIns::default().apply(&mut element);
        element
    }

    #[test]
    fn names_and_addresses_are_replaced_alike() {
        let found = shown(concat!(
            r#"<r><obj type="HostSystem">host-22</obj><propSet><name>name</name><val>esx1.example.org</val></propSet>"#,
            "<propSet><name>config.network.dnsConfig.address</name><val><string>10.0.0.2</string>",
            "<string>esx1.example.org</string></val></propSet></r>",
        ));
        let text = format!("{found:?}");
        assert!(
            !text.contains("example.org") && !text.contains("10.0.0.2"),
            "{text}"
        );
        let [_, name, address] = &found.children[..] else {
            panic!("{found:?}");
        };
        assert_eq!(name.text_of("name"), Some("name"));
        assert_eq!(name.text_of("val"), Some("text-1"));
        let listed: Vec<&str> = address
            .at(&["val"])
            .unwrap()
            .all("string")
            .map(|s| &*s.text)
            .collect();
        assert_eq!(listed, ["text-2", "text-1"]);
        assert_eq!(&*found.children[0].text, "host-22");
    }

    #[test]
    fn numbers_times_and_the_vendors_words_stay() {
        let found = shown(concat!(
            "<r><a>12</a><b>-1.5</b><c>true</c><d>2026-12-07T14:00:00Z</d>",
            "<propSet><name>runtime.powerState</name><val>poweredOn</val></propSet>",
            "<propSet><name>runtime.powerState</name><val>evil@example.org</val></propSet>",
            r#"<view type="ListView">session[5241]52aa</view></r>"#,
        ));
        let of = |at: usize| &*found.children[at].text;
        assert_eq!(
            (of(0), of(1), of(2), of(3)),
            ("12", "-1.5", "true", "2026-12-07T14:00:00Z")
        );
        assert_eq!(found.children[4].text_of("val"), Some("poweredOn"));
        // Where a vendor's word is due and something else stands, it goes.
        assert_eq!(found.children[5].text_of("val"), Some("text-1"));
        assert_eq!(of(6), "text-2");
    }
}
