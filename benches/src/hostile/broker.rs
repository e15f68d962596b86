//! The process of the attacked broker. It prints its endpoint, and then its state for each input
//! line.

use std::io::BufRead;

use majordomus::Broker;
use majordomus::broker::{Config, Listen, Outcome, PeerViolation, Snapshot};

use super::{Attack, Scale};
use crate::{Verdict, cost, text};

pub(super) fn run(attack: &Attack, scale: Scale) -> Result<Verdict, String> {
    let mut config = Config::try_from("tcp://127.0.0.1:0").map_err(text)?;
    let path = std::env::temp_dir().join(format!("majordomus-hostile-{}", std::process::id()));
    let ipc = format!("ipc://{}", path.display()).parse().map_err(text)?;
    config.listen.push(Listen::new(ipc));
    (attack.configure)(scale, &mut config);
    let broker = Broker::start(config).map_err(text)?;
    let [tcp, ipc] = broker.endpoints() else { return Err("it listens elsewhere".into()) };
    println!("{tcp} {ipc}");
    let control = broker.control();
    for line in std::io::stdin().lock().lines() {
        line.map_err(text)?;
        let live_bytes = cost::live_bytes();
        let now = control.snapshot().ok_or("the broker has ended")?;
        println!("live_bytes {live_bytes} {}", counts(&now));
    }
    let last = broker.blocking_shutdown().map_err(text)?;
    println!("{}", counts(&last));
    Ok(Verdict::Met)
}

/// Formats the broker's counters and gauges with their names.
fn counts(now: &Snapshot) -> String {
    let (counters, holdings) = (&now.counters, &now.holdings);
    let own = [
        ("connections", now.connections as u64),
        ("handshakes", now.handshakes as u64),
        ("accepted", now.accepted),
        ("reception_bytes", now.reception_bytes as u64),
        ("peers", holdings.peers as u64),
        ("services", holdings.services as u64),
        ("requests", holdings.requests as u64),
        ("held_clients", holdings.held_clients as u64),
        ("balanced", u64::from(counters.balanced())),
        ("received", counters.received),
        ("in_progress", counters.in_progress),
        ("redelivered", counters.redelivered),
        ("partials", counters.partials),
        ("late_replies", counters.late_replies),
        ("workers_registered", counters.workers_registered),
        ("workers_lost", counters.workers_lost),
    ];
    let own = own.map(|(name, count)| format!("{name} {count}"));
    let outcomes = Outcome::ALL
        .map(|outcome| format!("outcome.{} {}", outcome.name(), counters.outcome(outcome)));
    let violations = PeerViolation::ALL.map(|violation| {
        format!("violation.{} {}", violation.name(), counters.violation(violation))
    });
    let closed = now.closed.iter().map(|(reason, count)| format!("closed.{reason} {count}"));
    let refused = now.refused.iter().map(|(reason, count)| format!("refused.{reason} {count}"));
    let all = own.into_iter().chain(outcomes).chain(violations).chain(closed).chain(refused);
    all.collect::<Vec<_>>().join(" ")
}
