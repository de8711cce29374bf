//! Budgets: the most that a session may spend.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Money;
use crate::read::{Fields, Invalid, Read};

/// A cap on the list cost of everything that a session does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    pub r#type: BudgetType,
    pub max_list_cost: Money,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetType {
    #[default]
    Limit,
}

impl Budget {
    pub const fn limit(max_list_cost: Money) -> Self {
        Self { r#type: BudgetType::Limit, max_list_cost }
    }
}

/// The most digits of an amount in cents: costs are counted in much smaller units, and a budget must fit them.
const MAX_DIGITS: usize = 9;

impl Read for Budget {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        if fields.required::<String>("type")? != "limit" {
            return Err(fields.invalid("type", "Input should be 'limit'"));
        }
        let max_list_cost = fields.required("max_list_cost")?;
        fields.end()?;
        Ok(Self::limit(max_list_cost))
    }
}

/// As a client sets it: above zero.
impl Read for Money {
    fn read(value: Value, path: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, path)?;
        let amount: String = fields.required("amount")?;
        let is_whole = !amount.starts_with('0') && amount.bytes().all(|byte| byte.is_ascii_digit());
        if !is_whole || amount.is_empty() || amount.len() > MAX_DIGITS {
            let message =
                format!("Input should be whole cents above zero: 1 to {MAX_DIGITS} digits, without leading zeros");
            return Err(fields.invalid("amount", message));
        }
        let currency: String = fields.required("currency")?;
        if currency != "USD" {
            return Err(fields.invalid("currency", "Input should be 'USD'"));
        }
        fields.end()?;
        Ok(Self { amount, currency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn limit(amount: Value) -> Value {
        json!({"type": "limit", "max_list_cost": {"amount": amount, "currency": "USD"}})
    }

    #[test]
    fn a_budget_is_read_and_written_alike() {
        for amount in ["1", "2500", "999999999"] {
            let budget = Budget::read(limit(json!(amount)), "budget").unwrap();
            assert_eq!(budget.max_list_cost.amount, amount);
            assert_eq!(serde_json::to_value(&budget).unwrap(), limit(json!(amount)));
        }
    }

    #[test]
    fn amounts_are_whole_cents_above_zero_in_a_string() {
        let texts = ["0", "05", "00", "", "25.00", "-5", "+5", " 5", "1e3", "٣"].map(|text| json!(text));
        let others = [json!("1".repeat(10)), json!(25), json!(25.5), json!(null), json!(["5"])];
        for amount in texts.into_iter().chain(others) {
            let message = Budget::read(limit(amount.clone()), "budget").unwrap_err().to_string();
            assert!(message.starts_with("budget.max_list_cost.amount: "), "{amount} gave {message}");
        }
    }

    #[test]
    fn refusals_name_the_field() {
        for (value, expected) in [
            (json!("2500"), "budget: Input should be an object"),
            (json!({}), "budget.type: Field required"),
            (json!({"type": "target"}), "budget.type: Input should be 'limit'"),
            (json!({"type": "limit"}), "budget.max_list_cost: Field required"),
            (json!({"type": "limit", "max_list_cost": "5"}), "budget.max_list_cost: Input should be an object"),
            (
                json!({"type": "limit", "max_list_cost": {"amount": "5"}}),
                "budget.max_list_cost.currency: Field required",
            ),
            (
                json!({"type": "limit", "max_list_cost": {"amount": "5", "currency": "EUR"}}),
                "budget.max_list_cost.currency: Input should be 'USD'",
            ),
            (
                json!({"type": "limit", "max_list_cost": {"amount": "5", "currency": "USD", "unit": "cent"}}),
                "budget.max_list_cost.unit: Extra inputs",
            ),
            (
                json!({"type": "limit", "max_list_cost": {"amount": "5", "currency": "USD"}, "per": "day"}),
                "budget.per: Extra inputs",
            ),
        ] {
            let message = Budget::read(value.clone(), "budget").unwrap_err().to_string();
            assert!(message.starts_with(expected), "{value} gave {message}");
        }
    }
}
