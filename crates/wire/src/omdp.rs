//! The dialect of zmq-omdp (npm), a predecessor of PIGATO.
//!
//! ```text
//! client → broker   "C" "2" service rid data options              REQUEST
//!                   "C" "4" | "C" "4" rid                         HEARTBEAT; I still want this
//! broker → client   "C" "3" rid "0" data                          FINAL
//!                   "C" "3" rid error                             FINAL that is an error
//!                   "C" "6" rid "0" data                          PARTIAL
//! worker → broker   "W" "1" service                               READY
//!                   "W" "3" client rid "0" data                   FINAL
//!                   "W" "3" client rid error                      FINAL that is an error
//!                   "W" "6" client rid "0" data                   PARTIAL
//!                   "W" "4" | "W" "5"                             HEARTBEAT, DISCONNECT
//! broker → worker   "W" "2" client rid data                       REQUEST
//!                   "W" "4" | "W" "4" client rid                  HEARTBEAT; the client wants this
//!                   "W" "5"                                       DISCONNECT
//! ```
//!
//! The first messages of clients and workers resemble PIGATO's. Data is JSON. Both clients and
//! workers of this library crash on invalid JSON, so the bare word `undefined` is never sent. A
//! worker has one request at a time.

use majordomus_core::{
    ClientCapabilities, Concurrency, Form, Outcome, OutcomeSet, Redelivery, WorkerCapabilities,
};

use crate::Dialect;
use crate::json::{ErrorPlace, Heartbeats, Ids, Table};

pub(crate) static TABLE: Table = Table {
    dialect: Dialect::Omdp,
    separator: false,
    service_in_request: false,
    options: false,
    error: ErrorPlace::Status,
    heartbeats: Heartbeats::Plain,
    ids: Ids::Short,
    answers: false,
    client: ClientCapabilities {
        afterwords: false,
        greets: false,
        partial_replies: true,
        told: OutcomeSet::of(&[
            Outcome::Failed,
            Outcome::NoSuchService,
            Outcome::NoSuchWorker,
            Outcome::WorkerLost,
            Outcome::Rejected,
            Outcome::Refused,
            Outcome::Untranslatable,
            Outcome::ShutDown,
        ]),
        redelivery: Redelivery::Never,
        form: Form::Json,
    },
    worker: WorkerCapabilities {
        afterwords: false,
        several_services: false,
        credit: false,
        greets: false,
        concurrency: Concurrency::ONE,
        cancel: false,
        request_ids: true,
        rejects: false,
        heartbeats_answered: false,
        ready_again: true,
        form: Form::Json,
    },
};

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use bytes::Bytes;
    use majordomus_core::{
        Frames, FromClient, FromWorker, Reply, Request, Status, Timeout, ToClient, ToWorker,
        WorkerReply, WorkerRequest,
    };

    use super::*;
    use crate::golden::{
        BROKER_DISCONNECT, BROKER_HEARTBEAT, Command, REGISTERED, TOKEN, WORKER_DISCONNECT,
        WORKER_HEARTBEAT, Way::*, check, ready, unsaid_but_in_omdp1,
    };
    use crate::{Codec, Side};

    fn codec(side: Side) -> Codec {
        Codec::new(Dialect::Omdp, side)
    }

    fn json(texts: &[&str]) -> Frames {
        Frames::from_slices(texts).in_form(Form::Json, 0)
    }

    fn reply(data: &[&str]) -> Reply {
        Reply { id: "r1".into(), ..Reply::new("", json(data)) }
    }

    fn last(data: &[&str]) -> Command {
        Command::ToClient(ToClient::Final(reply(data)))
    }

    fn partial(data: &[&str]) -> Command {
        Command::ToClient(ToClient::Partial(reply(data)))
    }

    fn failed(outcome: Outcome, data: &[&str]) -> Command {
        Command::ToClient(ToClient::Failed(outcome, reply(data)))
    }

    fn answer(data: &[&str]) -> WorkerReply {
        WorkerReply { id: "r1".into(), ..WorkerReply::new("17", json(data)) }
    }

    fn given(data: &[&str]) -> Command {
        let request = WorkerRequest::new(TOKEN, "", json(data));
        Command::ToWorker(ToWorker::Request(WorkerRequest { id: "r1".into(), ..request }))
    }

    #[test]
    fn client() {
        let options = r#"{"timeout":1500}"#;
        let asked = Request {
            id: "r1".into(),
            timeout: Timeout::After(Duration::from_millis(1500)),
            ..Request::new("echo", json(&["[1]"]))
        };
        let written = Request { options: Bytes::from_static(options.as_bytes()), ..asked.clone() };
        let wanted = || Command::FromClient(FromClient::RequestKeepAlive { id: "r1".into() });
        let vouched = FromClient::WorkerKeepAlive { worker: "W1".into() };
        check(
            codec,
            &[
                (
                    Both,
                    Command::FromClient(FromClient::Request(written)),
                    &["C", "2", "echo", "r1", "[1]", options],
                ),
                // Without `retry`, which would mark the request as PIGATO's.
                (
                    Encode,
                    Command::FromClient(FromClient::Request(asked)),
                    &["C", "2", "echo", "r1", "[1]", options],
                ),
                (Both, Command::FromClient(FromClient::Heartbeat), &["C", "4"]),
                (Both, wanted(), &["C", "4", "r1"]),
                (Decode, wanted(), &["C", "4", "r1", "x"]),
                (Encode, Command::FromClient(vouched), &[]),
                (Both, last(&["[1]"]), &["C", "3", "r1", "0", "[1]"]),
                (Decode, last(&["1"]), &["C", "3", "r1", "", "1", "x"]),
                (Decode, last(&[]), &["C", "3", "r1", "0"]),
                (Decode, last(&[]), &["C", "3", "r1"]),
                (Encode, last(&[]), &["C", "3", "r1", "0", "null"]),
                (Encode, last(&["undefined"]), &["C", "3", "r1", "0", "null"]),
                (Both, partial(&["1"]), &["C", "6", "r1", "0", "1"]),
                (Encode, partial(&["null"]), &["C", "6", "r1", "0", "\"\""]),
                (Both, failed(Outcome::Failed, &["\"boom\""]), &["C", "3", "r1", "\"boom\""]),
                (
                    Encode,
                    failed(Outcome::NoSuchService, &[]),
                    &["C", "3", "r1", "\"B_NO_SERVICE\""],
                ),
                // The client would interpret these as no error.
                (Encode, failed(Outcome::Failed, &["0"]), &["C", "3", "r1", "\"0\""]),
                (Encode, failed(Outcome::Failed, &["null"]), &["C", "3", "r1", "\"null\""]),
                (Encode, failed(Outcome::Failed, &["false"]), &["C", "3", "r1", "\"false\""]),
                (
                    Encode,
                    failed(Outcome::Failed, &["undefined"]),
                    &["C", "3", "r1", "\"B_FAILED\""],
                ),
                (Encode, failed(Outcome::Expired, &[]), &[]),
                (Encode, failed(Outcome::Rejected, &["1"]), &["C", "3", "r1", "1"]),
                (Encode, Command::ToClient(ToClient::Heartbeat), &[]),
                (Decode, Command::ToClient(ToClient::Heartbeat), &["C", "4"]),
            ],
        );
    }

    #[test]
    fn what_it_has_no_word_for() {
        check(codec, &unsaid_but_in_omdp1());
    }

    #[test]
    fn worker() {
        let wanted = ToWorker::RequestKeepAlive { address: TOKEN.into(), id: "r1".into() };
        let said = Status { concurrency: Some(Concurrency::Unlimited), publish: true };
        check(
            codec,
            &[
                (Both, ready(), &["W", "1", "echo"]),
                (
                    Both,
                    Command::FromWorker(FromWorker::Final(answer(&["[1]"]))),
                    &["W", "3", "17", "r1", "0", "[1]"],
                ),
                (
                    Encode,
                    Command::FromWorker(FromWorker::Final(answer(&[]))),
                    &["W", "3", "17", "r1", "0", "null"],
                ),
                (
                    Decode,
                    Command::FromWorker(FromWorker::Final(answer(&["undefined"]))),
                    &["W", "3", "17", "r1", "0", "undefined"],
                ),
                (
                    Both,
                    Command::FromWorker(FromWorker::Partial(answer(&["1"]))),
                    &["W", "6", "17", "r1", "0", "1"],
                ),
                (
                    Both,
                    Command::FromWorker(FromWorker::Failed(answer(&["\"boom\""]))),
                    &["W", "3", "17", "r1", "\"boom\""],
                ),
                (
                    Encode,
                    Command::FromWorker(FromWorker::Rejected(answer(&["\"no\""]))),
                    &["W", "3", "17", "r1", "\"no\""],
                ),
                (Both, WORKER_HEARTBEAT, &["W", "4"]),
                (Decode, WORKER_HEARTBEAT, &["W", "4", "", r#"{"concurrency":7}"#]),
                (Encode, Command::FromWorker(FromWorker::Heartbeat(said)), &["W", "4"]),
                (Both, WORKER_DISCONNECT, &["W", "5"]),
                (Both, given(&["[1]"]), &["W", "2", TOKEN, "r1", "[1]"]),
                (Encode, given(&[]), &["W", "2", TOKEN, "r1", "null"]),
                (Encode, given(&["undefined"]), &["W", "2", TOKEN, "r1", "null"]),
                // The worker would interpret an answer to READY as an error.
                (Encode, Command::ToWorker(REGISTERED), &[]),
                (Both, Command::ToWorker(wanted), &["W", "4", TOKEN, "r1"]),
                (Both, BROKER_HEARTBEAT, &["W", "4"]),
                (Both, BROKER_DISCONNECT, &["W", "5"]),
            ],
        );
    }
}
