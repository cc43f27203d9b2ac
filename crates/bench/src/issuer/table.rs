//! What was measured, as a table in Markdown.

use std::fmt::Write as _;

use anyhow::Result;

use super::{Row, Signing};

/// One line for one measurement.
#[expect(clippy::print_stdout, reason = "this is its purpose")]
pub(super) fn print_json(row: &Row) -> Result<()> {
    println!("{}", serde_json::to_string(row)?);
    Ok(())
}

/// The table, and below it the comparisons.
#[expect(clippy::print_stdout, reason = "this is its purpose")]
pub(super) fn print(rows: &[Row]) {
    println!("{}", text(rows));
}

/// All measurements of one case; the first of them names it.
fn cases(rows: &[Row]) -> Vec<Vec<&Row>> {
    let mut cases: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        match cases.iter_mut().find(|case| case.first().is_some_and(|first| is_same(first, row))) {
            Some(case) => case.push(row),
            None => cases.push(vec![row]),
        }
    }
    cases
}

fn is_same(a: &Row, b: &Row) -> bool {
    (&a.server, a.clients, a.signing) == (&b.server, b.clients, b.signing)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match (values.get(low), values.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => f64::NAN,
    }
}

/// `of` of each measurement over that of another case in the same round.
fn against(case: &[&Row], rows: &[Row], is_other: impl Fn(&Row) -> bool, of: impl Fn(&Row) -> f64) -> Option<f64> {
    let pairs = case.iter().filter_map(|row| {
        let other = rows.iter().find(|other| other.round == row.round && is_other(other))?;
        Some(of(row) / of(other))
    });
    let pairs: Vec<f64> = pairs.collect();
    (!pairs.is_empty()).then(|| median(pairs))
}

fn percent(ratio: Option<f64>) -> String {
    ratio.map(|ratio| format!("{:+.1} %", (ratio - 1.0) * 100.0)).unwrap_or_default()
}

fn text(rows: &[Row]) -> String {
    let mut text = String::from(
        "| server, replay | key | clients | tokens/s | CPU µs | verify + sign µs | CPU ratio | over memory | p50 ms | p99 ms | at 80 %: p50 | p99 | server, load busy | MiB | start s | bytes a client |\n\
         | --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for case in cases(rows) {
        let Some(first) = case.first() else { continue };
        let of = |value: fn(&Row) -> f64| median(case.iter().map(|row| value(row)).collect());
        let memory =
            |other: &Row| other.server == "skybru, memory" && other.clients == first.clients && other.signing == first.signing;
        let is_ours = first.server.starts_with("skybru") && first.server != "skybru, memory";
        let over_memory = if is_ours { against(&case, rows, memory, |row| row.ratio) } else { None };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.0} | {:.0} | {:.0} | {:.3} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} %, {:.0} % | {:.0} | {:.2} | {} |",
            first.server,
            first.signing.name(),
            first.clients,
            of(|row| row.rate),
            of(|row| row.cpu_us),
            of(|row| row.floor_us),
            of(|row| row.ratio),
            percent(over_memory),
            of(|row| row.p50_ms),
            of(|row| row.p99_ms),
            of(|row| row.open_p50_ms),
            of(|row| row.open_p99_ms),
            of(|row| row.server_busy) * 100.0,
            of(|row| row.load_busy) * 100.0,
            of(|row| row.resident_mib),
            of(|row| row.start_s),
            bytes_a_client(&case, rows)
        );
    }
    text.push('\n');
    for case in cases(rows) {
        compare(&mut text, &case, rows);
    }
    text
}

/// What a registered client takes, over the process with one client.
fn bytes_a_client(case: &[&Row], rows: &[Row]) -> String {
    let Some(row) = case.first().filter(|row| row.clients >= 100_000) else { return String::new() };
    let base = rows.iter().find(|base| base.clients == 1 && base.server == row.server && base.signing == row.signing);
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let bytes = |base: &Row| (row.ready_mib - base.ready_mib) * f64::from(1 << 20) / row.clients as f64;
    base.map(|base| format!("{:.0}", bytes(base))).unwrap_or_default()
}

/// Against the other server, and against the build before.
fn compare(text: &mut String, case: &[&Row], rows: &[Row]) {
    let Some(row) = case.first().filter(|row| row.server.starts_with("skybru")) else { return };
    for signing in [row.signing, Signing::Rs256] {
        let provider = |other: &Row| other.server == "oidc-provider" && other.signing == signing;
        let rate = against(case, rows, provider, |row| row.rate);
        let (Some(rate), Some(cpu)) = (rate, against(case, rows, provider, |row| row.cpu_us)) else { continue };
        let _ = writeln!(
            text,
            "- {}, {}, clients: {}; against oidc-provider, {}: {rate:.2} × its tokens per second, {cpu:.3} × its CPU per token",
            row.server,
            row.signing.name(),
            row.clients,
            signing.name()
        );
        if row.signing == Signing::Rs256 {
            break;
        }
    }
    let before = |other: &Row| {
        other.server == format!("{} (before)", row.server) && other.clients == row.clients && other.signing == row.signing
    };
    if let Some(cpu) = against(case, rows, before, |row| row.ratio) {
        let _ = writeln!(
            text,
            "- {}, {}, clients: {}; CPU against before: {}",
            row.server,
            row.signing.name(),
            row.clients,
            percent(Some(cpu))
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(server: &str, round: usize, cpu_us: f64) -> Row {
        Row {
            server: server.to_owned(),
            clients: 1,
            signing: Signing::Rs256,
            round,
            rate: 1e6 / cpu_us,
            cpu_us,
            floor_us: 100.0,
            ratio: cpu_us / 100.0,
            p50_ms: 1.0,
            p99_ms: 2.0,
            open_p50_ms: 1.0,
            open_p99_ms: 2.0,
            server_busy: 1.0,
            load_busy: 0.5,
            resident_mib: 10.0,
            start_s: 0.1,
            ready_mib: 9.0,
        }
    }

    #[test]
    fn what_is_compared_comes_from_the_same_round() {
        // The second round was twice as slow for everybody.
        let rows = [
            row("skybru, memory", 1, 100.0),
            row("skybru, sqlite", 1, 110.0),
            row("oidc-provider", 1, 300.0),
            row("skybru, memory", 2, 200.0),
            row("skybru, sqlite", 2, 220.0),
            row("oidc-provider", 2, 600.0),
        ];
        let text = text(&rows);
        assert!(text.contains("| skybru, sqlite | RS256 | 1 | 6818 | 165 | 100 | 1.650 | +10.0 % |"), "{text}");
        assert!(text.contains("- skybru, memory, RS256, clients: 1; against oidc-provider, RS256: 3.00 × its tokens"), "{text}");
    }
}
