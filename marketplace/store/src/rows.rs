//! Reading columns and making values.

use sea_orm::{QueryResult, TryGetable, Value};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Display, str::FromStr};
use veilbourse_domain::Digest;
use veilbourse_domain::{
    DomainError, Result,
    records::{Page, PageRequest},
};

/// Values in the order of `$1, $2, ...`.
macro_rules! vals {
    ($($v:expr),* $(,)?) => { vec![$(crate::rows::Bind::bind($v)),*] };
}
pub(crate) use vals;

/// What can be bound to a placeholder.
pub(crate) trait Bind {
    fn bind(self) -> Value;
}
impl Bind for u64 {
    fn bind(self) -> Value {
        i64::try_from(self).unwrap_or(i64::MAX).into()
    }
}
impl Bind for u32 {
    fn bind(self) -> Value {
        i64::from(self).into()
    }
}
impl Bind for i64 {
    fn bind(self) -> Value {
        self.into()
    }
}
impl Bind for &str {
    fn bind(self) -> Value {
        self.into()
    }
}
impl Bind for String {
    fn bind(self) -> Value {
        self.into()
    }
}
impl Bind for &String {
    fn bind(self) -> Value {
        self.as_str().into()
    }
}
impl Bind for Vec<u8> {
    fn bind(self) -> Value {
        self.into()
    }
}
impl<T: Bind> Bind for Option<T>
where
    Option<T>: OptionBind,
{
    fn bind(self) -> Value {
        self.option()
    }
}
/// Nulls keep their type for PostgreSQL.
pub(crate) trait OptionBind {
    fn option(self) -> Value;
}
impl OptionBind for Option<u64> {
    fn option(self) -> Value {
        self.map(|v| i64::try_from(v).unwrap_or(i64::MAX)).into()
    }
}
impl OptionBind for Option<String> {
    fn option(self) -> Value {
        self.into()
    }
}

/// An id, key or digest as text.
pub(crate) fn t(v: impl Display) -> Value {
    v.to_string().into()
}
impl Bind for Value {
    fn bind(self) -> Value {
        self
    }
}

pub(crate) fn get<T: TryGetable>(row: &QueryResult, column: &str) -> Result<T> {
    row.try_get("", column).map_err(crate::db::refuse)
}
pub(crate) fn text(row: &QueryResult, column: &str) -> Result<String> {
    get(row, column)
}
pub(crate) fn number(row: &QueryResult, column: &str) -> Result<u64> {
    let v: i64 = get(row, column)?;
    u64::try_from(v).map_err(|_| DomainError::storage(format!("{column} is {v}")))
}
pub(crate) fn maybe_number(row: &QueryResult, column: &str) -> Result<Option<u64>> {
    let v: Option<i64> = get(row, column)?;
    v.map(|v| u64::try_from(v).map_err(|_| DomainError::storage(format!("{column} is {v}"))))
        .transpose()
}
/// A stored text that parses as `T`; what does not is damage, not input.
pub(crate) fn parsed<T: FromStr>(row: &QueryResult, column: &str) -> Result<T>
where
    T::Err: Display,
{
    let s = text(row, column)?;
    s.parse()
        .map_err(|e| DomainError::storage(format!("{column} {s:?}: {e}")))
}
pub(crate) fn digest(row: &QueryResult, column: &str) -> Result<Digest> {
    let s = text(row, column)?;
    Digest::from_hex(&s).ok_or_else(|| DomainError::storage(format!("{column} {s:?}")))
}
pub(crate) fn maybe_digest(row: &QueryResult, column: &str) -> Result<Option<Digest>> {
    let s: Option<String> = get(row, column)?;
    s.map(|s| Digest::from_hex(&s).ok_or_else(|| DomainError::storage(format!("{column} {s:?}"))))
        .transpose()
}
pub(crate) fn body<T: DeserializeOwned>(row: &QueryResult, column: &str) -> Result<T> {
    serde_json::from_str(&text(row, column)?)
        .map_err(|e| DomainError::storage(format!("{column}: {e}")))
}
pub(crate) fn json<T: Serialize>(v: &T) -> Result<String> {
    serde_json::to_string(v).map_err(DomainError::storage)
}

/// Cuts `first + 1` rows to a page.
pub(crate) fn page<T>(
    request: &PageRequest,
    rows: &[QueryResult],
    cursor: &str,
    item: impl Fn(&QueryResult) -> Result<T>,
) -> Result<Page<T>> {
    let first = request.first as usize;
    let items = rows
        .iter()
        .take(first)
        .map(|r| Ok((text(r, cursor)?, item(r)?)))
        .collect::<Result<Vec<_>>>()?;
    Ok(Page {
        items,
        more: rows.len() > first,
    })
}

/// The conditions of a list: texts with `$n` filled in as they are added.
#[derive(Default)]
pub(crate) struct Where {
    clauses: Vec<String>,
    pub(crate) values: Vec<Value>,
}

impl Where {
    /// Adds a condition; each `?` takes the next value.
    pub(crate) fn and(&mut self, clause: &str, values: Vec<Value>) -> &mut Self {
        let mut n = self.values.len();
        let mut out = String::new();
        for c in clause.chars() {
            if c == '?' {
                n += 1;
                out.push_str(&format!("${n}"));
            } else {
                out.push(c);
            }
        }
        self.clauses.push(out);
        self.values.extend(values);
        self
    }
    /// The keyset condition of a page.
    pub(crate) fn after(&mut self, clause: &str, page: &PageRequest) -> &mut Self {
        if let Some(a) = &page.after {
            self.and(clause, vec![a.as_str().into()]);
        }
        self
    }
    pub(crate) fn sql(&self) -> String {
        if self.clauses.is_empty() {
            String::new()
        } else {
            format!("WHERE {}", self.clauses.join(" AND "))
        }
    }
}
