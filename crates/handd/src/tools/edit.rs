//! `edit`: one text in a file for another.

use hand_protocol::Outcome;
use serde_json::{Map, Value};

use super::{Call, Failed, Result, files::Named, input::Input};

/// The largest file that an edit may make.
const LARGEST: usize = 16 << 20;

pub(super) fn run(call: &Call<'_>, input: &Map<String, Value>) -> Result {
    let input = Input::new("edit", input, &["file_path", "old_string", "new_string", "replace_all"])?;
    let shown = input.required("file_path")?;
    let old = input.required("old_string")?;
    let new = input.required_text("new_string")?;
    let all = input.flag("replace_all")?;
    let path = call.places.resolve(shown);
    let file = Named { tool: "edit", shown, path: &path };
    let (content, count) = replace(&file.text()?, old, new, all, shown)?;
    file.overwrite(content.as_bytes())?;
    Ok(Outcome::text(format!("edited {shown} ({count} replacement(s))")))
}

fn replace(
    content: &str,
    old: &str,
    new: &str,
    all: bool,
    shown: &str,
) -> std::result::Result<(String, usize), Failed> {
    let count = content.matches(old).count();
    match count {
        0 => return Err(Failed(format!("edit: old_string not found in {shown}"))),
        2.. if !all => {
            return Err(Failed(format!("edit: old_string appears {count} times in {shown} (must be unique)")));
        }
        _ => {}
    }
    let size = content.len().saturating_add(count.saturating_mul(new.len()));
    if size > LARGEST {
        return Err(Failed(format!("edit: {shown} would grow to about {size} bytes, which is over {LARGEST}")));
    }
    Ok((content.replace(old, new), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(content: &str, old: &str, new: &str, all: bool) -> std::result::Result<(String, usize), String> {
        replace(content, old, new, all, "a.txt").map_err(|Failed(message)| message)
    }

    #[test]
    fn a_text_that_is_there_once_is_replaced() {
        assert_eq!(replaced("one two", "two", "three", false), Ok(("one three".into(), 1)));
        assert_eq!(replaced("one two", " two", "", false), Ok(("one".into(), 1)));
    }

    #[test]
    fn a_text_that_is_there_more_often_needs_to_be_said() {
        let message = "edit: old_string appears 3 times in a.txt (must be unique)";
        assert_eq!(replaced("a b a a", "a", "c", false), Err(message.into()));
        assert_eq!(replaced("a b a a", "a", "c", true), Ok(("c b c c".into(), 3)));
    }

    #[test]
    fn a_text_that_is_not_there_is_an_error() {
        assert_eq!(replaced("one", "two", "x", true), Err("edit: old_string not found in a.txt".into()));
    }

    #[test]
    fn an_edit_does_not_grow_a_file_without_end() {
        let content = "a".repeat(1_000);
        let new = "b".repeat(100_000);
        assert!(replaced(&content, "a", &new, true).unwrap_err().contains("would grow"));
    }
}
