//! The real client library and a simulated user.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use majordomus_core::{
    Backoff, ClientCapabilities, ClientConfig, ClientInput, ClientOutput, Delivery, Form, Outcome,
    RequestHandle, Time, Timeout, ToClient,
};

use super::{Act, Scene};
use crate::network::Up;
use crate::rng::Rng;
use crate::workload::Workload;

/// The state machine of the client library, and a user that counts the delivered replies.
#[derive(Debug)]
pub(crate) struct LibraryClient {
    pub(crate) can: ClientCapabilities,
    machine: majordomus_core::Client,
    /// The requests without a final reply.
    expected: BTreeSet<RequestHandle>,
    /// The number of parts that the user has not read yet.
    untaken: BTreeMap<RequestHandle, u32>,
    next: u64,
    next_at: Time,
    silent: bool,
}

impl LibraryClient {
    pub(crate) fn new(rng: &mut Rng, workload: &Workload) -> Self {
        let can = ClientCapabilities { form: Form::Frames, ..workload.client(rng) };
        let greets = can.greets;
        let config = ClientConfig {
            request_ids: greets || rng.one_in(2),
            greets,
            heartbeats: greets,
            still_wanted: greets,
            told_of_expiry: greets && can.told.contains(Outcome::Expired),
            credit: Some(rng.within(1, 4) as u32).filter(|_| greets),
            message_bytes_max: workload.hello(rng, None).message_bytes_max,
            heartbeat_interval: rng.millis(20, 200),
            running_max: rng.within(1, 10) as usize,
            waiting_max: rng.within(1, 10) as usize,
            waiting_bytes_max: 2000,
            waits_for_connection: rng.one_in(2),
            backoff: Backoff {
                shortest: Duration::from_millis(5),
                longest: Duration::from_millis(200),
            },
            ..ClientConfig::default()
        };
        Self {
            can,
            machine: majordomus_core::Client::new(config, rng.draw()),
            expected: BTreeSet::new(),
            untaken: BTreeMap::new(),
            next: 0,
            next_at: Time::ZERO,
            silent: false,
        }
    }

    pub(crate) fn opened(&mut self, scene: &mut Scene<'_>) {
        self.tell(scene, ClientInput::Opened);
    }

    pub(crate) fn lost(&mut self, scene: &mut Scene<'_>) {
        self.tell(scene, ClientInput::Lost);
    }

    pub(crate) fn heard(&mut self, scene: &mut Scene<'_>, command: ToClient) {
        self.tell(scene, ClientInput::Received(command));
    }

    pub(crate) fn wake(&mut self, scene: &mut Scene<'_>) {
        self.tell(scene, ClientInput::Tick);
        if self.next_at > scene.now {
            return;
        }
        let pause = scene.workload.pause.as_millis() as u64;
        self.next_at = scene.now.after(scene.rng.millis(1, pause));
        for (handle, parts) in core::mem::take(&mut self.untaken) {
            self.tell(scene, ClientInput::Taken(handle, parts));
        }
        if !scene.open {
            self.silent = true;
            return;
        }
        if scene.rng.one_in(20)
            && let Some(handle) = self.expected.pop_first()
        {
            return self.tell(scene, ClientInput::Cancel(handle));
        }
        self.next += 1;
        let handle = RequestHandle(self.next);
        let mut request = Box::new(scene.workload.lone_request(scene.rng, self.can));
        let timeout = scene.rng.one_in(2).then(|| scene.rng.millis(0, scene.workload.timeout_ms));
        let timeout =
            if scene.workload.endless { timeout } else { timeout.or(Some(Duration::from_secs(5))) };
        request.timeout = timeout.map_or(Timeout::OfService, Timeout::After);
        let silence_max = self.can.greets.then(|| scene.rng.millis(20, 2_000));
        let silence_max = silence_max.filter(|_| scene.rng.one_in(4));
        self.expected.insert(handle);
        self.tell(scene, ClientInput::Request { handle, request, silence_max });
    }

    fn tell(&mut self, scene: &mut Scene<'_>, input: ClientInput) {
        self.machine.handle(scene.now, input);
        while let Some(output) = self.machine.poll_output() {
            match output {
                ClientOutput::Open => scene.acts.push(Act::Open),
                ClientOutput::Close(_) => scene.acts.push(Act::Close),
                ClientOutput::Send(command) => scene.acts.push(Act::Say(Up::Client(command))),
                ClientOutput::Deliver(handle, delivery) => {
                    let known = match delivery {
                        Delivery::Part(_) | Delivery::Notice(_) => self.expected.contains(&handle),
                        Delivery::Final(_) | Delivery::Failed(_) => self.expected.remove(&handle),
                    };
                    if matches!(delivery, Delivery::Part(_)) {
                        *self.untaken.entry(handle).or_default() += 1;
                    }
                    if !known {
                        scene.acts.push(Act::Accuse(format!("{handle:?} has ended: {delivery:?}")));
                    }
                }
            }
        }
        if self.machine.is_idle() && !self.expected.is_empty() {
            scene.acts.push(Act::Accuse(format!("{:?} never ended", self.expected)));
        }
    }

    pub(crate) fn wakes_at(&self) -> Time {
        self.next_at.min(self.machine.next_deadline())
    }
}
