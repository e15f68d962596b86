//! A benchmark report as one JSON object.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cmd::bench::report::{Report, Run, Summary};

/// The reported quantiles of times.
const QUANTILES: [(&str, f64); 5] =
    [("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p999_us", 0.999), ("max_us", 1.0)];

impl Report {
    /// Formats the report as one line of JSON. Times are in microseconds. Shares are from 0 to 1,
    /// of a core or of the machine.
    pub(in crate::cmd::bench) fn json(&self) -> String {
        format!("{}\n", self.value())
    }

    pub(super) fn value(&self) -> Value {
        json!({
            "command": self.command,
            "machine": self.machine,
            "notes": self.notes,
            "runs": self.runs.iter().map(Run::value).collect::<Vec<_>>(),
            "summaries": self.summaries().iter().map(Summary::value).collect::<Vec<_>>(),
            "version": env!("CARGO_PKG_VERSION"),
            "versions": self.versions.iter().cloned().collect::<BTreeMap<_, _>>(),
        })
    }
}

impl Run {
    fn value(&self) -> Value {
        let (plan, tally) = (&self.plan, &self.measured.tally);
        let quantiles = |of: &dyn Fn(f64) -> Option<f64>| {
            QUANTILES
                .iter()
                .map(|(name, quantile)| ((*name).to_owned(), json!(of(*quantile))))
                .collect::<serde_json::Map<_, _>>()
        };
        json!({
            "asked": tally.asked,
            "body_bytes": plan.body_bytes,
            "bottleneck": self.bottleneck().to_string(),
            "broker": self.broker,
            "broker_busy": self.broker_busy(),
            "broker_bytes": self.measured.memory.map(|memory| memory.bytes),
            "broker_peak_bytes": self.measured.memory.map(|memory| memory.peak_bytes),
            "broker_start_us": self.started_in.map(|span| span.as_nanos() as f64 / 1e3),
            "broker_us_per_request": self.broker_us_per_request(),
            "clients": plan.clients,
            "cut": self.measured.cut,
            "dialect": plan.speech.to_string(),
            "doubled": tally.doubled,
            "elapsed_us": self.measured.elapsed.as_nanos() as f64 / 1e3,
            "endpoint": plan.endpoint,
            "failed": tally.failed,
            "faults": tally.faults,
            "foreign": tally.foreign,
            "generator_busy": self.generator_busy(),
            "generator_us_per_request": self.generator_us_per_request(),
            "in_flight": plan.in_flight,
            "latency": quantiles(&|quantile| self.within_us(quantile)),
            "lateness": plan.rate.map(|_| quantiles(&|quantile| self.lateness_us(quantile))),
            "lost": tally.lost,
            "measured": tally.measured,
            "others": self.others(),
            "parts": tally.parts,
            "pin": self.pin.map(|pin| pin.to_string()),
            "rate": plan.rate,
            "requests_per_second": tally.rate(),
            "right": tally.right,
            "service": plan.service,
            "unasked": tally.unasked,
            "void": self.void(),
            "warm_up_us": plan.warm_up.as_micros() as u64,
            "worker_endpoint": plan.worker_endpoint,
            "workers": plan.workers,
            "wrong": tally.wrong,
        })
    }
}

impl Summary<'_> {
    fn value(&self) -> Value {
        json!({
            "broker": self.broker,
            "broker_busy": self.broker_busy,
            "broker_peak_bytes": self.peak_bytes,
            "broker_us_per_request": self.broker_us_per_request,
            "dialect": self.speech.to_string(),
            "generator_busy": self.generator_busy,
            "lateness_p99_us": self.lateness_p99_us,
            "others": self.others,
            "p50_us": self.p50_us,
            "p99_us": self.p99_us,
            "requests_per_second": self.requests_per_second,
            "runs": self.runs,
            "void": self.void,
        })
    }
}
