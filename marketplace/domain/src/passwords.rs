//! Which passwords are taken (ACC-2, ACC-8).
//!
//! The commonest passwords of twelve and more characters are made of few parts:
//! walks over the keyboard and counting ("1q2w3e4r5t6y", "123456789012"), a
//! short piece again and again, and one or two of some dozens of words with
//! digits behind ("Password1234", "iloveyou2023"). So instead of a list, which
//! ends somewhere, what is left of a password once such parts are taken out
//! must be four letters, or eight digits and signs, at least (NIST SP 800-63B, 5.1.1.2: compare with common,
//! repeating, sequential and context-specific ones).

use crate::{DomainError, Result};
use std::ops::RangeInclusive;

/// Characters of a password.
pub const PASSWORD_LENGTHS: RangeInclusive<usize> = 12..=128;
/// Letters that must be left beside common parts,
const LEFT: usize = 4;
/// or digits and signs: a random number is no counting.
const OTHERS: usize = 8;
/// Characters of mail and name that a password may not hold.
const OWN: usize = 5;

/// Parts that count for nothing, longest first where one holds another.
const COMMON: &[&str] = &[
    "administrator",
    "veilbourse",
    "basketball",
    "q1w2e3r4t5y6",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "liverpool",
    "starwars",
    "superman",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "iloveyou",
    "trustno1",
    "whatever",
    "computer",
    "internet",
    "passphrase",
    "password",
    "passwort",
    "passw",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertz",
    "qwerty",
    "azerty",
    "asdfgh",
    "zxcvbn",
    "letmein",
    "welcome",
    "monkey",
    "dragon",
    "master",
    "shadow",
    "michael",
    "charlie",
    "jordan",
    "freedom",
    "batman",
    "access",
    "secret",
    "changeme",
    "default",
    "abcdef",
    "abc",
    "admin",
    "login",
    "guest",
    "hello",
    "summer",
    "winter",
    "spring",
    "autumn",
    "january",
    "october",
    "november",
    "december",
    "monday",
    "friday",
    "flower",
    "cookie",
    "soccer",
    "hockey",
    "killer",
    "pepper",
    "ginger",
    "qazwsx",
    "love",
    "pass",
    "user",
    "test",
    "asd",
    "qwe",
    "zxc",
    "root",
];
/// Rows and columns that fingers walk along.
const WALKS: &[&str] = &[
    "01234567890123456789",
    "!@#$%^&*()_+",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
];

/// Lower case, with the letters that digits and signs stand for.
fn plain(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            '@' | '4' => 'a',
            '3' => 'e',
            '1' | '!' | '|' => 'i',
            '0' => 'o',
            '$' | '5' => 's',
            '7' => 't',
            c => c,
        })
        .collect()
}

/// What is left of lower-case text without common words.
fn without_words(mut text: String) -> String {
    for word in COMMON {
        text = text.replace(word, " ");
    }
    text
}

/// What is left without runs of four and more along a walk, either way.
fn without_walks(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let follows = |a: char, b: char| {
        WALKS.iter().any(|w| {
            let mut pairs = w.chars().zip(w.chars().skip(1));
            pairs.any(|(x, y)| (a, b) == (x, y) || (b, a) == (x, y))
        })
    };
    let mut out = String::new();
    let mut run: Vec<char> = Vec::new();
    for c in chars {
        match run.last() {
            Some(last) if follows(*last, c) || *last == c => run.push(c),
            _ => {
                if run.len() < 4 {
                    out.extend(run.iter());
                }
                run = vec![c];
            }
        }
    }
    if run.len() < 4 {
        out.extend(run);
    }
    out
}

/// Whether a piece of at most half its length makes it up.
fn repeats(text: &str) -> bool {
    let c: Vec<char> = text.chars().collect();
    (1..=c.len() / 2).any(|p| c.iter().zip(c.iter().skip(p)).all(|(a, b)| a == b))
}

/// Refuses a password by its length, its parts, and what it has of its owner.
pub fn check_password(password: &str, mail: &str, name: &str) -> Result<()> {
    let n = password.chars().count();
    if !PASSWORD_LENGTHS.contains(&n) {
        return Err(DomainError::invalid(
            "password",
            format!("has {n} characters, allowed are 12 to 128"),
        ));
    }
    let weak = |reason| Err(DomainError::PasswordWeak { reason });
    let lower = password.to_lowercase();
    let mut distinct: Vec<char> = lower.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 5 {
        return weak("it has fewer than 5 different characters");
    }
    if repeats(&lower) {
        return weak("it repeats one piece");
    }
    let mail = mail.trim().to_lowercase();
    let local = mail.split('@').next().unwrap_or_default().to_owned();
    let name = name.trim().to_lowercase();
    let squeezed: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    for own in [&mail, &local, &name, &squeezed] {
        if own.chars().count() >= OWN && lower.contains(own.as_str()) {
            return weak("it holds your name or mail address");
        }
    }
    let walked = without_walks(&lower);
    let left = |text: &str| {
        let rest = without_words(text.to_owned());
        let letters = rest.chars().filter(|c| c.is_alphabetic()).count();
        let others = rest.chars().filter(|c| !c.is_whitespace()).count() - letters;
        letters >= LEFT || others >= OTHERS
    };
    // As it stands, and with the letters that digits and signs stand for.
    if !left(&walked) || !left(&plain(&walked)) {
        return weak("it is made of common words, rows of keys or counting");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(password: &str) -> Option<&'static str> {
        check_password(password, "maria.curie@example.org", "Maria Curie")
            .err()
            .map(|e| e.code())
    }

    #[test]
    fn common_passwords_are_refused() {
        // ACC-8
        for bad in [
            "123456789012",
            "1234567890123456",
            "987654321098",
            "password1234",
            "Password123!",
            "P@ssw0rd1234",
            "qwertyuiop123",
            "qwerty123456",
            "1q2w3e4r5t6y",
            "1qaz2wsx3edc",
            "iloveyou2024",
            "letmein12345",
            "welcome12345",
            "administrator",
            "Admin1234567",
            "passwordpassword",
            "abcabcabcabc",
            "abcdefghijkl",
            "aaaaaaaaaaaa",
            "121212121212",
            "superman1234",
            "Football2023!",
            "changeme1234",
            "zxcvbnm12345",
            "asdfghjkl123",
            "summer2024!!",
            "P@ssw0rd1234567890",
            "!@#$%^&*()_+",
            "maria.curie1867",
            "xx-Maria Curie-9",
            "mariacurie#77",
        ] {
            assert_eq!(code(bad), Some("PASSWORD_WEAK"), "{bad}");
        }
    }

    #[test]
    fn others_are_taken() {
        // ACC-2, ACC-8
        for good in [
            "long enough here",
            "a password of a test",
            "a password for the test",
            "correct horse battery staple",
            "Xk3#vR9!pLq2",
            "7c1e9a0f4b62d85e3f90a1b2",
            "nnnn-mmmm-oooo-quer",
            "ночь улица фонарь",
            "482917305618",
        ] {
            assert_eq!(code(good), None, "{good}");
        }
        assert_eq!(code("short"), Some("INVALID"));
        assert_eq!(code(&"long ".repeat(26)), Some("INVALID"));
        assert!(check_password("their name is bo", "bo@b.example", "bo").is_ok());
    }
}
