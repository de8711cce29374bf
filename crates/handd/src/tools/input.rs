//! A call's input, field by field. What is wrong with it is said with the field's name.

use serde_json::{Map, Value};

use super::Failed;

pub(super) struct Input<'a> {
    tool: &'static str,
    fields: &'a Map<String, Value>,
}

impl<'a> Input<'a> {
    /// Refuses a field that the tool does not have: it is a mistake, and the model should hear of it.
    pub(super) fn new(tool: &'static str, fields: &'a Map<String, Value>, known: &[&str]) -> Result<Self, Failed> {
        let input = Self { tool, fields };
        match fields.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                Err(input.fault(&format!("{name} is not a field of this tool; its fields are {}", known.join(", "))))
            }
            None => Ok(input),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, Failed> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.fault(&format!("{name} must be a string"))),
        }
    }

    /// A text that must be there, and may be empty.
    pub(super) fn required_text(&self, name: &str) -> Result<&'a str, Failed> {
        self.text(name)?.ok_or_else(|| self.fault(&format!("{name} is required")))
    }

    /// A text that must be there and not be empty.
    pub(super) fn required(&self, name: &str) -> Result<&'a str, Failed> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| self.fault(&format!("{name} is required")))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Failed> {
        match self.value(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.fault(&format!("{name} must be true or false"))),
        }
    }

    /// A number of milliseconds. Models write whole numbers as 1000.0, too.
    pub(super) fn milliseconds(&self, name: &str) -> Result<Option<u64>, Failed> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => match value
                .as_u64()
                .or_else(|| value.as_f64().filter(|number| *number >= 0.0).map(|number| number as u64))
            {
                Some(number) => Ok(Some(number)),
                None => Err(self.fault(&format!("{name} must be a number of milliseconds, 0 or more"))),
            },
        }
    }

    /// A stretch of lines, counted from 1. No end, or one of 0 or less, is the end of the file.
    pub(super) fn range(&self, name: &str) -> Result<Option<(u64, Option<u64>)>, Failed> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let numbers =
            value.as_array().and_then(|numbers| numbers.iter().map(Value::as_i64).collect::<Option<Vec<_>>>());
        let Some([start, end]) = numbers.as_deref() else {
            return Err(self.fault(&format!("{name} must be two line numbers, [start, end]")));
        };
        let Some(start) = u64::try_from(*start).ok().filter(|start| *start >= 1) else {
            return Err(self.fault(&format!("{name} must start at line 1 or later")));
        };
        let end = u64::try_from(*end).ok().filter(|end| *end >= 1);
        if end.is_some_and(|end| end < start) {
            return Err(self.fault(&format!("{name} ends before it starts")));
        }
        Ok(Some((start, end)))
    }

    /// A failure, with the tool's name before it.
    pub(super) fn fault(&self, message: &str) -> Failed {
        Failed(format!("{}: {message}", self.tool))
    }

    /// Null is as good as nothing.
    fn value(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with<T>(fields: Value, look: impl Fn(&Input<'_>) -> Result<T, Failed>) -> Result<T, String> {
        let Value::Object(fields) = fields else { panic!("an object is wanted") };
        Input::new("tool", &fields, &["field"]).and_then(|input| look(&input)).map_err(|Failed(message)| message)
    }

    #[test]
    fn every_fault_names_its_field() {
        let wrong = with(json!({"other": 1}), |_| Ok(()));
        assert_eq!(wrong, Err("tool: other is not a field of this tool; its fields are field".into()));
        let wrong = with(json!({"field": 1}), |input| input.text("field").map(|_| ()));
        assert_eq!(wrong, Err("tool: field must be a string".into()));
        let wrong = with(json!({"field": ""}), |input| input.required("field").map(|_| ()));
        assert_eq!(wrong, Err("tool: field is required".into()));
        let wrong = with(json!({"field": "yes"}), |input| input.flag("field").map(|_| ()));
        assert_eq!(wrong, Err("tool: field must be true or false".into()));
        let wrong = with(json!({"field": -1}), |input| input.milliseconds("field").map(|_| ()));
        assert_eq!(wrong, Err("tool: field must be a number of milliseconds, 0 or more".into()));
    }

    #[test]
    fn null_is_nothing() {
        assert_eq!(with(json!({"field": null}), |input| input.flag("field")), Ok(false));
        assert_eq!(with(json!({"field": null}), |input| input.milliseconds("field")), Ok(None));
    }

    #[test]
    fn ranges_count_from_one_and_may_be_open() {
        let range = |value: Value| with(json!({ "field": value }), |input| input.range("field"));
        assert_eq!(range(json!([2, 5])), Ok(Some((2, Some(5)))));
        assert_eq!(range(json!([2, -1])), Ok(Some((2, None))));
        assert_eq!(range(json!([2, 0])), Ok(Some((2, None))));
        for wrong in [json!([0, 5]), json!([5, 2]), json!([1]), json!([1, 2, 3]), json!("1-2"), json!([1.5, 2])] {
            assert!(range(wrong).is_err());
        }
    }
}
