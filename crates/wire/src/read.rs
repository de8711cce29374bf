//! Reading what a client sent: every refusal names the field, and absent, null and a value are three things.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::Timestamp;

/// A value that the API does not take, and where it stands: `tools.0.name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    pub path: String,
    pub message: String,
    pub code: Option<&'static str>,
}

impl Invalid {
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), code: None }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

impl std::error::Error for Invalid {}

/// A field of an update: left out, cleared, or given a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patch<T> {
    Absent,
    Null,
    Value(T),
}

impl<T> Patch<T> {
    /// What the field holds after the update, given what it holds now.
    pub fn over(self, current: Option<T>) -> Option<T> {
        match self {
            Self::Absent => current,
            Self::Null => None,
            Self::Value(value) => Some(value),
        }
    }
}

impl<T: Default> Patch<T> {
    /// What takes the field's place as a whole, if anything does: null stands for nothing at all.
    pub fn replacement(self) -> Option<T> {
        match self {
            Self::Absent => None,
            Self::Null => Some(T::default()),
            Self::Value(value) => Some(value),
        }
    }
}

/// A type that can be read from a client's JSON.
pub trait Read: Sized {
    fn read(value: Value, path: &str) -> Result<Self, Invalid>;
}

/// The fields of one JSON object, taken out one by one.
#[derive(Debug)]
pub struct Fields {
    path: String,
    map: Map<String, Value>,
}

impl Fields {
    pub fn of(value: Value, path: &str) -> Result<Self, Invalid> {
        match value {
            Value::Object(map) => Ok(Self { path: path.to_owned(), map }),
            other => Err(Invalid::new(path, format!("Input should be an object, not {}", kind(&other)))),
        }
    }

    pub fn at(&self, name: &str) -> String {
        join(&self.path, name)
    }

    pub fn invalid(&self, name: &str, message: impl Into<String>) -> Invalid {
        Invalid::new(self.at(name), message)
    }

    /// Absent and null are both refused.
    pub fn required<T: Read>(&mut self, name: &str) -> Result<T, Invalid> {
        match self.map.remove(name) {
            None => Err(self.invalid(name, "Field required")),
            Some(value) => T::read(value, &self.at(name)),
        }
    }

    /// Absent and null are the same.
    pub fn optional<T: Read>(&mut self, name: &str) -> Result<Option<T>, Invalid> {
        match self.map.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::read(value, &self.at(name)).map(Some),
        }
    }

    pub fn patch<T: Read>(&mut self, name: &str) -> Result<Patch<T>, Invalid> {
        match self.map.remove(name) {
            None => Ok(Patch::Absent),
            Some(Value::Null) => Ok(Patch::Null),
            Some(value) => T::read(value, &self.at(name)).map(Patch::Value),
        }
    }

    /// Refuses a field of the API that this version does not act on. Null and empty ask for nothing, and pass.
    pub fn unsupported(&mut self, name: &str) -> Result<(), Invalid> {
        match self.map.remove(name) {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Array(items)) if items.is_empty() => Ok(()),
            Some(_) => Err(unsupported(&self.at(name))),
        }
    }

    /// Drops a field whose value changes nothing.
    pub fn ignore(&mut self, name: &str) {
        self.map.remove(name);
    }

    /// The fields that nobody took.
    pub fn rest(self) -> Map<String, Value> {
        self.map
    }

    /// To be called last: a field that nobody took is one that the API does not have.
    pub fn end(self) -> Result<(), Invalid> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.invalid(name, "Extra inputs are not permitted")),
        }
    }
}

/// The refusal of what the API has and this version does not act on yet.
pub fn unsupported(path: &str) -> Invalid {
    Invalid::new(path, "This is not supported by this version of Stead yet; leave it out. See docs/COMPATIBILITY.md")
}

pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl Read for Value {
    fn read(value: Value, _: &str) -> Result<Self, Invalid> {
        Ok(value)
    }
}

impl Read for String {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(Invalid::new(path, format!("Input should be a valid string, not {}", kind(&other)))),
        }
    }
}

impl Read for bool {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        value
            .as_bool()
            .ok_or_else(|| Invalid::new(path, format!("Input should be a valid boolean, not {}", kind(&value))))
    }
}

impl Read for u64 {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        value.as_u64().ok_or_else(|| Invalid::new(path, "Input should be a whole number, zero or above"))
    }
}

impl Read for Timestamp {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let text = String::read(value, path)?;
        text.parse().map_err(|_| Invalid::new(path, "Input should be an RFC 3339 time, such as 2030-01-31T09:00:00Z"))
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let Value::Array(items) = value else {
            return Err(Invalid::new(path, format!("Input should be a valid array, not {}", kind(&value))));
        };
        items.into_iter().enumerate().map(|(index, item)| T::read(item, &join(path, &index.to_string()))).collect()
    }
}

/// A string whose length in characters lies in `bounds`.
pub fn text(value: String, path: &str, bounds: std::ops::RangeInclusive<usize>) -> Result<String, Invalid> {
    let length = value.chars().count();
    if length < *bounds.start() {
        return Err(Invalid::new(path, format!("String should have at least {} character(s)", bounds.start())));
    }
    if length > *bounds.end() {
        return Err(Invalid::new(
            path,
            format!("String should have at most {} characters, not {length}", bounds.end()),
        ));
    }
    Ok(value)
}

pub type Metadata = BTreeMap<String, String>;

/// A metadata update: a string sets its key, null removes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataPatch(pub BTreeMap<String, Option<String>>);

impl Read for MetadataPatch {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut patch = BTreeMap::new();
        for (key, value) in Fields::of(value, path)?.rest() {
            let at = join(path, &key);
            let coded = |invalid| Invalid { code: Some("invalid_metadata"), ..invalid };
            let key = text(key, &at, 1..=64).map_err(coded)?;
            let value = match value {
                Value::Null => None,
                value => Some(String::read(value, &at).and_then(|value| text(value, &at, 0..=512)).map_err(coded)?),
            };
            patch.insert(key, value);
        }
        Ok(Self(patch))
    }
}

impl MetadataPatch {
    /// The metadata after the update. At most 16 pairs.
    pub fn over(self, mut current: Metadata, path: &str) -> Result<Metadata, Invalid> {
        for (key, value) in self.0 {
            match value {
                Some(value) => current.insert(key, value),
                None => current.remove(&key),
            };
        }
        if current.len() > 16 {
            return Err(Invalid {
                code: Some("invalid_metadata"),
                ..Invalid::new(path, "At most 16 pairs are allowed")
            });
        }
        Ok(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        Fields::of(value, "tools.0").unwrap()
    }

    #[test]
    fn a_refusal_names_the_path() {
        let error = fields(json!({})).required::<String>("name").unwrap_err();
        assert_eq!(error.to_string(), "tools.0.name: Field required");
        let error = fields(json!({"name": 3})).required::<String>("name").unwrap_err();
        assert_eq!(error.to_string(), "tools.0.name: Input should be a valid string, not a number");
        let error = fields(json!({"x": 1})).end().unwrap_err();
        assert_eq!(error.to_string(), "tools.0.x: Extra inputs are not permitted");
    }

    #[test]
    fn absent_null_and_a_value_are_three_things() {
        let mut fields = fields(json!({"a": null, "b": "x"}));
        assert_eq!(fields.patch::<String>("a").unwrap(), Patch::Null);
        assert_eq!(fields.patch::<String>("b").unwrap(), Patch::Value("x".into()));
        assert_eq!(fields.patch::<String>("c").unwrap(), Patch::Absent);
    }

    #[test]
    fn metadata_is_patched_key_by_key_and_bounded() {
        let current: Metadata = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into();
        let patch = MetadataPatch::read(json!({"a": null, "c": "3"}), "metadata").unwrap();
        let after = patch.over(current, "metadata").unwrap();
        assert_eq!(after.keys().collect::<Vec<_>>(), ["b", "c"]);
        let many: Map<String, Value> = (0..17).map(|n| (n.to_string(), json!("x"))).collect();
        assert!(
            MetadataPatch::read(Value::Object(many), "metadata").unwrap().over(Metadata::new(), "metadata").is_err()
        );
    }
}
