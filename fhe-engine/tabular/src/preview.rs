//! The first rows of a table as they are written, for a form in which the settings
//! are made: readable where the table under its settings is still refused.

use crate::{config::SchemaConfig, error::TabularError, input};
use std::io::{Read, Seek};

/// Most characters of a cell that are shown.
const CELL: usize = 64;

/// Names and first rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Column names, in order.
    pub headers: Vec<String>,
    /// Cells of the first rows, long ones cut off.
    pub rows: Vec<Vec<String>>,
}

/// Reads the header and at most `most` rows.
pub fn preview<R: Read + Seek>(
    reader: R,
    config: &SchemaConfig,
    most: usize,
) -> Result<Preview, TabularError> {
    let mut records = input::Records::open(reader, config)?;
    let headers = records.headers().to_vec();
    let mut rows = Vec::new();
    while rows.len() < most {
        let Some((_, record)) = records.next()? else {
            break;
        };
        let cut = |cell: &str| cell.chars().take(CELL).collect();
        rows.push(record.iter().map(cut).collect());
    }
    Ok(Preview { headers, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rows_are_shown_as_they_are() {
        let csv = format!("a,b\n1,x\n,{}\nno,3\n", "y".repeat(100));
        let config = SchemaConfig::new("t");
        let p = preview(std::io::Cursor::new(csv), &config, 2).expect("reads");
        assert_eq!(p.headers, ["a", "b"]);
        assert_eq!(p.rows[0], ["1", "x"]);
        assert_eq!(p.rows[1], [String::new(), "y".repeat(64)]);
        assert_eq!(p.rows.len(), 2);
    }
}
