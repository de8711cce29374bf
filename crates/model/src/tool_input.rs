//! What a model wrote as the input of a tool. Models write broken JSON now and then, and that is theirs to mend.

use serde_json::{Map, Value};

use crate::text::bounded;

/// The input, and why it could not be read if it could not. No text at all is an empty input: models write that for
/// tools without parameters.
pub(crate) fn parse(json: &str) -> (Map<String, Value>, Option<String>) {
    if json.trim().is_empty() {
        return (Map::new(), None);
    }
    let problem = match serde_json::from_str(json) {
        Ok(Value::Object(input)) => return (input, None),
        Ok(_) => "it is JSON, but not an object".to_owned(),
        Err(error) => error.to_string(),
    };
    (Map::new(), Some(format!("{problem}; what was written: {}", bounded(json, 200))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_and_nothing_is_an_empty_object() {
        assert_eq!(parse(r#"{"a":1}"#).0.get("a"), Some(&Value::from(1)));
        assert_eq!(parse(" "), (Map::new(), None));
    }

    #[test]
    fn anything_else_is_malformed_and_quoted() {
        for json in ["[1]", "\"text\"", r#"{"a": "#, "not json {"] {
            let (input, malformed) = parse(json);
            assert!(input.is_empty());
            assert!(malformed.unwrap().contains(json.trim()), "{json}");
        }
    }
}
