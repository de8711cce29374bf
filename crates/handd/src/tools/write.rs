//! `write`: a whole file.

use std::fs;

use hand_protocol::Outcome;
use serde_json::{Map, Value};

use super::{Call, Result, files::Named, input::Input};

pub(super) fn run(call: &Call<'_>, input: &Map<String, Value>) -> Result {
    let input = Input::new("write", input, &["file_path", "content"])?;
    let shown = input.required("file_path")?;
    let content = input.required_text("content")?;
    let path = call.places.resolve(shown);
    let file = Named { tool: "write", shown, path: &path };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| file.failed(&error))?;
    }
    file.overwrite(content.as_bytes())?;
    Ok(Outcome::text(format!("wrote {} bytes to {shown}", content.len())))
}
