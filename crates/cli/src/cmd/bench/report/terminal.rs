//! A benchmark report as a table for the terminal.

use std::fmt;

use crate::bytes;
use crate::cmd::bench::report::{Report, Run, show_us};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.runs[..] {
            [only] => only.fmt(f)?,
            _ => self.write_table(f)?,
        }
        for note in &self.notes {
            writeln!(f, "Note:        {note}")?;
        }
        for (broker, version) in &self.versions {
            writeln!(f, "Version:     {broker}: {version}")?;
        }
        writeln!(f, "Machine:     {}", self.machine)
    }
}

impl Report {
    /// Writes one row per broker, and one for each void or failed run.
    fn write_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_rate = self.runs.iter().any(|run| run.plan.rate.is_some());
        let if_rate = |text: String| if has_rate { format!("{text:>10}") } else { String::new() };
        let head = if_rate("late p99".into());
        writeln!(
            f,
            "{:12}{:>11}{:>10}{:>10}{:>10}{head}{:>10}{:>8}{:>8}",
            "broker", "requests/s", "µs/req", "p50", "p99", "memory", "busy", "void"
        )?;
        let time = |us: Option<f64>| us.map_or("-".into(), show_us);
        for summary in self.summaries() {
            writeln!(
                f,
                "{:12}{:>11.0}{:>10}{:>10}{:>10}{}{:>10}{:>8}{:>8}",
                summary.broker,
                summary.requests_per_second,
                summary.broker_us_per_request.map_or("-".into(), |us| format!("{us:.2}")),
                time(summary.p50_us),
                time(summary.p99_us),
                if_rate(time(summary.lateness_p99_us)),
                summary
                    .peak_bytes
                    .map_or("-".into(), |bytes| { format!("{:.1} MiB", mebibytes(bytes as u64)) }),
                summary.broker_busy.map_or("-".into(), |busy| format!("{:.0} %", busy * 100.0)),
                format!("{} of {}", summary.void, summary.runs),
            )?;
        }
        writeln!(f)?;
        writeln!(f, "Medians. µs/req is the broker's processor time for each request.")?;
        if has_rate {
            writeln!(f, "late p99 is the generator's lateness; the latency does not include it.")?;
        }
        for run in &self.runs {
            for why in run.void() {
                writeln!(f, "Void:        {}: {why}", run.broker)?;
            }
            for fault in &run.measured.tally.faults {
                writeln!(f, "Not right:   {}: {fault}", run.broker)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plan, tally) = (&self.plan, &self.measured.tally);
        let percent = |share: Option<f64>| {
            share.map_or("unknown".into(), |share| format!("{:.1} %", share * 100.0))
        };
        let time = |us: Option<f64>| us.map_or("-".into(), show_us);
        let workers = match plan.workers {
            0 => "workers of others".into(),
            workers => format!("{workers} workers"),
        };
        let at = match plan.worker_endpoint != plan.endpoint {
            true => format!(" at {}", plan.worker_endpoint),
            false => String::new(),
        };
        writeln!(
            f,
            "{} at {}, in {}: {} clients with {} in flight each, {workers}{at}, {} a body",
            self.broker,
            plan.endpoint,
            plan.speech,
            plan.clients,
            plan.in_flight,
            show_bytes(plan.body_bytes),
        )?;
        writeln!(f)?;
        writeln!(f, "Throughput:  {:.0} requests/s, of which each was checked", tally.rate())?;
        let quantiles = |of: &dyn Fn(f64) -> Option<f64>| {
            format!(
                "p50 {}, p90 {}, p99 {}, p99.9 {}, max {}",
                time(of(0.5)),
                time(of(0.9)),
                time(of(0.99)),
                time(of(0.999)),
                time(of(1.0))
            )
        };
        let latency = quantiles(&|quantile| self.within_us(quantile));
        match plan.rate {
            None => writeln!(f, "Latency:     {latency}")?,
            Some(rate) => {
                let lateness = quantiles(&|quantile| self.lateness_us(quantile));
                writeln!(f, "Rate:        {rate} requests/s")?;
                writeln!(f, "Latency:     {latency}, without the lateness")?;
                writeln!(f, "Lateness:    {lateness}, of the generator")?;
            }
        }
        if let Some(memory) = self.measured.memory {
            writeln!(
                f,
                "Broker:      busy {}, {} of processor time a request, {:.1} MiB of memory, at \
                 most {:.1} MiB",
                percent(self.broker_busy()),
                time(self.broker_us_per_request()),
                mebibytes(memory.bytes),
                mebibytes(memory.peak_bytes),
            )?;
        }
        if let Some(span) = self.started_in {
            writeln!(
                f,
                "Start:       it listened after {}",
                show_us(span.as_nanos() as f64 / 1e3)
            )?;
        }
        writeln!(
            f,
            "Generator:   busy {}, {} of processor time a request",
            percent(Some(self.generator_busy())),
            time(self.generator_us_per_request()),
        )?;
        writeln!(f, "Others:      {} of the machine", percent(self.others()))?;
        writeln!(f, "Bottleneck:  {}", self.bottleneck())?;
        writeln!(
            f,
            "Replies:     {} right, {} wrong, {} failed, {} lost; {} doubled, {} foreign",
            tally.right, tally.wrong, tally.failed, tally.lost, tally.doubled, tally.foreign
        )?;
        for fault in &tally.faults {
            writeln!(f, "             {fault}")?;
        }
        if tally.unasked > 0 {
            writeln!(f, "Not asked:   {} requests that were due", tally.unasked)?;
        }
        for why in self.void() {
            writeln!(f, "Void:        {why}")?;
        }
        Ok(())
    }
}

pub(super) fn show_bytes(count: usize) -> String {
    let shown = bytes::show(count);
    if shown.ends_with('B') { shown } else { format!("{shown} bytes") }
}

pub(super) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
