//! The values that a script may take from the conversation.

use serde_json::Value;

use super::conversation::Conversation;

/// `text` with `{{last_text}}`, `{{last_result}}` and `{{last_system}}` filled in. What is filled in is not looked at
/// again, so that a user who writes `{{last_result}}` gets just that.
pub(super) fn fill(text: &str, conversation: &Conversation) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        rest = match after.split_once("}}") {
            Some(("last_text", after)) => {
                filled.push_str(&conversation.last_text);
                after
            }
            Some(("last_result", after)) => {
                filled.push_str(&conversation.last_result);
                after
            }
            Some(("last_system", after)) => {
                filled.push_str(&conversation.last_system);
                after
            }
            _ => {
                filled.push_str("{{");
                after
            }
        };
    }
    filled.push_str(rest);
    filled
}

/// Fills in every string of a tool's input, however deep.
pub(super) fn fill_value(value: &Value, conversation: &Conversation) -> Value {
    match value {
        Value::String(text) => Value::String(fill(text, conversation)),
        Value::Array(values) => values.iter().map(|value| fill_value(value, conversation)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), fill_value(value, conversation))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_filled_in_once() {
        let conversation = Conversation {
            last_text: "{{last_result}}".to_owned(),
            last_result: "42".to_owned(),
            ..Conversation::default()
        };
        assert_eq!(fill("a {{last_text}} b {{last_result}}{{x}} {{", &conversation), "a {{last_result}} b 42{{x}} {{");
        assert_eq!(fill_value(&json!({"a": ["{{last_result}}", 1]}), &conversation), json!({"a": ["42", 1]}));
    }
}
