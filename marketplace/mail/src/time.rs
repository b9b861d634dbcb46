//! Times for people: minutes, in UTC.

use veilbourse_domain::Millis;

/// `2026-11-22 05:16 UTC`. Days to date after Howard Hinnant, "chrono-compatible
/// low-level date algorithms", `civil_from_days`, for days from 1970 on.
pub(crate) fn utc(at: Millis) -> String {
    let minutes = at / 60_000;
    let (days, minute) = (minutes / 1_440, minutes % 1_440);
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (minute / 60, minute % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (at, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00 UTC"),
            (1_700_000_000_000, "2023-11-14 22:13 UTC"),
            (4_107_542_399_999, "2100-02-28 23:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(utc(at), text);
        }
        // The largest value has a date as well.
        assert!(utc(u64::MAX).ends_with(" UTC"));
    }
}
