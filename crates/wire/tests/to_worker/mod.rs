//! Views of owned commands to workers.

use majordomus_core::{ToWorker, ToWorkerView, Token, WorkerRequestView};

/// The token, as octets, that replaces an address that is no token.
pub(crate) const OCTETS: [u8; 16] = *b"0123456789abcdef";

/// Borrows the command.
pub(crate) fn view(command: &ToWorker) -> ToWorkerView<'_> {
    let token = |address: &[u8]| {
        let token = Token::read(address).or_else(|| Token::read(&OCTETS));
        token.expect("any octets are a token")
    };
    match command {
        ToWorker::Welcome(welcome) => ToWorkerView::Welcome(welcome),
        ToWorker::Registered { service, worker } => ToWorkerView::Registered { service, worker },
        ToWorker::Request(request) => ToWorkerView::Request(WorkerRequestView {
            token: token(&request.address),
            service: &request.service,
            id: request.id.as_ref(),
            deadline: request.deadline,
            attempt: request.attempt,
            priority: request.priority,
            credit: request.credit,
            options: &request.options,
            body: request.body.view(),
        }),
        ToWorker::StillWanted { address, id } => {
            ToWorkerView::StillWanted { token: token(address), id: id.as_ref() }
        }
        ToWorker::More { address, credit } => {
            ToWorkerView::More { token: token(address), credit: *credit }
        }
        ToWorker::Capacity { concurrency } => ToWorkerView::Capacity { concurrency: *concurrency },
        ToWorker::Cancel { address, outcome } => {
            ToWorkerView::Cancel { token: token(address), outcome: *outcome }
        }
        ToWorker::Heartbeat => ToWorkerView::Heartbeat,
        ToWorker::Disconnect(why) => ToWorkerView::Disconnect(*why),
    }
}
