//! Random configurations of the broker.

use majordomus_core::ByteStr;
use majordomus_core::broker::{Balance, Config, Introduction, Limits, ServiceConfig};

use super::Workload;
use crate::rng::Rng;

impl Workload {
    /// Returns a random configuration. In some runs the limits are low enough to be reached.
    pub(crate) fn config(&self, rng: &mut Rng) -> Config {
        let mut limits = Limits::default();
        if rng.one_in(2) {
            limits.client_requests_max = rng.within(1, 4) as usize;
            limits.service_requests_max = rng.within(1, 8) as usize;
            limits.requests_max = rng.within(2, 12) as usize;
            limits.names_max = rng.within(1, 3) as usize;
        }
        if rng.one_in(3) {
            limits.client_bytes_max = rng.within(300, 1500) as usize;
            limits.service_bytes_max = rng.within(300, 2500) as usize;
            limits.request_bytes_max = rng.within(600, 4000) as usize;
        }
        if rng.one_in(3) {
            limits.reply_bytes_max = rng.within(10, 500) as usize;
        }
        if rng.one_in(8) {
            limits.worker_requests_max = rng.within(1, 4) as usize;
        }
        if rng.one_in(3) {
            limits.rejections_max = rng.within(1, 5) as u32;
        }
        if rng.one_in(3) {
            limits.cache_bytes_max = rng.pick(&[0, 600, 1500, 6000]);
        }
        if self.several && rng.one_in(4) {
            limits.worker_services_max = rng.within(1, 3) as usize;
            limits.offers_max = 3 * limits.worker_services_max;
        }
        if self.forms && !rng.one_in(4) {
            limits.translate_bytes_max = rng.pick(&[0, 4, 12, 100]);
        }
        let mut config = Config {
            heartbeat_interval: rng.millis(20, 500),
            liveness: rng.within(1, 3) as u32,
            wait_timeout: rng.millis(50, 3000),
            no_worker_wait: rng.one_in(2).then(|| rng.millis(1, 500)),
            busy_timeout: rng.millis(100, 3000),
            stall_timeout: rng.millis(50, 1500),
            identity_timeout: rng.millis(20, 500),
            attempts_max: rng.within(1, 3) as u32,
            reject_wait: rng.millis(10, 500),
            balance: self.balance(rng),
            limits,
            request_events: true,
            introduction: Introduction {
                broker: ByteStr::from(rng.pick(&["", "major"])),
                message_bytes_max: rng.pick(&[0, 1 << 20]),
                frames_max: 64,
            },
            ..Config::default()
        };
        let own = if self.shared { rng.within(1, 4) } else { rng.below(3) };
        for _ in 0..own {
            config.services.push(ServiceConfig {
                name: if rng.one_in(2) { self.names.asked(rng) } else { self.service(rng) },
                wait_timeout: rng.one_in(2).then(|| rng.millis(10, 1000)),
                busy_timeout: rng.one_in(2).then(|| rng.millis(50, 1000)),
                balance: rng.one_in(2).then(|| self.balance(rng)),
                share: self.shared && !rng.one_in(4),
            });
        }
        config
    }

    fn balance(&self, rng: &mut Rng) -> Balance {
        if self.balanced { rng.pick(&Balance::ALL) } else { Balance::LeastRecent }
    }
}
