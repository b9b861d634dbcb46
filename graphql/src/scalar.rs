//! Money as a decimal string of minor units: JSON numbers are doubles.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use veilbourse_domain::MinorUnits;

/// Integer minor units (100 to a credit), as a decimal string; negative only
/// in balances of the outside world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money(pub i64);

#[Scalar]
impl ScalarType for Money {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(s) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        match s.parse::<i64>() {
            Ok(v) if v.to_string() == *s => Ok(Self(v)),
            _ => Err(InputValueError::custom(format!("{s:?} is no decimal integer of minor units"))),
        }
    }
    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

impl From<MinorUnits> for Money {
    fn from(v: MinorUnits) -> Self {
        Self(v.get())
    }
}
