//! Log lines for the core's events.

use std::fmt;

use majordomus_core::broker::{Event, LossReason, PeerViolation};
use majordomus_core::{ByteStr, PeerId, Time};
use tracing::{debug, info, warn};

use crate::connection_stats::ConnectionStats;
use crate::slots::Slots;

/// The maximum number of services named in one log line.
const SERVICES_SHOWN_MAX: usize = 4;

/// A worker's registered services, formatted for the log.
struct Offered<'a>(&'a [ByteStr]);

impl fmt::Display for Offered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, service) in self.0.iter().take(SERVICES_SHOWN_MAX).enumerate() {
            let gap = if nth == 0 { "" } else { ", " };
            write!(f, "{gap}{service}")?;
        }
        match self.0.len().saturating_sub(SERVICES_SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

pub(crate) fn log(event: &Event, stats: &mut ConnectionStats, connections: &mut Slots, now: Time) {
    let name = |connections: &mut Slots, peer: PeerId| {
        connections.get(peer).map_or_else(|| peer.to_string(), |connection| connection.name())
    };
    match event {
        Event::WorkerRegistered { peer, service } => {
            if stats.may_tell(now) {
                info!(peer = %name(connections, *peer), %service, "worker registered");
            }
        }
        // These events are logged elsewhere.
        Event::WorkerLost { reason: LossReason::PeerViolation(_), .. }
        | Event::Violated { violation: PeerViolation::Malformed, .. } => {}
        Event::WorkerWithdrew { peer, service } => {
            if stats.may_tell(now) {
                info!(peer = %name(connections, *peer), %service, "worker withdrew");
            }
        }
        Event::WorkerLost { peer, services, reason, requests } => {
            if !stats.may_tell(now) {
                return;
            }
            let service = Offered(services);
            let peer = name(connections, *peer);
            if *requests > 0 {
                warn!(%peer, %service, requests, "worker lost with requests in hand: {reason}");
            } else {
                info!(%peer, %service, "worker gone: {reason}");
            }
        }
        Event::Violated { peer, violation } => {
            if let Some(connection) = connections.get(*peer) {
                stats.complain(now, connection, violation.name(), violation);
            }
        }
        Event::Received { request, client, service } => {
            debug!(%request, client = %name(connections, *client), %service, "request received");
        }
        Event::Dispatched { request, worker, attempt } => {
            debug!(%request, worker = %name(connections, *worker), attempt, "request dispatched");
        }
        Event::Ended { request, outcome, received } => {
            debug!(%request, %outcome, elapsed_us = now.since(*received).as_micros(), "request ended");
        }
    }
}
