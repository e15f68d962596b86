//! A benchmark report as a self-contained HTML page.

use std::fmt::Display;

use hdrhistogram::Histogram;

use crate::cmd::bench::report::chart::{Axis, Curve, bars, curves};
use crate::cmd::bench::report::terminal::{mebibytes, show_bytes};
use crate::cmd::bench::report::{Report, Run, Summary, show_us};
use crate::cmd::bench::tally::PARTS;

const STYLE: &str = include_str!("page.css");
/// The number of points of a latency curve per factor of ten in the remaining replies.
const POINTS_PER_NINE: u32 = 20;
const NINES_MAX: u32 = 5;

impl Report {
    /// Renders the page.
    pub(in crate::cmd::bench) fn html(&self) -> String {
        let title = match &self.runs[..] {
            [only] => format!("{} under load", only.broker),
            _ => "Brokers under load".into(),
        };
        let mut page = format!(
            "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport \
             content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n<h1>{title}</h1>\n",
            title = escape(&title)
        );
        if let Some(run) = self.runs.first() {
            page += &format!("<p class=soft>{}</p>\n", escape(&scene(run)));
        }
        if let [only] = &self.runs[..] {
            page += &cards(only);
        } else {
            page += &self.brokers();
        }
        page += &self.latency();
        page += &self.lateness();
        page += &self.throughput();
        page += &self.table();
        page += &self.remarks();
        let raw = serde_json::to_string_pretty(&self.value()).unwrap_or_default();
        // Show the generator's version. A comparison with our broker includes it already.
        let own = ("majordomus", env!("CARGO_PKG_VERSION").to_owned());
        let is_named = self.versions.iter().any(|(broker, _)| *broker == own.0);
        let versions = (!is_named).then_some(&own).into_iter().chain(&self.versions);
        let versions =
            versions.map(|(broker, version)| format!("<p>{broker}: {}</p>\n", escape(version)));
        page += &format!(
            "<section><h2>Where this comes from</h2>\n<p>{}</p>\n{}<p><code>{}</code></p>\n\
             <details><summary>Raw figures</summary>\n<pre>{}</pre></details></section>\n",
            escape(&self.machine),
            versions.collect::<String>(),
            escape(&self.command),
            escape(&raw)
        );
        page + "</html>\n"
    }

    /// Returns a broker's colour: its index among all brokers.
    fn colour(&self, broker: &str) -> usize {
        let summaries = self.summaries();
        summaries.iter().position(|summary| summary.broker == broker).unwrap_or_default()
    }

    /// Renders the cost per request and the throughput of each broker.
    fn brokers(&self) -> String {
        let summaries = self.summaries();
        let row = |summary: &Summary<'_>, value: f64, said: String| {
            let void = if summary.void == summary.runs { " (void)" } else { "" };
            (escape(summary.broker), value, said + void)
        };
        let costs: Vec<_> = summaries
            .iter()
            .filter_map(|summary| {
                let cost = summary.broker_us_per_request?;
                Some(row(summary, cost, show_us(cost)))
            })
            .collect();
        let rates: Vec<_> = summaries
            .iter()
            .map(|summary| {
                let rate = summary.requests_per_second;
                row(summary, rate, format!("{}/s", thousands(rate)))
            })
            .collect();
        let most =
            |rows: &[(String, f64, String)]| rows.iter().map(|row| row.1).fold(0.0, f64::max);
        let cost =
            Axis::linear("µs of the broker’s processor time for each request", most(&costs), short);
        let rate = Axis::linear("requests a second", most(&rates), thousands);
        format!(
            "<section><h2>What a request costs (medians; less is better)</h2>\n{}</section>\n\
             <section><h2>How many requests it takes (medians; more is better)</h2>\n{}</section>\n",
            bars(&cost, &costs),
            bars(&rate, &rates)
        )
    }

    fn latency(&self) -> String {
        let title = match self.runs.iter().any(|run| run.plan.rate.is_some()) {
            true => "Latency, without the generator’s lateness",
            false => "Latency",
        };
        let label = "share of the replies that came within this time";
        self.distributions(title, label, "latency", |run| &run.measured.tally.latency)
    }

    /// Renders the generator's lateness in runs with a fixed rate.
    fn lateness(&self) -> String {
        let title =
            "The generator’s lateness (a run is void if its p99 exceeds the median latency)";
        let label = "share of the requests that started within this time after they were due";
        self.distributions(title, label, "lateness", |run| &run.measured.tally.lateness)
    }

    /// Renders a chart with a curve for each run that has recorded times.
    fn distributions(
        &self,
        title: &str,
        across: &'static str,
        up: &'static str,
        times: impl Fn(&Run) -> &Histogram<u64>,
    ) -> String {
        let runs: Vec<_> = self.runs.iter().map(|run| (run, times(run))).collect();
        let runs = || runs.iter().filter(|(_, times)| !times.is_empty());
        let least = runs().map(|(_, times)| times.min()).min();
        let most = runs().map(|(_, times)| times.max()).max();
        let (Some(least), Some(most)) = (least, most) else { return String::new() };
        let shares = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"];
        let ticks = shares.into_iter().enumerate().map(|(at, share)| (at as f64, share.into()));
        let x = Axis { label: across, from: 0.0, to: NINES_MAX.into(), ticks: ticks.collect() };
        let y = Axis::powers(up, least as f64 / 1e3, most as f64 / 1e3, tick_us);
        let drawn: Vec<_> = runs()
            .map(|(run, times)| Curve {
                colour: self.colour(&run.broker),
                points: distribution(times),
            })
            .collect();
        format!(
            "<section><h2>{title}</h2>\n{}{}</section>\n",
            self.legend(),
            curves(&x, &y, &drawn)
        )
    }

    fn throughput(&self) -> String {
        let seconds = |run: &Run| run.plan.duration.as_secs_f64();
        let curve = |run: &Run| {
            let part = seconds(run) / PARTS as f64;
            let points = run.measured.tally.parts.iter().enumerate();
            points.map(|(at, count)| ((at as f64 + 0.5) * part, *count as f64 / part)).collect()
        };
        let drawn: Vec<_> = self
            .runs
            .iter()
            .map(|run| Curve { colour: self.colour(&run.broker), points: curve(run) })
            .collect();
        let points = || drawn.iter().flat_map(|curve| &curve.points);
        let longest = self.runs.iter().map(seconds).fold(0.0, f64::max);
        let x = Axis::linear("seconds of the measured time", longest, short);
        let most = points().map(|point| point.1).fold(0.0, f64::max);
        let y = Axis::linear("replies a second", most, thousands);
        format!(
            "<section><h2>Throughput</h2>\n{}{}</section>\n",
            self.legend(),
            curves(&x, &y, &drawn)
        )
    }

    fn legend(&self) -> String {
        let summaries = self.summaries();
        if summaries.len() < 2 {
            return String::new();
        }
        let entries = summaries.iter().enumerate().map(|(colour, summary)| {
            format!("<span><i class=c{colour}></i>{}</span>", escape(summary.broker))
        });
        format!("<div class=legend>{}</div>\n", entries.collect::<String>())
    }

    /// Renders a table with one row per run.
    fn table(&self) -> String {
        let heads = [
            "broker",
            "dialect",
            "requests/s",
            "µs/request",
            "p50",
            "p99",
            "p99.9",
            "max",
            "late p99",
            "memory",
            "broker",
            "generator",
            "others",
            "",
        ];
        let head: String = heads.iter().map(|head| format!("<th>{head}</th>")).collect();
        let rows: String = self.runs.iter().map(row).collect();
        format!(
            "<section><h2>Runs</h2>\n<table><tr>{head}</tr>\n{rows}</table>\n<p class=soft>µs/request \
             is the broker’s processor time, late p99 the generator’s lateness at a rate, memory the \
             most that it held, and broker, generator and others are what each used: of a core, and \
             others of the machine.</p></section>\n"
        )
    }

    /// Renders the reasons for void runs, the failed requests, and the notes.
    fn remarks(&self) -> String {
        let of = |run: &Run| {
            let void = run.void().into_iter().map(|why| format!("void: {why}"));
            let faults = run.measured.tally.faults.iter().cloned();
            void.chain(faults).map(|text| format!("{}: {text}", run.broker)).collect::<Vec<_>>()
        };
        let all = self.runs.iter().flat_map(of).chain(self.notes.iter().cloned());
        let all: String = all.map(|text| format!("<p>{}</p>\n", escape(&text))).collect();
        match all.is_empty() {
            true => String::new(),
            false => format!("<section><h2>Remarks</h2>\n{all}</section>\n"),
        }
    }
}

/// Describes the parameters that all runs share.
fn scene(run: &Run) -> String {
    let plan = &run.plan;
    let rate = plan.rate.map_or("as many requests as go".into(), |rate| {
        format!("{} requests a second", thousands(rate.into()))
    });
    format!(
        "{} clients with {} requests in flight each, {} workers that echo, {} a body, {rate}, for {}",
        plan.clients,
        plan.in_flight,
        plan.workers,
        show_bytes(plan.body_bytes),
        crate::duration::show(plan.duration)
    )
}

fn cards(run: &Run) -> String {
    let tally = &run.measured.tally;
    let time = |us: Option<f64>| us.map_or("–".into(), show_us);
    let wrong = tally.asked - tally.right + tally.doubled + tally.foreign;
    let lateness = run.lateness_us(0.99);
    let lateness = lateness.map(|us| (show_us(us), "lateness of the generator (p99)".into()));
    let cards = [
        (thousands(tally.rate()), "requests a second".into()),
        (time(run.broker_us_per_request()), "of the broker’s processor time for each".into()),
        (time(run.within_us(0.5)), "half of the replies came within".into()),
        (time(run.within_us(0.99)), "99 of 100 came within".into()),
        (thousands(wrong as f64), format!("of {} were not right", thousands(tally.asked as f64))),
        (bottleneck(run), "was the bottleneck".into()),
    ];
    let cards = cards.into_iter().chain(lateness).map(|(figure, what)| {
        format!("<div class=card><b>{}</b><span>{}</span></div>\n", escape(&figure), escape(&what))
    });
    format!("<div class=cards>\n{}</div>\n", cards.collect::<String>())
}

/// Describes the bottleneck, without advice.
fn bottleneck(run: &Run) -> String {
    let text = run.bottleneck().to_string();
    text.split(';').next().unwrap_or_default().into()
}

fn row(run: &Run) -> String {
    let tally = &run.measured.tally;
    let time = |us: Option<f64>| us.map_or("–".into(), show_us);
    let percent =
        |share: Option<f64>| share.map_or("–".into(), |share| format!("{:.0} %", share * 100.0));
    let memory = run
        .measured
        .memory
        .map_or("–".into(), |memory| format!("{:.1} MiB", mebibytes(memory.peak_bytes)));
    let state = match (tally.is_right(), run.void().is_empty()) {
        (false, _) => "<span class=bad>not right</span>",
        (true, false) => "<span class=bad>void</span>",
        (true, true) => "",
    };
    let cells = [
        escape(&run.broker),
        escape(&run.plan.speech.to_string()),
        thousands(tally.rate()),
        run.broker_us_per_request().map_or("–".into(), |us| format!("{us:.2}")),
        time(run.within_us(0.5)),
        time(run.within_us(0.99)),
        time(run.within_us(0.999)),
        time(run.within_us(1.0)),
        time(run.lateness_us(0.99)),
        memory,
        percent(run.broker_busy()),
        percent(Some(run.generator_busy())),
        percent(run.others()),
        state.into(),
    ];
    let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
    format!("<tr>{cells}</tr>\n")
}

/// Returns the points of a time curve. The first value counts nines: each step of 1 leaves a tenth
/// of the times above the point.
fn distribution(times: &Histogram<u64>) -> Vec<(f64, f64)> {
    let points =
        (0..=NINES_MAX * POINTS_PER_NINE).map(|at| f64::from(at) / f64::from(POINTS_PER_NINE));
    let known = points.take_while(|nines| 10_f64.powf(*nines) <= times.len() as f64);
    known
        .map(|nines| {
            let quantile = 1.0 - 10_f64.powf(-nines);
            (nines, (times.value_at_quantile(quantile) as f64 / 1e3).log10())
        })
        .collect()
}

/// Formats a power of ten of microseconds.
fn tick_us(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us} µs"),
        us if us < 1e6 => format!("{} ms", us / 1e3),
        us => format!("{} s", us / 1e6),
    }
}

/// Formats a number with as few digits as possible.
fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// Formats a whole number with thin spaces between thousands.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn escape(text: &(impl Display + ?Sized)) -> String {
    let text = text.to_string();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([short(0.5), short(2.0), short(10.0)], ["0.5", "2", "10"]);
        assert_eq!(thousands(1_234_567.8), "1\u{202f}234\u{202f}568");
        assert_eq!([tick_us(0.1), tick_us(100.0), tick_us(1e4)], ["0.1 µs", "100 µs", "10 ms"]);
    }

    #[test]
    fn nothing_gets_out_of_its_text() {
        assert_eq!(escape("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
    }
}
