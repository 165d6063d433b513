//! The values of options: sizes, times, numbers, and variables of the environment.

use std::time::Duration;

const SIZES: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("B", 1),
];

/// A number of bytes: `64MiB`, `1GiB`, `512K`, `4096`.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let form = || "a size is a number with a unit, as 64MiB or 1GiB".to_owned();
    let unit = SIZES.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (number, unit) = unit.unwrap_or((text, 1));
    let number: u64 = number.trim_end().parse().map_err(|_| form())?;
    let bytes = number.checked_mul(unit).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or_else(|| "more than this machine can address".to_owned())
}

/// A time: `500ms`, `2s`, `1.5s`, `1m30s`, `2h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let form = || "a time is a number with a unit, as 500ms, 2s or 1m30s".to_owned();
    let mut total = Duration::ZERO;
    let mut rest = text;
    if rest.is_empty() {
        return Err(form());
    }
    while !rest.is_empty() {
        let end_of_number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(form)?;
        let (number, tail) = rest.split_at(end_of_number);
        let end_of_unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end_of_unit);
        let number: f64 = number.parse().map_err(|_| form())?;
        let seconds = match unit {
            "ms" => number / 1000.0,
            "s" => number,
            "m" => number * 60.0,
            "h" => number * 3600.0,
            _ => return Err(form()),
        };
        let part = Duration::try_from_secs_f64(seconds).map_err(|_| "too long a time".to_owned())?;
        total = total.checked_add(part).ok_or("too long a time")?;
        rest = tail;
    }
    if total.is_zero() {
        return Err("it must be longer than nothing".to_owned());
    }
    Ok(total)
}

/// A number of at least one: without a worker, or a request under way, nothing would ever happen.
pub(super) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("it must be 1 at least".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("it must be a number".to_owned()),
    }
}

/// `NAME=VALUE`, or `NAME` for the value it has here.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => (text, std::env::var(text).map_err(|error| format!("its value cannot be inherited: {error}"))?),
    };
    if name.is_empty() {
        return Err("the name is missing".to_owned());
    }
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("1 GiB"), Ok(1 << 30));
        assert_eq!(size("2kB"), Ok(2000));
        assert_eq!(size("8K"), Ok(8192));
        for wrong in ["", "MiB", "-1", "1.5GiB", "1TiB", "99999999999999999999", "99999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for wrong in ["", "5", "s", "5x", "-1s", "1.2.3s", "0s", "1s2", "99999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn positive_numbers() {
        assert_eq!(positive("1"), Ok(1));
        for wrong in ["0", "-1", "", "many"] {
            assert!(positive(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn variables() {
        assert_eq!(variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(variable("A="), Ok(("A".to_owned(), String::new())));
        assert!(variable("=b").is_err());
        assert!(variable("AIOHOST_TEST_IS_NOT_SET").is_err());
    }
}
