//! The broker's settings as a list, used to reset them one by one and to print the differences.

use core::time::Duration;

use majordomus_core::broker::{Balance, Config, Introduction, ServiceConfig};

macro_rules! settings {
    ($($($name:ident).+,)*) => {
        /// Returns configurations with one differing setting reset to `base`, or rounded.
        pub(crate) fn plainer(config: &Config, base: &Config) -> Vec<Config> {
            let mut plainer = Vec::new();
            $(if config.$($name).+ != base.$($name).+ {
                let like_base = Some(base.$($name).+.clone());
                for value in like_base.into_iter().chain(config.$($name).+.rounder()) {
                    let mut one = config.clone();
                    one.$($name).+ = value;
                    plainer.push(one);
                }
            })*
            plainer
        }

        /// Returns the assignments that turn `base` into `config`, one per line.
        pub(crate) fn assignments(config: &Config, base: &Config) -> Vec<String> {
            let mut rest = base.clone();
            let mut lines = Vec::new();
            $(if config.$($name).+ != base.$($name).+ {
                rest.$($name).+.clone_from(&config.$($name).+);
                let name = [$(stringify!($name)),+].join(".");
                lines.push(format!("config.{name} = {};", config.$($name).+.literal()));
            })*
            if rest != *config {
                lines.push(format!("// It differs in something else, too: {config:?}"));
            }
            lines
        }
    };
}

settings! {
    heartbeat_interval,
    liveness,
    wait_timeout,
    no_worker_wait,
    busy_timeout,
    stall_timeout,
    identity_timeout,
    attempts_max,
    reject_wait,
    balance,
    limits.requests_max,
    limits.request_bytes_max,
    limits.service_requests_max,
    limits.service_bytes_max,
    limits.client_requests_max,
    limits.client_bytes_max,
    limits.rejections_max,
    limits.worker_requests_max,
    limits.worker_services_max,
    limits.offers_max,
    limits.names_max,
    limits.reply_bytes_max,
    limits.cache_bytes_max,
    limits.translate_bytes_max,
    introduction,
    services,
}

/// Returns the [`assignments`] relative to the configuration of scripts, in one line.
pub(crate) fn in_a_line(config: &Config) -> String {
    assignments(config, &of_scripts()).join(" ")
}

/// Returns the initial configuration of the core's scripts. The checker needs the events of single
/// requests, which the scripts omit.
pub(crate) fn of_scripts() -> Config {
    let heartbeat_interval = Duration::from_secs(1);
    Config { heartbeat_interval, request_events: true, ..Config::default() }
}

/// A value that can be written as a Rust literal.
trait Literal: Sized {
    fn literal(&self) -> String;

    /// Returns nearby rounder values, if any.
    fn rounder(&self) -> Vec<Self> {
        Vec::new()
    }
}

impl Literal for u32 {
    fn literal(&self) -> String {
        self.to_string()
    }
}

impl Literal for usize {
    fn literal(&self) -> String {
        self.to_string()
    }
}

impl Literal for Duration {
    fn literal(&self) -> String {
        let micros = self.as_micros();
        match micros % 1000 {
            0 => format!("Duration::from_millis({})", micros / 1000),
            _ => format!("Duration::from_micros({micros})"),
        }
    }

    fn rounder(&self) -> Vec<Self> {
        let millis = self.as_millis() as u64;
        let round = [(millis / 100 + 1) * 100, millis / 10 * 10].map(Duration::from_millis);
        let is_round = |unit: u128| self.as_micros().is_multiple_of(unit * 1000);
        match (is_round(100), is_round(10) || millis < 10) {
            (true, _) => Vec::new(),
            (false, true) => vec![round[0]],
            (false, false) => round.to_vec(),
        }
    }
}

impl<T: Literal> Literal for Option<T> {
    fn literal(&self) -> String {
        self.as_ref().map_or("None".into(), |value| format!("Some({})", value.literal()))
    }
}

impl Literal for bool {
    fn literal(&self) -> String {
        self.to_string()
    }
}

impl Literal for Balance {
    fn literal(&self) -> String {
        format!("Balance::{self:?}")
    }
}

impl Literal for Introduction {
    fn literal(&self) -> String {
        let Introduction { broker, message_bytes_max, frames_max } = self;
        format!(
            "Introduction {{ broker: ByteStr::from(\"{broker}\"), message_bytes_max: {message_bytes_max}, frames_max: {frames_max} }}"
        )
    }
}

impl Literal for ServiceConfig {
    fn literal(&self) -> String {
        let plain = ServiceConfig::default();
        let name = format!("ByteStr::from(\"{}\")", self.name);
        let values = [
            ("wait_timeout", self.wait_timeout.literal(), plain.wait_timeout.literal()),
            ("busy_timeout", self.busy_timeout.literal(), plain.busy_timeout.literal()),
            ("balance", self.balance.literal(), plain.balance.literal()),
            ("share", self.share.literal(), plain.share.literal()),
        ];
        let differs = values.iter().filter(|(_, value, plain)| value != plain);
        let values: String = differs.map(|(name, value, _)| format!("{name}: {value}, ")).collect();
        format!("ServiceConfig {{ name: {name}, {values}..ServiceConfig::default() }}")
    }
}

impl<T: Literal> Literal for Vec<T> {
    fn literal(&self) -> String {
        let values: Vec<String> = self.iter().map(Literal::literal).collect();
        format!("[{}].into()", values.join(", "))
    }
}
