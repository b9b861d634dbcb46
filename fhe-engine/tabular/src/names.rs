//! Names that may be published: what the manifest's conformance gate accepts
//! (rule DS-5), refused here with the place they come from.

use crate::error::TabularError;
use veilbourse_core::manifest::MAX_NAME;

/// Refuses a name that a manifest cannot hold.
pub(crate) fn check(what: &'static str, value: &str) -> Result<(), TabularError> {
    let reason = if value.is_empty() {
        "is empty".to_owned()
    } else if value.len() > MAX_NAME as usize {
        format!("has {} bytes, the limit is {MAX_NAME}", value.len())
    } else if value.chars().any(char::is_control) {
        "has control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(TabularError::BadName {
        what,
        value: value.chars().take(MAX_NAME as usize).collect(),
        reason,
    })
}

/// The name of a one-hot column.
pub(crate) fn category(source: &str, value: &str) -> Result<String, TabularError> {
    let name = format!("{source}={value}");
    check("category column", &name)?;
    Ok(name)
}

/// Refuses a source column name: "1" is the constant.
pub(crate) fn source(value: &str) -> Result<(), TabularError> {
    if value == "1" {
        return Err(TabularError::BadName {
            what: "column name",
            value: value.to_owned(),
            reason: "is the name of the constant column".to_owned(),
        });
    }
    check("column name", value)
}
