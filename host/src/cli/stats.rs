//! The table of `--stats`: requests by name.

use std::fmt::Write as _;
use std::time::Duration;

use aiohost::{Counters, RequestStats, Stats};

const HEAD: [&str; 7] = ["request", "count", "errors", "inline", "queued", "ran", "bytes"];

/// The table, a line for each request and one for their sum.
pub(super) fn table(stats: &Stats, counters: Counters) -> String {
    let under_way = counters.queued + counters.running;
    if stats.is_empty() && counters.canceled == 0 {
        return if under_way == 0 { "no requests\n".to_owned() } else { format!("no requests done\nunder way: {under_way}\n") };
    }
    let mut rows = vec![HEAD.map(str::to_owned)];
    let mut total = RequestStats::default();
    for (name, stats) in stats {
        total += stats;
        rows.push(row(name, stats));
    }
    rows.push(row("all", &total));
    let mut text = lay_out(&rows);
    if counters.canceled > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "canceled: {}", counters.canceled);
    }
    if under_way > 0 {
        let _ = writeln!(text, "under way: {under_way}");
    }
    text
}

fn row(name: &str, stats: &RequestStats) -> [String; 7] {
    [
        name.to_owned(),
        stats.count.to_string(),
        stats.errors.to_string(),
        stats.inline.to_string(),
        time(stats.queued),
        time(stats.ran),
        bytes(stats.bytes),
    ]
}

/// Columns of equal width, the first to the left and the others to the right.
fn lay_out(rows: &[[String; 7]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let mut line = format!("{:<width$}", row[0], width = width(0));
        for (column, cell) in row.iter().enumerate().skip(1) {
            let _ = write!(line, "  {cell:>width$}", width = width(column));
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// A time in three digits and the unit that suits it.
fn time(time: Duration) -> String {
    let micros = (time.as_nanos() + 500) / 1000;
    match micros {
        _ if time.is_zero() => "-".to_owned(),
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{} ms", three_digits(micros, 1_000)),
        _ => format!("{} s", three_digits(micros, 1_000_000)),
    }
}

/// A size in three digits and the unit that suits it.
fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        _ if bytes == 0 => "-".to_owned(),
        None => format!("{bytes} B"),
        Some((unit, name)) => format!("{} {name}", three_digits(bytes.into(), (*unit).into())),
    }
}

/// `value / unit` in three digits, or as many as there are before the point.
fn three_digits(value: u128, unit: u128) -> String {
    let hundredths = (value * 100 + unit / 2) / unit;
    match hundredths {
        0..1_000 => format!("{}.{:02}", hundredths / 100, hundredths % 100),
        1_000..10_000 => format!("{}.{}", hundredths / 100, hundredths / 10 % 10),
        _ => (hundredths / 100).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_request_and_their_sum() {
        let read = RequestStats {
            count: 1200,
            inline: 1100,
            bytes: 4_915_200,
            ran: Duration::from_micros(1234),
            ..Default::default()
        };
        let stat = RequestStats { count: 3, errors: 1, queued: Duration::from_micros(15), ..Default::default() };
        let stats = Stats::from([("read", read), ("stat", stat)]);
        let expected = "\
request  count  errors  inline  queued      ran     bytes
read      1200       0    1100       -  1.23 ms  4.69 MiB
stat         3       1       0   15 µs        -         -
all       1203       1    1100   15 µs  1.23 ms  4.69 MiB
canceled: 2
";
        assert_eq!(table(&stats, Counters { canceled: 2, ..Default::default() }), expected);
    }

    #[test]
    fn a_guest_without_requests_has_no_table() {
        assert_eq!(table(&Stats::new(), Counters::default()), "no requests\n");
    }

    #[test]
    fn requests_that_are_not_done_are_counted() {
        let under_way = Counters { queued: 2, running: 1, ..Default::default() };
        assert_eq!(table(&Stats::new(), under_way), "no requests done\nunder way: 3\n");
        let stats = Stats::from([("nop", RequestStats { count: 1, ..Default::default() })]);
        assert!(table(&stats, under_way).ends_with("all          1       0       0       -    -      -\nunder way: 3\n"));
    }

    #[test]
    fn values_have_three_digits() {
        assert_eq!(time(Duration::from_millis(999)), "999 ms");
        assert_eq!(time(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1 << 30), "1.00 GiB");
    }
}
