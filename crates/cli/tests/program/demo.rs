//! The demonstration, as it is seen.

use majordomus::Dialect;

use crate::process::run;

/// The matrix among the lines of the output: the names of the workers, then a row for each client.
fn matrix(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let names = Dialect::ALL.map(Dialect::name);
    rows.skip_while(|row| *row != names).take(1 + names.len()).collect()
}

#[test]
fn every_client_has_a_round_trip_with_every_worker_in_80_columns() {
    let finished = run(&["demo"]);
    assert!(finished.status.success(), "{finished:?}");
    assert_eq!(finished.stderr, "");
    let matrix = matrix(finished.text());
    assert_eq!(matrix.len(), 1 + Dialect::ALL.len(), "{}", finished.text());
    for (client, row) in Dialect::ALL.iter().zip(&matrix[1..]) {
        assert_eq!(row[0], client.name());
        // Each cell is a verdict and a time.
        let cells: Vec<_> = row[1..].chunks(2).collect();
        assert_eq!(cells.len(), Dialect::ALL.len(), "{row:?}");
        for cell in cells {
            assert_eq!(cell[0], "ok", "{row:?}");
            assert!(cell[1].starts_with(|first: char| first.is_ascii_digit()), "{row:?}");
        }
    }
    // What to run next is this program as it was called, which need not be on the path.
    let program = env!("CARGO_BIN_EXE_majordomus");
    let (shown, next) = finished.text().split_once("\nAll came back right").expect("it ends well");
    for command in ["broker", "worker echo --echo", "request echo hello"] {
        assert!(next.contains(&format!("\n  {program} {command}\n")), "{next}");
    }
    for line in shown.lines() {
        assert!(line.chars().count() <= 80, "{line:?}");
    }
}
