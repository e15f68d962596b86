//! Benchmark reports: figures, validity checks and output formats.

mod chart;
mod html;
mod json;
mod terminal;

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::cmd::bench::load::{Measured, Plan};
use crate::cmd::bench::speech::Speech;
use crate::cmd::bench::usage::{Pin, cores, machine};
use crate::failure::Failure;

/// The broker's minimum CPU share in a run at full load. Below it, the run is void.
const BROKER_BUSY_MIN: f64 = 0.95;
/// The generator's maximum CPU share in any run. Above it, the run is void.
const GENERATOR_BUSY_MAX: f64 = 0.90;
/// The maximum CPU share of other processes. Above it, the run is void.
const OTHERS_MAX: f64 = 0.05;

/// A report of one or more finished runs.
#[derive(Debug)]
pub(super) struct Report {
    /// The command line of this program.
    pub(super) command: String,
    pub(super) machine: String,
    /// The name and version of each compared broker.
    pub(super) versions: Vec<(&'static str, String)>,
    pub(super) runs: Vec<Run>,
    /// Descriptions of failed measurements.
    pub(super) notes: Vec<String>,
}

/// The medians of one broker's valid runs, or of all its runs if none is valid.
#[derive(Clone, Debug)]
pub(super) struct Summary<'a> {
    pub(super) broker: &'a str,
    pub(super) speech: Speech,
    pub(super) runs: usize,
    pub(super) void: usize,
    pub(super) requests_per_second: f64,
    pub(super) broker_us_per_request: Option<f64>,
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
    /// The generator's lateness in a run with a fixed rate.
    pub(super) lateness_p99_us: Option<f64>,
    pub(super) broker_busy: Option<f64>,
    pub(super) generator_busy: f64,
    pub(super) others: Option<f64>,
    pub(super) peak_bytes: Option<f64>,
}

/// A finished run.
#[derive(Debug)]
pub(super) struct Run {
    /// The broker's name.
    pub(super) broker: String,
    pub(super) plan: Plan,
    pub(super) pin: Option<Pin>,
    pub(super) measured: Measured,
    /// The time from the broker's start until it listened, if known.
    pub(super) started_in: Option<Duration>,
}

/// The limiting factor of a run's throughput.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bottleneck {
    Broker,
    Generator,
    /// Both sides waited: for each other, or for more workers or more requests in flight.
    Neither,
    /// The requested rate.
    Rate,
    /// The broker's process is unknown.
    Unknown,
}

impl fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bottleneck::Broker => "the broker",
            Bottleneck::Generator => "the generator",
            Bottleneck::Neither => "neither; there may be too few requests in flight or workers",
            Bottleneck::Rate => "the rate that was asked for",
            Bottleneck::Unknown => "unknown; say which process the broker is with --broker-pid",
        })
    }
}

impl Report {
    pub(super) fn new(runs: Vec<Run>) -> Self {
        let command = std::env::args().collect::<Vec<_>>().join(" ");
        Self { command, machine: machine(), versions: Vec::new(), runs, notes: Vec::new() }
    }

    /// Returns one summary per broker, in the order of their first measurement.
    pub(super) fn summaries(&self) -> Vec<Summary<'_>> {
        let mut summaries: Vec<Summary<'_>> = Vec::new();
        for run in &self.runs {
            if summaries.iter().all(|summary| summary.broker != run.broker) {
                summaries.push(self.summary(run));
            }
        }
        summaries
    }

    fn summary<'a>(&'a self, first: &'a Run) -> Summary<'a> {
        let all = || self.runs.iter().filter(|run| run.broker == first.broker);
        let sound: Vec<_> = all().filter(|run| run.void().is_empty()).collect();
        let runs = all().count();
        let void = runs - sound.len();
        let counted = if sound.is_empty() { all().collect() } else { sound };
        let of = |figure: &dyn Fn(&Run) -> Option<f64>| {
            median(counted.iter().filter_map(|run| figure(run)).collect())
        };
        Summary {
            broker: &first.broker,
            speech: first.plan.speech,
            runs,
            void,
            requests_per_second: of(&|run| Some(run.measured.tally.rate())).unwrap_or_default(),
            broker_us_per_request: of(&Run::broker_us_per_request),
            p50_us: of(&|run| run.within_us(0.5)),
            p99_us: of(&|run| run.within_us(0.99)),
            lateness_p99_us: of(&|run| run.lateness_us(0.99)),
            broker_busy: of(&Run::broker_busy),
            generator_busy: of(&|run| Some(run.generator_busy())).unwrap_or_default(),
            others: of(&Run::others),
            peak_bytes: of(&|run| Some(run.measured.memory?.peak_bytes as f64)),
        }
    }

    /// Returns an error if any reply was wrong or missing.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        match self.runs.iter().find_map(Run::fault) {
            Some(fault) => Err(Failure::Bench(fault)),
            None => Ok(()),
        }
    }
}

impl Run {
    /// Returns the broker's share of one core.
    pub(super) fn broker_busy(&self) -> Option<f64> {
        Some(self.share(self.measured.usage.broker?))
    }

    /// Returns the generator's share of one core.
    pub(super) fn generator_busy(&self) -> f64 {
        self.share(self.measured.usage.generator)
    }

    /// Returns other processes' share of the machine, if the broker's process is known.
    pub(super) fn others(&self) -> Option<f64> {
        self.measured.usage.broker?;
        Some(self.share(self.measured.usage.others()) / cores() as f64)
    }

    fn share(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.measured.elapsed.as_secs_f64().max(1e-9)
    }

    /// Returns the broker's CPU time per request in microseconds.
    pub(super) fn broker_us_per_request(&self) -> Option<f64> {
        self.per_request(self.measured.usage.broker?)
    }

    /// Returns the generator's CPU time per request in microseconds.
    pub(super) fn generator_us_per_request(&self) -> Option<f64> {
        self.per_request(self.measured.usage.generator)
    }

    fn per_request(&self, time: Duration) -> Option<f64> {
        let requests = self.measured.tally.measured;
        (requests > 0).then(|| time.as_secs_f64() * 1e6 / requests as f64)
    }

    /// Returns a latency quantile in microseconds.
    pub(super) fn within_us(&self, quantile: f64) -> Option<f64> {
        quantile_us(&self.measured.tally.latency, quantile)
    }

    /// Returns a quantile of the generator's lateness in microseconds, in a run with a fixed rate.
    /// The latency does not include the lateness.
    pub(super) fn lateness_us(&self, quantile: f64) -> Option<f64> {
        quantile_us(&self.measured.tally.lateness, quantile)
    }

    pub(super) fn bottleneck(&self) -> Bottleneck {
        let busy_generator = self.generator_busy() > GENERATOR_BUSY_MAX;
        match self.broker_busy() {
            _ if busy_generator => Bottleneck::Generator,
            _ if self.plan.rate.is_some() && self.measured.tally.unasked == 0 => Bottleneck::Rate,
            None => Bottleneck::Unknown,
            Some(busy) if busy >= BROKER_BUSY_MIN => Bottleneck::Broker,
            Some(_) => Bottleneck::Neither,
        }
    }

    /// Returns the reasons that the run is void. An empty list means that the run is valid.
    pub(super) fn void(&self) -> Vec<String> {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let mut why = Vec::new();
        if self.plan.rate.is_none() {
            match self.broker_busy() {
                None => why.push("it is not known which process the broker is".into()),
                Some(busy) if busy < BROKER_BUSY_MIN => {
                    why.push(format!("the broker was busy {} of the time", percent(busy)));
                }
                Some(_) => {}
            }
        }
        if self.generator_busy() > GENERATOR_BUSY_MAX {
            let busy = percent(self.generator_busy());
            why.push(format!("the generator was busy {busy} of the time"));
        }
        if let Some(others) = self.others().filter(|others| *others > OTHERS_MAX) {
            why.push(format!("others took {} of the machine", percent(others)));
        }
        if let (Some(late), Some(median)) = (self.lateness_us(0.99), self.within_us(0.5))
            && late > median
        {
            why.push(format!(
                "the generator's lateness (p99 {}) exceeds the median latency (p50 {})",
                show_us(late),
                show_us(median)
            ));
        }
        if let Some(cut) = &self.measured.cut {
            why.push(format!("it ended early: {cut}"));
        }
        why
    }

    /// Returns a description of the failed requests, if any.
    fn fault(&self) -> Option<String> {
        let tally = &self.measured.tally;
        if let Some(cut) = &self.measured.cut
            && tally.is_right()
        {
            return Some(format!("{}: the run ended early: {cut}", self.broker));
        }
        (!tally.is_right()).then(|| {
            format!(
                "{}: of {} requests {} were lost, {} wrong and {} failed; {} replies were doubled \
                 and {} foreign",
                self.broker,
                tally.asked,
                tally.lost,
                tally.wrong,
                tally.failed,
                tally.doubled,
                tally.foreign
            )
        })
    }
}

/// Returns a quantile in microseconds, if any value was recorded.
fn quantile_us(nanos: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!nanos.is_empty()).then(|| nanos.value_at_quantile(quantile) as f64 / 1e3)
}

/// Returns the median. For an even number of values, this is the mean of the middle two.
fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let upper = figures.get(figures.len() / 2)?;
    let lower = figures.get((figures.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// Formats a time in microseconds with three significant digits.
pub(super) fn show_us(us: f64) -> String {
    match us {
        us if us < 10.0 => format!("{us:.2} µs"),
        us if us < 100.0 => format!("{us:.1} µs"),
        us if us < 1e4 => format!("{us:.0} µs"),
        us if us < 1e5 => format!("{:.1} ms", us / 1e3),
        us if us < 1e7 => format!("{:.0} ms", us / 1e3),
        us => format!("{:.1} s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use majordomus::Dialect;

    use super::*;
    use crate::cmd::bench::client::Came;
    use crate::cmd::bench::tally::{Tally, Window};
    use crate::cmd::bench::usage::Usage;

    const US: u64 = 1_000;

    /// Returns a run at a fixed rate with a broker and a generator that are each half busy. Each
    /// request takes 100 µs. Of every hundred requests, `late_per_hundred` start `lateness`
    /// nanoseconds late.
    fn run_at_rate(lateness: u64, late_per_hundred: u64) -> Run {
        let second = Duration::from_secs(1);
        let mut tally = Tally::new(true);
        tally.measure(Window { from: 0, to: 1_000_000 * US });
        for request in 0..1_000 {
            let due = request * 900 * US;
            let start = due + if request % 100 < late_per_hundred { lateness } else { 0 };
            tally.started(due, start);
            tally.count(Came::Right { since: start }, start + 100 * US);
        }
        tally.asked = tally.right;
        let half = Duration::from_millis(500);
        Run {
            broker: "broker".into(),
            plan: Plan {
                endpoint: "tcp://127.0.0.1:5555".into(),
                worker_endpoint: "tcp://127.0.0.1:5555".into(),
                broker_pid: Some(1),
                speech: Speech::Dialect(Dialect::Omdp1),
                service: "bench".into(),
                clients: 1,
                in_flight: 1,
                workers: 1,
                body_bytes: 64,
                rate: Some(1_000),
                warm_up: Duration::ZERO,
                duration: second,
                timeout: second,
            },
            pin: None,
            measured: Measured {
                tally,
                elapsed: second,
                usage: Usage { generator: half, broker: Some(half), machine: second },
                memory: None,
                cut: None,
            },
            started_in: None,
        }
    }

    #[test]
    fn run_is_void_if_the_p99_of_the_lateness_exceeds_the_median_latency() {
        let run = run_at_rate(150 * US, 2);
        assert_eq!(
            run.void(),
            ["the generator's lateness (p99 150 µs) exceeds the median latency (p50 100 µs)"]
        );
        for (lateness, late_per_hundred) in [(0, 0), (90 * US, 100), (150 * US, 1)] {
            let run = run_at_rate(lateness, late_per_hundred);
            assert_eq!(run.void(), [""; 0], "{lateness} ns, {late_per_hundred} of 100");
        }
    }

    #[test]
    fn lateness_is_shown_beside_the_latency_and_not_in_it() {
        let report = Report::new(vec![run_at_rate(5_000 * US, 2)]);
        let text = report.to_string();
        assert!(text.contains("Latency:     p50 100 µs, p90 100 µs, p99 100 µs"), "{text}");
        assert!(text.contains("Lateness:    p50 0.00 µs, p90 0.00 µs, p99 5001 µs"), "{text}");
        assert!(text.contains("Void:        the generator's lateness"), "{text}");
        let run = &report.value()["runs"][0];
        assert_eq!(run["latency"]["p99_us"].as_f64().map(f64::round), Some(100.0), "{run}");
        assert_eq!(run["lateness"]["p99_us"].as_f64().map(f64::round), Some(5001.0), "{run}");
        let page = report.html();
        assert!(page.contains("<h2>The generator’s lateness"), "{page}");
        assert!(page.contains("<td>5001 µs</td>"), "{page}");

        let runs = [run_at_rate(50 * US, 2), run_at_rate(70 * US, 2)];
        let table = Report::new(runs.into()).to_string();
        assert!(table.lines().next().is_some_and(|head| head.contains("late p99")), "{table}");
        assert!(table.contains("60.0 µs"), "{table}");
    }

    #[test]
    fn page_names_each_version_once() {
        let ours = env!("CARGO_PKG_VERSION");
        for (versions, times) in [
            (&[][..], 1),
            (&[("majordomus", ours.to_owned()), ("nats", "x".into())], 1),
            (&[("nats", "x".into())], 1),
        ] {
            let runs = vec![run_at_rate(0, 0)];
            let page = Report { versions: versions.to_vec(), ..Report::new(runs) }.html();
            let page = page.split("<details>").next().expect("it has a beginning");
            assert_eq!(page.matches(ours).count(), times, "{page}");
        }
    }

    #[test]
    fn a_median_is_in_the_middle() {
        for (figures, expected) in [
            (&[][..], None),
            (&[3.0], Some(3.0)),
            (&[3.0, 1.0, 200.0], Some(3.0)),
            (&[4.0, 1.0, 2.0, 300.0], Some(3.0)),
        ] {
            assert_eq!(median(figures.to_vec()), expected);
        }
    }
}
