//! What a text for people may hold (REV-5): nothing that makes it read as
//! something else than it is.

use crate::{DomainError, Result};

/// Characters that no name, title or description needs: controls, and those
/// that reorder or hide what stands beside them (Unicode Technical Report 36).
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Refuses control and direction characters; `lines` may break.
pub fn check_text(field: &'static str, text: &str, lines: bool) -> Result<()> {
    let allowed = |c: char| lines && matches!(c, '\n' | '\r' | '\t');
    match text.chars().find(|c| hidden(*c) && !allowed(*c)) {
        Some(c) => Err(DomainError::TextCharacter {
            field,
            code: u32::from(c),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_show_what_they_say() {
        // REV-5
        // Joiners shape letters of several scripts: they stay.
        for good in [
            "Visits",
            "Æthel & Co. (2024)",
            "Größe",
            "数据",
            "می\u{200c}خواهم",
        ] {
            assert_eq!(check_text("title", good, false), Ok(()), "{good}");
        }
        assert_eq!(check_text("description", "a\nb\tc", true), Ok(()));
        for (bad, code) in [
            ("a\nb", 0x0a),
            ("a\u{0}b", 0),
            ("\u{1b}[31m", 0x1b),
            ("abc\u{202e}cba", 0x202e),
            ("a\u{2066}b", 0x2066),
            ("a\u{200b}b", 0x200b),
            ("\u{feff}a", 0xfeff),
            ("a\u{85}b", 0x85),
        ] {
            let refused = DomainError::TextCharacter {
                field: "title",
                code,
            };
            assert_eq!(check_text("title", bad, false), Err(refused), "{bad:?}");
        }
    }
}
