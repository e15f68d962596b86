//! What the core tells of, as lines of the log.

use majordomus_core::broker::{Event, LossReason, Offence};
use majordomus_core::{PeerId, Time};
use tracing::{debug, info, warn};

use crate::census::Census;
use crate::slots::Slots;

pub(crate) fn log(event: &Event, census: &mut Census, connections: &mut Slots, now: Time) {
    let name = |connections: &mut Slots, peer: PeerId| {
        connections.get(peer).map_or_else(|| peer.to_string(), |connection| connection.name())
    };
    match event {
        Event::WorkerRegistered { peer, service } => {
            if census.may_tell(now) {
                info!(peer = %name(connections, *peer), %service, "worker registered");
            }
        }
        // These have a line of their own.
        Event::WorkerLost { reason: LossReason::Offence(_), .. }
        | Event::Offended { offence: Offence::Malformed, .. } => {}
        Event::WorkerLost { peer, service, reason, requests } => {
            if !census.may_tell(now) {
                return;
            }
            let peer = name(connections, *peer);
            if *requests > 0 {
                warn!(%peer, %service, requests, "worker lost with requests in hand: {reason}");
            } else {
                info!(%peer, %service, "worker gone: {reason}");
            }
        }
        Event::Offended { peer, offence } => {
            if let Some(connection) = connections.get(*peer) {
                census.complain(now, connection, offence.name(), offence);
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
