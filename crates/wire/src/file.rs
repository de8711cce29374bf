//! Files: what clients upload, and what sessions leave behind.

use serde::{Deserialize, Serialize};

use crate::{FileId, SessionId, Timestamp};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub id: FileId,
    pub r#type: FileType,
    pub filename: String,
    pub mime_type: String,
    pub size_bytes: u64,
    pub created_at: Timestamp,
    pub downloadable: bool,
    pub expires_at: Option<Timestamp>,
    pub scope: Option<Scope>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileType {
    File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    pub r#type: ScopeType,
    pub id: SessionId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeType {
    Session,
}

/// Characters of a file name.
pub const MAX_NAME: usize = 255;

/// Whether file names have this character.
pub fn is_of_names(letter: char) -> bool {
    !letter.is_control() && !matches!(letter, '<' | '>' | ':' | '"' | '|' | '?' | '*' | '\\' | '/')
}

/// Why a file name is not one, or `None` if it is.
pub fn name_fault(name: &str) -> Option<&'static str> {
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME {
        return Some("A file name has 1 to 255 characters");
    }
    (!name.chars().all(is_of_names)).then_some("A file name has none of < > : \" | ? * \\ / and no control characters")
}

/// The usual type for a name's extension.
pub fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "zip" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        "tar" => "application/x-tar",
        "xml" => "application/xml",
        "js" => "text/javascript",
        "css" => "text/css",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => "application/octet-stream",
    }
}
