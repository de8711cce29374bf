//! Reading query parameters.

use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use wire::{Invalid, Timestamp};

use crate::reply::Refused;

/// The parameters, taken out one by one.
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Params {
    pub(crate) fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.take_all(name).pop()
    }

    /// All values of a repeated parameter, written `name[]` or `name`.
    pub(crate) fn take_all(&mut self, name: &str) -> Vec<String> {
        let mut values = Vec::new();
        self.0.retain(|(key, value)| {
            let found = key.strip_suffix("[]").unwrap_or(key) == name;
            if found {
                values.push(value.clone());
            }
            !found
        });
        values
    }

    pub(crate) fn limit(&mut self, default: usize, most: usize) -> Result<usize, Invalid> {
        let Some(text) = self.take("limit") else { return Ok(default) };
        match text.parse() {
            Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
            _ => Err(Invalid::new("limit", format!("Input should be a whole number from 1 to {most}"))),
        }
    }

    /// A whole number within these bounds.
    pub(crate) fn number(&mut self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Invalid> {
        let Some(text) = self.take(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let (least, most) = range.into_inner();
                Err(Invalid::new(name, format!("Input should be a whole number from {least} to {most}")))
            }
        }
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Invalid> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Invalid::new(name, "Input should be 'true' or 'false'")),
        }
    }

    pub(crate) fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Invalid> {
        let parse = |text: String| text.parse().map_err(|_| Invalid::new(name, "Input should be an RFC 3339 time"));
        self.take(name).map(parse).transpose()
    }

    /// The bounds of `created_at`, both inclusive.
    pub(crate) fn created(&mut self) -> Result<(Option<Timestamp>, Option<Timestamp>), Invalid> {
        let after = self.time("created_at[gt]")?.map(|at| at.plus_millis(1));
        let from = self.time("created_at[gte]")?;
        let before = self.time("created_at[lt]")?.map(|at| Timestamp::from_millis(at.millis() - 1));
        let to = self.time("created_at[lte]")?;
        Ok((after.max(from), [before, to].into_iter().flatten().min()))
    }

    /// `descending` if the parameter says so, else the endpoint's default.
    pub(crate) fn descending(&mut self, default: bool) -> Result<bool, Invalid> {
        match self.take("order").as_deref() {
            None => Ok(default),
            Some("asc") => Ok(false),
            Some("desc") => Ok(true),
            Some(_) => Err(Invalid::new("order", "Input should be 'asc' or 'desc'")),
        }
    }

    /// To be called last. SDKs of the older generation add `beta=true` everywhere.
    pub(crate) fn end(mut self) -> Result<(), Invalid> {
        self.take("beta");
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Invalid::new(name, "This parameter is not supported here")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_with_and_without_brackets_and_encoded() {
        let mut params = Params::parse("types%5B%5D=a&types[]=b&limit=5&beta=true");
        assert_eq!(params.take_all("types"), ["a", "b"]);
        assert_eq!(params.limit(20, 100), Ok(5));
        assert_eq!(params.end(), Ok(()));
    }

    #[test]
    fn bounds_are_checked_and_unknown_names_refused() {
        assert!(Params::parse("limit=0").limit(20, 100).is_err());
        assert!(Params::parse("limit=101").limit(20, 100).is_err());
        for text in ["", "0", "1000", "-1", "1.5", "one"] {
            assert_eq!(
                Params::parse(&format!("block_ms={text}")).number("block_ms", 1..=999).unwrap_err().path,
                "block_ms"
            );
        }
        assert_eq!(Params::parse("block_ms=999").number("block_ms", 1..=999), Ok(Some(999)));
        assert_eq!(Params::parse("").number("block_ms", 1..=999), Ok(None));
        assert_eq!(Params::parse("colour=red").end().unwrap_err().path, "colour");
        assert!(Params::parse("created_at[gte]=yesterday").created().is_err());
    }
}
