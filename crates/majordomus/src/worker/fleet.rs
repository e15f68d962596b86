//! The connections of a worker. A worker has one connection to each broker, or several if its
//! dialect allows only one service, or one request, for each connection.

use std::collections::HashMap;

use majordomus_core::{Concurrency, Role, WorkerConfig};
use majordomus_wire::Codec;
use majordomus_zmtp::Limits;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::error;

use crate::events::Connections;
use crate::link::{HEAD_FRAMES_MAX, head_bytes_max};
use crate::uplink::Uplink;
use crate::worker::driver::{Driver, Leave, Plan};
use crate::worker::name::Name;
use crate::worker::service::Services;
use crate::{Endpoint, ambient_seed};

/// The maximum number of connections for one service to each broker.
const SEATS_MAX: usize = 1_000;

/// The purpose of a connection: its broker, its service and its number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seat {
    /// The index of the broker.
    place: usize,
    /// The connection's only service, if the dialect allows one service for each connection.
    service: Option<String>,
    /// The number of the connection among those with the same broker and service.
    nth: usize,
}

/// All connections of a worker and their plans.
pub(crate) struct Fleet {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) codec: Codec,
    pub(crate) limits: Limits,
    pub(crate) config: WorkerConfig,
    pub(crate) services: Services,
    pub(crate) connections: Connections,
    pub(crate) name: Name,
    pub(crate) plan: watch::Receiver<Plan>,
    /// The plan of each connection.
    plans: HashMap<Seat, watch::Sender<Plan>>,
    running: JoinSet<Seat>,
}

impl Fleet {
    pub(crate) fn new(
        endpoints: Vec<Endpoint>,
        codec: Codec,
        limits: Limits,
        config: WorkerConfig,
        (services, connections): (Services, Connections),
        name: Name,
        plan: watch::Receiver<Plan>,
    ) -> Self {
        let (plans, running) = (HashMap::new(), JoinSet::new());
        Self { endpoints, codec, limits, config, services, connections, name, plan, plans, running }
    }

    /// Runs until the worker has disconnected from every broker.
    pub(crate) async fn run(mut self) {
        let mut plan = self.plan.borrow_and_update().clone();
        self.settle(&plan);
        while !self.running.is_empty() || plan.leave == Leave::Never {
            let told = plan.leave < Leave::Now;
            tokio::select! {
                changed = self.plan.changed(), if told => {
                    match changed {
                        Ok(()) => plan = self.plan.borrow_and_update().clone(),
                        // The worker's handle was dropped.
                        Err(_) => plan.leave = Leave::Now,
                    }
                    self.settle(&plan);
                }
                Some(ended) = self.running.join_next() => {
                    match ended {
                        Ok(seat) => _ = self.plans.remove(&seat),
                        Err(failed) => {
                            error!(%failed, "a connection of the worker is lost for good");
                        }
                    }
                    // The connection may be needed again, unless the worker is ending.
                    if plan.leave == Leave::Never {
                        self.settle(&plan);
                    }
                }
            }
        }
        self.services.clear();
    }

    /// Opens missing connections and sends each connection its plan.
    fn settle(&mut self, plan: &Plan) {
        let wanted = self.wanted(plan);
        for (seat, told) in &self.plans {
            let of_seat = wanted.get(seat);
            told.send_if_modified(|told| {
                let next = match of_seat {
                    Some(plan) => plan.clone(),
                    None => Plan { leave: plan.leave.max(Leave::WhenDone), ..told.clone() },
                };
                // A new plan never cancels the end of a connection.
                let next = Plan { leave: next.leave.max(told.leave), ..next };
                let changed = *told != next;
                *told = next;
                changed
            });
        }
        if plan.leave != Leave::Never {
            return;
        }
        for (seat, plan) in wanted {
            if !self.plans.contains_key(&seat) {
                self.open(seat, plan);
            }
        }
    }

    /// Returns the connections that the plan requires, and the plan of each.
    fn wanted(&self, plan: &Plan) -> HashMap<Seat, Plan> {
        let per_connection = tasks_per_connection_max(&self.codec);
        let mut wanted = HashMap::new();
        for place in 0..self.endpoints.len() {
            if self.codec.has_several_services() {
                wanted.insert(Seat { place, service: None, nth: 0 }, plan.clone());
                continue;
            }
            for service in &plan.services {
                for nth in 0..plan.concurrency.div_ceil(per_connection).min(SEATS_MAX) {
                    let seat = Seat { place, service: Some(service.clone()), nth };
                    let concurrency = plan.concurrency.min(per_connection);
                    let services = vec![service.clone()];
                    wanted.insert(seat, Plan { leave: plan.leave, concurrency, services });
                }
            }
        }
        wanted
    }

    fn open(&mut self, seat: Seat, plan: Plan) {
        let held_max = tasks_unasked(&self.codec).saturating_sub(plan.concurrency);
        let message_bytes_max = self.limits.message_bytes_max;
        let head_bytes_max = head_bytes_max(self.codec.dialect());
        let config = WorkerConfig {
            services: plan.services.iter().map(|name| name.as_str().into()).collect(),
            tasks_max: plan.concurrency,
            held_max,
            partial_replies: self.codec.has_partials(),
            reply_bytes_max: message_bytes_max.saturating_sub(head_bytes_max),
            reply_frames_max: self.limits.frames_max.saturating_sub(HEAD_FRAMES_MAX),
            greets: self.codec.greets(),
            says_capacity: self.codec.says_capacity(),
            rejects: self.codec.rejects(),
            message_bytes_max: Some(message_bytes_max),
            ..self.config.clone()
        };
        let core = majordomus_core::Worker::new(config, ambient_seed());
        let (endpoint, connections) =
            (self.endpoints[seat.place].clone(), self.connections.clone());
        let uplink = Uplink::new(endpoint, self.codec, self.limits, connections, seat.place);
        let routing_id = self.name.routing_id(seat.service.as_deref(), seat.nth);
        let uplink = uplink.with_name(routing_id);
        let (told, plan) = watch::channel(plan);
        let driver = Driver::new(core, self.codec, uplink, self.services.clone(), plan);
        self.plans.insert(seat.clone(), told);
        self.running.spawn(async move {
            driver.run().await;
            seat
        });
    }
}

/// Returns the maximum number of requests in flight that one connection can announce.
fn tasks_per_connection_max(codec: &Codec) -> usize {
    if codec.says_capacity() { usize::MAX } else { tasks_unasked(codec).max(1) }
}

/// Returns the number of requests that the broker dispatches to a connection that has not announced
/// its capacity.
fn tasks_unasked(codec: &Codec) -> usize {
    match codec.role() {
        Role::Worker(worker) => match worker.concurrency {
            Concurrency::AtMost(tasks) => tasks as usize,
            Concurrency::Unlimited => usize::MAX,
        },
        Role::Client(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use majordomus_wire::{Dialect, Side};

    use super::*;

    #[test]
    fn a_concurrency_without_limit_is_not_a_connection_for_each() {
        let codec = Codec::new(Dialect::Mdp02, Side::Worker);
        let services = vec![String::from("echo")];
        let plan = Plan { leave: Leave::Never, concurrency: usize::MAX, services };
        let (_planner, planned) = watch::channel(plan.clone());
        let fleet = Fleet::new(
            vec![Endpoint::Inproc { name: "nowhere".into() }],
            codec,
            Limits::default(),
            WorkerConfig::new(""),
            (Services::default(), Connections::new(1)),
            Name::new(String::new(), codec).unwrap(),
            planned,
        );
        assert_eq!(fleet.wanted(&plan).len(), SEATS_MAX);
    }
}
