//! Media blocks of the Messages API, read for providers that have words of their own for them.

use serde_json::{Value, value::RawValue};

/// What another provider can be given in place of an `image`, `document` or `search_result` block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// An image, by address or as a data URL.
    Image {
        url: String,
    },
    /// A PDF as a data URL.
    Pdf {
        name: String,
        data: String,
    },
    PdfLink {
        url: String,
    },
    /// The block's own text, or a note that says what could not be shown.
    Text(String),
}

pub(crate) fn read(raw: &RawValue) -> Media {
    let block: Value = serde_json::from_str(raw.get()).unwrap_or_default();
    let source = &block["source"];
    let title = block["title"].as_str().unwrap_or_default();
    match (block["type"].as_str().unwrap_or_default(), source["type"].as_str().unwrap_or_default()) {
        ("image", "base64") => Media::Image { url: data_url(source) },
        ("image", "url") => Media::Image { url: word(&source["url"]) },
        ("document", "base64") if source["media_type"] == "application/pdf" => {
            let name = if title.is_empty() { "document.pdf" } else { title };
            Media::Pdf { name: name.to_owned(), data: data_url(source) }
        }
        ("document", "url") => Media::PdfLink { url: word(&source["url"]) },
        ("document", "text") => Media::Text(titled(title, &word(&source["data"]))),
        ("document", "content") => Media::Text(titled(title, &texts(&source["content"]))),
        ("search_result", _) => {
            let text = format!("{}\n{}", word(source), texts(&block["content"]));
            Media::Text(titled(title, &text))
        }
        ("", _) => Media::Text("[content that cannot be shown to this model]".to_owned()),
        (kind, _) => Media::Text(titled(title, &format!("[{kind} that cannot be shown to this model]"))),
    }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn data_url(source: &Value) -> String {
    format!("data:{};base64,{}", word(&source["media_type"]), word(&source["data"]))
}

/// The text of a string, or of the text blocks in a list.
fn texts(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

fn titled(title: &str, text: &str) -> String {
    if title.is_empty() { text.to_owned() } else { format!("{title}\n{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::raw;

    #[test]
    fn images_and_pdfs_become_urls() {
        assert_eq!(
            read(&raw(r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}"#)),
            Media::Image { url: "data:image/png;base64,AAAA".to_owned() }
        );
        assert_eq!(
            read(&raw(r#"{"type":"image","source":{"type":"url","url":"https://x/y.png"}}"#)),
            Media::Image { url: "https://x/y.png".to_owned() }
        );
        assert_eq!(
            read(&raw(
                r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"}}"#
            )),
            Media::Pdf { name: "document.pdf".to_owned(), data: "data:application/pdf;base64,JVBE".to_owned() }
        );
    }

    #[test]
    fn what_is_text_stays_text() {
        assert_eq!(
            read(&raw(
                r#"{"type":"document","title":"Notes","source":{"type":"text","media_type":"text/plain","data":"a"}}"#
            )),
            Media::Text("Notes\na".to_owned())
        );
        assert_eq!(
            read(&raw(
                r#"{"type":"search_result","source":"https://x","title":"X","content":[{"type":"text","text":"b"}]}"#
            )),
            Media::Text("X\nhttps://x\nb".to_owned())
        );
    }

    #[test]
    fn the_rest_becomes_a_note() {
        let note = Media::Text("[image that cannot be shown to this model]".to_owned());
        assert_eq!(read(&raw(r#"{"type":"image","source":{"type":"file","file_id":"file_1"}}"#)), note);
        assert!(matches!(read(&raw("7")), Media::Text(_)));
    }
}
