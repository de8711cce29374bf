//! How providers word an error, in either family's JSON: `{"error":{"type","message"}}` of the Messages API,
//! `{"error":{"message","type","code"}}` of OpenAI, and what compatible servers make of them.

use serde_json::Value;

use super::{refusal, too_long};
use crate::Error;

/// What a provider says went wrong. Fields that it leaves out are empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) kind: String,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Envelope {
    /// Reads a body, or takes it as plain text if it is no JSON.
    pub(crate) fn of_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::of_json(&value),
            Err(_) => Self { message: String::from_utf8_lossy(body).into_owned(), ..Self::default() },
        }
    }

    pub(crate) fn of_json(value: &Value) -> Self {
        // Some servers wrap the error into a list.
        let value = value.get(0_usize).unwrap_or(value);
        let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
        let message =
            [error, &error["message"], &value["message"], &value["detail"]].into_iter().find_map(Value::as_str);
        Self {
            kind: word(&error["type"]),
            code: word(&error["code"]),
            message: message.map_or_else(|| error.to_string(), str::to_owned),
        }
    }

    /// The error that this is in the middle of an answer, where no status tells.
    pub(crate) fn into_error(self) -> Error {
        let status = self.status().unwrap_or(500);
        if too_long::is_said(status, &self) {
            return Error::TooLong(self.message);
        }
        refusal::by_status(status, self.message, None)
    }

    /// The status that the provider's words stand for.
    pub(crate) fn status(&self) -> Option<u16> {
        [&self.code, &self.kind].into_iter().find_map(|name| status_of(name))
    }
}

/// A name, or the number that some servers put in its place.
fn word(value: &Value) -> String {
    match value {
        Value::String(name) => name.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

fn status_of(name: &str) -> Option<u16> {
    Some(match name {
        "insufficient_quota" | "billing_error" | "billing_hard_limit_reached" | "billing_not_active" => 402,
        "rate_limit_error" | "rate_limit_exceeded" => 429,
        "overloaded_error" | "overloaded" | "server_is_overloaded" | "service_unavailable" => 529,
        "authentication_error" | "invalid_api_key" => 401,
        "permission_error" => 403,
        "not_found_error" | "model_not_found" => 404,
        "request_too_large" => 413,
        "invalid_request_error" | "invalid_prompt" | "BadRequestError" => 400,
        "context_length_exceeded" | "exceed_context_size_error" => 400,
        "timeout_error" => 504,
        "api_error" | "server_error" => 500,
        number => number.parse::<u16>().ok().filter(|status| (400..600).contains(status))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_familys_wording_is_read() {
        for (body, kind, code, message) in [
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#,
                "overloaded_error",
                "",
                "Busy",
            ),
            (
                r#"{"error":{"message":"No","type":"requests","code":"rate_limit_exceeded"}}"#,
                "requests",
                "rate_limit_exceeded",
                "No",
            ),
            (r#"{"error":{"code":500,"message":"slot","type":"server_error"}}"#, "server_error", "500", "slot"),
            (r#"{"error":"model not found"}"#, "", "", "model not found"),
            (r#"{"detail":"Not Found"}"#, "", "", "Not Found"),
            (r#"[{"error":{"message":"in a list","code":400}}]"#, "", "400", "in a list"),
            ("Bad Gateway", "", "", "Bad Gateway"),
        ] {
            let expected = Envelope { kind: kind.into(), code: code.into(), message: message.into() };
            assert_eq!(Envelope::of_body(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn in_the_middle_of_an_answer_the_words_decide() {
        let error = |body: &str| Envelope::of_body(body.as_bytes()).into_error();
        assert!(matches!(error(r#"{"error":{"type":"overloaded_error","message":""}}"#), Error::Overloaded { .. }));
        assert!(matches!(error(r#"{"error":{"type":"rate_limit_error","message":""}}"#), Error::RateLimited { .. }));
        assert!(matches!(error(r#"{"error":{"type":"api_error","message":""}}"#), Error::Server { status: 500, .. }));
        assert!(matches!(error(r#"{"error":{"type":"BadRequestError","code":400}}"#), Error::Invalid(_)));
        assert!(matches!(error(r#"{"error":{"type":"something_new"}}"#), Error::Server { status: 500, .. }));
        let long = r#"{"error":{"type":"invalid_request_error","message":"prompt is too long: 3 > 2 maximum"}}"#;
        assert!(matches!(error(long), Error::TooLong(_)));
        assert!(matches!(error(r#"{"code":"context_length_exceeded","message":""}"#), Error::TooLong(_)));
    }
}
