//! Content blocks: what messages and tool results are made of.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::read::{Fields, Invalid, Read, join, unsupported};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    Text {
        text: String,
    },
    Image {
        source: Source,
    },
    Document {
        source: Source,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        context: Option<String>,
    },
}

impl Content {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Source {
    Base64 { media_type: String, data: String },
    Text { media_type: String, data: String },
}

const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

impl Read for Content {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let content = match fields.required::<String>("type")?.as_str() {
            "text" => Self::Text { text: fields.required("text")? },
            "image" => {
                Self::Image { source: read_source(fields.required("source")?, &join(path, "source"), &IMAGES, false)? }
            }
            "document" => Self::Document {
                source: read_source(fields.required("source")?, &join(path, "source"), &["application/pdf"], true)?,
                title: fields.optional("title")?,
                context: fields.optional("context")?,
            },
            "search_result" => return Err(unsupported(path)),
            "redacted" => return Err(Invalid::new(path, "A client cannot send a redacted block")),
            _ => return Err(fields.invalid("type", "Input should be 'text', 'image' or 'document'")),
        };
        fields.end()?;
        Ok(content)
    }
}

fn read_source(value: Value, path: &str, types: &[&str], takes_text: bool) -> Result<Source, Invalid> {
    let mut fields = Fields::of(value, path)?;
    let source = match fields.required::<String>("type")?.as_str() {
        "base64" => {
            let media_type: String = fields.required("media_type")?;
            if !types.contains(&media_type.as_str()) {
                return Err(fields.invalid("media_type", format!("Input should be one of {}", types.join(", "))));
            }
            let data: String = fields.required("data")?;
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
            let letters = data.strip_suffix("==").or(data.strip_suffix('=')).unwrap_or(&data);
            if data.is_empty() || !data.len().is_multiple_of(4) || letters.is_empty() || !letters.bytes().all(letter) {
                return Err(fields.invalid("data", "Input should be standard base64"));
            }
            Source::Base64 { media_type, data }
        }
        "text" if takes_text => {
            let media_type: String = fields.required("media_type")?;
            if media_type != "text/plain" {
                return Err(fields.invalid("media_type", "Input should be 'text/plain'"));
            }
            Source::Text { media_type, data: fields.required("data")? }
        }
        "url" | "file" => return Err(unsupported(path)),
        _ => return Err(fields.invalid("type", "Unknown kind of source")),
    };
    fields.end()?;
    Ok(source)
}
