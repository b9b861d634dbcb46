//! The paths that are pages (WEB-4): all of them are `index.html`, whose router
//! knows the same list (`assets/app.js`; a test compares them).

/// Patterns; `{id}` is one segment.
pub const PAGES: &[&str] = &[
    "/",
    "/promise",
    "/verify",
    "/api",
    "/signin",
    "/register",
    "/verify-mail",
    "/reset-password",
    "/unsubscribe",
    "/account",
    "/mails",
    "/listings",
    "/listings/{id}",
    "/listings/{id}/query",
    "/orders",
    "/orders/{id}",
    "/balance",
    "/partner/keys",
    "/partner/webhooks",
    "/custodian",
    "/custodian/new",
    "/custodian/listings/{id}",
    "/admin",
    "/admin/review",
    "/admin/review/{id}",
    "/admin/accounts",
    "/admin/cash",
    "/admin/ledger",
    "/admin/machines",
    "/admin/audit",
    "/admin/alarms",
    "/admin/mails",
    "/operator",
];

/// Longest id in a path.
const MAX_ID: usize = 64;

fn is_id(segment: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !segment.is_empty() && segment.len() <= MAX_ID && segment.bytes().all(known)
}

/// Whether a path is a page.
pub fn is_page(path: &str) -> bool {
    PAGES.iter().any(|pattern| {
        let (mut asked, mut wanted) = (path.split('/'), pattern.split('/'));
        loop {
            match (asked.next(), wanted.next()) {
                (None, None) => return true,
                (Some(a), Some("{id}")) if is_id(a) => {}
                (Some(a), Some(w)) if a == w => {}
                _ => return false,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_nothing_else() {
        // WEB-4
        for good in [
            "/",
            "/listings",
            "/listings/01900000-0000-7000-8000-000000000000/query",
            "/admin/review/x",
        ] {
            assert!(is_page(good), "{good}");
        }
        let long = format!("/orders/{}", "a".repeat(MAX_ID + 1));
        for bad in [
            "",
            "//",
            "/nothing",
            "/listings/",
            "/listings//",
            "/listings/a/b",
            "/listings/../promise",
            "/orders/a%20b",
            "/v1/session",
            "/graphql",
            "/index.html",
            &long,
        ] {
            assert!(!is_page(bad), "{bad}");
        }
    }
}
