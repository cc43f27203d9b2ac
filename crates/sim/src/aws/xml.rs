//! XML elements of answers: a name, and a text or further elements.

use std::fmt::Display;

use quick_xml::Writer;
use quick_xml::events::BytesText;

/// One element.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    name: String,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Text(String),
    Elements(Vec<Element>),
}

/// An element that holds a text.
pub(crate) fn text(name: &str, value: impl Display) -> Element {
    Element { name: name.to_owned(), content: Content::Text(value.to_string()) }
}

/// An element that holds elements.
pub(crate) fn element(name: &str, elements: Vec<Element>) -> Element {
    Element { name: name.to_owned(), content: Content::Elements(elements) }
}

/// A list as the Query protocol writes it: `<Name><member>…</member></Name>`.
pub(crate) fn list(name: &str, members: impl IntoIterator<Item = Vec<Element>>) -> Element {
    element(name, members.into_iter().map(|member| element("member", member)).collect())
}

/// A list of texts.
pub(crate) fn texts<T: Display>(name: &str, members: impl IntoIterator<Item = T>) -> Element {
    element(name, members.into_iter().map(|member| text("member", member)).collect())
}

impl Element {
    /// The element with an `xmlns` attribute, as a document. Characters that XML cannot hold are left out.
    pub(crate) fn document(&self, namespace: &str) -> String {
        let mut writer = Writer::new(Vec::new());
        let root = writer.create_element(self.name.as_str()).with_attribute(("xmlns", namespace));
        // Writing to memory does not fail.
        let _ = match &self.content {
            Content::Text(text) => root.write_text_content(BytesText::new(&printable(text))),
            Content::Elements(elements) => {
                root.write_inner_content(|writer| elements.iter().try_for_each(|element| element.write(writer)))
            }
        };
        String::from_utf8(writer.into_inner()).unwrap_or_default()
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        let this = writer.create_element(self.name.as_str());
        match &self.content {
            Content::Text(text) => this.write_text_content(BytesText::new(&printable(text)))?,
            Content::Elements(elements) => {
                this.write_inner_content(|writer| elements.iter().try_for_each(|element| element.write(writer)))?
            }
        };
        Ok(())
    }
}

/// XML 1.0 has no way to write most control characters, not even escaped.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_empty_lists_stay() {
        let answer = element("R", vec![text("A", "<&\u{0}>"), texts::<&str>("L", []), list("T", [vec![text("Key", "æ")]])]);
        assert_eq!(
            answer.document("urn:x"),
            "<R xmlns=\"urn:x\"><A>&lt;&amp;&gt;</A><L></L><T><member><Key>æ</Key></member></T></R>"
        );
    }
}
