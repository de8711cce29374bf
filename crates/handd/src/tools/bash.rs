//! `bash`: a command in the session's one shell.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};

use super::{Call, Result, input::Input};
use crate::shell::{self, Order};

const DEFAULT: Duration = Duration::from_secs(120);
const LONGEST: Duration = Duration::from_secs(600);

pub(super) fn run(call: &Call<'_>, shell: &shell::Handle, input: &Map<String, Value>) -> Result {
    Ok(shell.run(order(input)?, call.id, Arc::clone(&call.cancel), call.allowance))
}

fn order(input: &Map<String, Value>) -> std::result::Result<Order, super::Failed> {
    let input = Input::new("bash", input, &["command", "restart", "timeout_ms"])?;
    if input.flag("restart")? {
        return Ok(Order::Restart);
    }
    let command = input.required("command")?;
    if command.contains('\0') {
        return Err(input.fault("command must not contain NUL"));
    }
    let timeout = match input.milliseconds("timeout_ms")? {
        None | Some(0) => DEFAULT,
        Some(milliseconds) => Duration::from_millis(milliseconds).min(LONGEST),
    };
    Ok(Order::Run { command: command.to_owned(), timeout })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tools::Failed;

    fn of(input: Value) -> std::result::Result<Order, Failed> {
        let Value::Object(input) = input else { panic!("an object is wanted") };
        order(&input)
    }

    #[test]
    fn a_command_is_required_unless_the_shell_is_restarted() {
        assert_eq!(of(json!({})).unwrap_err(), Failed("bash: command is required".into()));
        assert_eq!(of(json!({"command": ""})).unwrap_err(), Failed("bash: command is required".into()));
        assert!(matches!(of(json!({"restart": true})), Ok(Order::Restart)));
    }

    #[test]
    fn a_timeout_is_kept_within_bounds() {
        let timeout = |value: Value| match of(json!({"command": "true", "timeout_ms": value})) {
            Ok(Order::Run { timeout, .. }) => timeout,
            other => panic!("not a command: {other:?}"),
        };
        assert_eq!(timeout(Value::Null), DEFAULT);
        assert_eq!(timeout(json!(0)), DEFAULT);
        assert_eq!(timeout(json!(1500)), Duration::from_millis(1500));
        assert_eq!(timeout(json!(1e12)), LONGEST);
    }
}
