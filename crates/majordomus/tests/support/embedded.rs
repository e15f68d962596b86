//! Support for tests that need only an embedded broker with a client.

use std::time::Duration;

use majordomus::broker::{Config, Counters};
use majordomus::{Broker, Client};

/// A time limit for events, so that a hanging test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const SOON: Duration = Duration::from_millis(5);

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it happens soon")
}

pub(crate) fn broker() -> Broker {
    Broker::start("inproc://*").expect("there is a name")
}

pub(crate) fn broker_with(change: impl FnOnce(&mut Config)) -> Broker {
    let mut config = Config::try_from("inproc://*").expect("it is an endpoint");
    change(&mut config);
    Broker::start(config).expect("there is a name")
}

pub(crate) fn client(broker: &Broker) -> Client {
    let builder = Client::builder(broker.endpoint()).reconnect(SOON, SOON).timeout(PATIENCE);
    builder.connect().expect("it is an endpoint")
}

pub(crate) async fn counters(broker: &Broker) -> Counters {
    broker.snapshot().await.expect("it runs").counters
}
