//! What happens in a run, in words.

use majordomus_core::broker::{Event, Input, Output};
use majordomus_core::{Frames, FromClient, FromWorker, ToClient, ToWorker};

use crate::judge::uid_of;

/// What the broker is told.
pub(crate) fn input(input: &Input) -> String {
    match input {
        Input::FromClient { peer, command } => match command {
            FromClient::Request(request) => format!(
                "{peer} asks {} for #{} (id {:?}, {:?}, again: {})",
                request.service,
                number(&request.body),
                request.id,
                request.timeout,
                request.redeliver
            ),
            other => format!("{peer} says {other:?}"),
        },
        Input::FromWorker { peer, command } => match command {
            FromWorker::Partial(reply) => format!("{peer} replies in part to {}", reply.address),
            FromWorker::Final(reply) => format!("{peer} replies to {}", reply.address),
            FromWorker::Failed(reply) => format!("{peer} fails {}", reply.address),
            other => format!("{peer} says {other:?}"),
        },
        other => format!("{other:?}"),
    }
}

/// What the broker wants done.
pub(crate) fn output(output: &Output) -> String {
    match output {
        Output::ToClient { peer, command } => match command {
            ToClient::Partial(reply) => format!("{peer} gets a part of #{}", number(&reply.body)),
            ToClient::Final(reply) => format!("{peer} gets the end of #{}", number(&reply.body)),
            ToClient::Failed(outcome, reply) => {
                format!("{peer} gets no reply of {}, id {:?}: {outcome}", reply.service, reply.id)
            }
            ToClient::Heartbeat => format!("{peer} gets a heartbeat"),
        },
        Output::ToWorker { peer, command } => match command {
            ToWorker::Request(request) => {
                format!("{peer} gets #{} as {}", number(&request.body), request.address)
            }
            other => format!("{peer} gets {other:?}"),
        },
        Output::Event(event) => match event {
            Event::Ended { request, outcome, .. } => format!("({request} ended: {outcome})"),
            other => format!("({other:?})"),
        },
        other => format!("{other:?}"),
    }
}

fn number(body: &Frames) -> String {
    uid_of(body).map_or_else(|| format!("{body:?}"), |uid| uid.to_string())
}
