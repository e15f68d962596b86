//! Handling of clients' commands.

use super::statistics::End;
use super::tables::{Place, Requests};
use super::{Broker, PeerViolation, Refusal, Sign, Turn, directory, mmi};
use crate::broker::config::SERVICE_NAME_BYTES_MAX;
use crate::{
    CREDIT_UNLIMITED, CorrelationIdRef, FromClientView, Outcome, PeerId, RequestView, ToClientView,
    ToWorkerView,
};

impl Broker {
    /// Handles a client's command.
    pub(super) fn client_command(
        &mut self,
        turn: &mut Turn<'_>,
        peer: PeerId,
        command: &FromClientView<'_>,
    ) {
        let Some(standing) = self.show_life(turn, peer, Sign::Bytes) else { return };
        if standing.worker.is_some() {
            return self.violate(turn, peer, PeerViolation::Malformed);
        }
        match *command {
            FromClientView::Hello(hello) => self.handshake(turn, peer, hello),
            _ if standing.handshake_pending => {
                self.record_violation(turn, peer, PeerViolation::NotReady)
            }
            FromClientView::Request(ref request) => self.request(turn, peer, request),
            FromClientView::Heartbeat => turn.out.to_client(peer, &ToClientView::Heartbeat),
            FromClientView::RequestKeepAlive { id } => self.keep_request_alive(turn, peer, id),
            FromClientView::WorkerKeepAlive { worker } => self.keep_worker_alive(turn, worker),
            FromClientView::Cancel { id } => {
                if let Some(request) = self.tables.request_of_client(peer, id) {
                    self.end(turn, request, Outcome::Cancelled);
                }
            }
            FromClientView::More { id, credit } => self.grant_credit(turn, peer, id, credit),
            FromClientView::Disconnect => {
                self.undo_handshake(peer);
                self.client_gone(turn, peer);
            }
        }
    }

    fn request(&mut self, turn: &mut Turn<'_>, peer: PeerId, request: &RequestView<'_>) {
        if request.service.is_empty() || request.service.len() > SERVICE_NAME_BYTES_MAX {
            return match self.reports(peer, Outcome::NoSuchService) {
                true => self.refuse(turn, peer, request, End::As(Outcome::NoSuchService)),
                false => self.violate(turn, peer, PeerViolation::BadName),
            };
        }
        if self.shut_down {
            return self.refuse(turn, peer, request, End::As(Outcome::ShutDown));
        }
        let Some(client) = self.tables.peers.client(peer) else { return };
        let last_service = client.last_service;
        let charged = Requests::charge(request);
        let has_room = client.has_room(&self.config.limits, charged);
        if client.can.greets
            && !client.is_above_all(request.id)
            && self.tables.request_of_client(peer, request.id).is_some()
        {
            // The client could not tell the replies apart.
            return self.refuse(turn, peer, request, End::Refused(Refusal::IdInUse));
        }
        if request.service.starts_with(mmi::PREFIX) {
            return self.answer_mmi(turn, peer, request);
        }
        if *request.service == *directory::NAME && self.answer_directory(turn, peer, request)
            || self.answer_from_cache(turn, peer, request)
        {
            return;
        }
        let service = self.tables.services.find_near(last_service, request.service);
        match self.limit_for(has_room, charged, request, service) {
            None => self.admit(turn, peer, request, charged, service),
            Some(limit) => self.refuse_or_defer(turn, peer, request, limit),
        }
    }

    /// Relays a client's request keep-alive to the request's worker, if the worker's dialect
    /// supports it.
    fn keep_request_alive(&mut self, turn: &mut Turn<'_>, peer: PeerId, id: CorrelationIdRef<'_>) {
        let Some(request) = self.tables.request_of_client(peer, id) else { return };
        if let Some((worker, request)) = self.tables.worker_of(request) {
            let (token, id) = (self.token(request), self.tables.requests[request].id());
            turn.out.to_worker(worker, &ToWorkerView::RequestKeepAlive { token, id });
        }
    }

    /// Grants credit for more reply parts, and relays the grant to a worker that counts credit. The
    /// request's timeout restarts, because the request waited for the client.
    fn grant_credit(
        &mut self,
        turn: &mut Turn<'_>,
        peer: PeerId,
        id: CorrelationIdRef<'_>,
        credit: u32,
    ) {
        let Some(request) = self.tables.request_of_client(peer, id) else { return };
        self.restart_timeout(turn.now, request);
        let record = self.tables.requests.get_mut(request);
        let unlimited = record.credit == CREDIT_UNLIMITED;
        record.credit = record.credit.saturating_add(credit);
        if let Place::InFlight(worker) = record.place()
            && !unlimited
            && credit > 0
            && self.tables.peers.worker(worker).is_some_and(|worker| worker.can.credit)
        {
            let token = self.token(request);
            turn.out.to_worker(worker, &ToWorkerView::More { token, credit });
        }
    }

    /// Keeps a worker alive on behalf of a client, by the worker's identity.
    fn keep_worker_alive(&mut self, turn: &mut Turn<'_>, worker: &[u8]) {
        if let Some(id) = self.tables.peers.named(worker)
            && self.tables.peers.worker(id).is_some_and(|worker| worker.registered)
        {
            let _ = self.show_life(turn, id, Sign::Bytes);
        }
    }
}
