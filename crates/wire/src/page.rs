//! Pages of lists.

use serde::Serialize;

/// One page. `next_page` is null on the last.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    pub data: Vec<T>,
    pub next_page: Option<String>,
    /// Only the session list has this field at all; there it is null on the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_page: Option<Option<String>>,
}

impl<T> Page<T> {
    pub fn new(data: Vec<T>, next_page: Option<String>) -> Self {
        Self { data, next_page, prev_page: None }
    }
}

/// What a delete answers: the id and what has become of it.
#[derive(Debug, Serialize)]
pub struct Deleted<I> {
    pub id: I,
    pub r#type: &'static str,
}
