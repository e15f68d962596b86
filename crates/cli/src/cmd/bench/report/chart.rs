//! SVG line and bar charts with labelled axes. The page's style sheet defines the colours for light
//! and dark mode.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
/// The margin for the axis labels.
const LEFT: f64 = 76.0;
const RIGHT: f64 = 34.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
const TICKS_MAX: f64 = 6.0;
const BAR: f64 = 34.0;
/// The number of colours in the style sheet.
const COLOURS: usize = 5;

/// An axis of a chart.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) label: &'static str,
    pub(super) from: f64,
    pub(super) to: f64,
    /// The positions and labels of the tick marks.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Returns a linear axis from 0 to `most` with round steps.
    pub(super) fn linear(label: &'static str, most: f64, show: impl Fn(f64) -> String) -> Self {
        let step = round_step(most / TICKS_MAX);
        let count = (most / step).ceil().max(1.0);
        let ticks = (0..=count as u32).map(|at| f64::from(at) * step);
        let ticks = ticks.map(|at| (at, show(at))).collect();
        Self { label, from: 0.0, to: count * step, ticks }
    }

    /// Returns a logarithmic axis from `least` to `most`. Plotted values must be logarithms.
    pub(super) fn powers(
        label: &'static str,
        least: f64,
        most: f64,
        show: impl Fn(f64) -> String,
    ) -> Self {
        let (from, to) = (least.log10().floor(), most.log10().ceil());
        let to = to.max(from + 1.0);
        let ticks = (from as i32..=to as i32).map(|power| (power.into(), show(10_f64.powi(power))));
        Self { label, from, to, ticks: ticks.collect() }
    }

    /// Returns a value's relative position on the axis, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }
}

/// Returns the smallest value of the form 1, 2 or 5 times a power of ten that is at least `least`.
fn round_step(least: f64) -> f64 {
    if least <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().map(|step| step * power).find(|step| *step >= least);
    step.unwrap_or(10.0 * power)
}

/// A line of a chart. All lines of one broker have the same colour.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    pub(super) colour: usize,
    pub(super) points: Vec<(f64, f64)>,
}

/// Draws a line chart.
pub(super) fn curves(x: &Axis, y: &Axis, curves: &[Curve]) -> String {
    let across = |value: f64| LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
    let up = |value: f64| HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM);
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let mut svg = begin(HEIGHT);
    for (value, label) in &y.ticks {
        let at = up(*value);
        push(
            &mut svg,
            format_args!("<line class=grid x1={LEFT} x2={right} y1={at:.1} y2={at:.1} />"),
        );
        let (x, y) = (LEFT - 8.0, at + 4.0);
        push(&mut svg, format_args!("<text class=end x={x} y={y:.1}>{label}</text>"));
    }
    for (value, label) in &x.ticks {
        let (at, y) = (across(*value), bottom + 18.0);
        push(
            &mut svg,
            format_args!("<line class=grid x1={at:.1} x2={at:.1} y1={TOP} y2={bottom} />"),
        );
        push(&mut svg, format_args!("<text class=mid x={at:.1} y={y}>{label}</text>"));
    }
    for Curve { colour, points } in curves {
        let points = points.iter().map(|(x, y)| format!("{:.1},{:.1}", across(*x), up(*y)));
        let (points, colour) = (points.collect::<Vec<_>>().join(" "), colour % COLOURS);
        push(&mut svg, format_args!("<polyline class=c{colour} points=\"{points}\" />"));
    }
    let (middle, foot) = (f64::midpoint(LEFT, right), HEIGHT - 8.0);
    push(&mut svg, format_args!("<text class=mid x={middle} y={foot}>{}</text>", x.label));
    let middle = f64::midpoint(TOP, bottom);
    push(
        &mut svg,
        format_args!(
            "<text class=mid transform=\"translate(14 {middle}) rotate(-90)\">{}</text>",
            y.label
        ),
    );
    svg + "</svg>"
}

/// Draws one labelled bar per row, starting at 0.
pub(super) fn bars(x: &Axis, rows: &[(String, f64, String)]) -> String {
    let left = LEFT + 30.0;
    let right = WIDTH - 110.0;
    let across = |value: f64| left + x.place(value) * (right - left);
    let bottom = TOP + BAR * rows.len() as f64;
    let mut svg = begin(bottom + BOTTOM);
    for (value, label) in &x.ticks {
        let (at, y) = (across(*value), bottom + 18.0);
        push(
            &mut svg,
            format_args!("<line class=grid x1={at:.1} x2={at:.1} y1={TOP} y2={bottom} />"),
        );
        push(&mut svg, format_args!("<text class=mid x={at:.1} y={y}>{label}</text>"));
    }
    for (row, (name, value, said)) in rows.iter().enumerate() {
        let top = TOP + BAR * row as f64;
        let (end, text, colour) = (across(*value), top + BAR / 2.0 + 4.0, row % COLOURS);
        let (y, height, width) = (top + 6.0, BAR - 12.0, end - left);
        push(
            &mut svg,
            format_args!(
                "<rect class=c{colour} x={left} y={y} width={width:.1} height={height} rx=3 />"
            ),
        );
        let (before, behind) = (left - 8.0, end + 8.0);
        push(&mut svg, format_args!("<text class=end x={before} y={text}>{name}</text>"));
        push(&mut svg, format_args!("<text x={behind:.1} y={text}>{said}</text>"));
    }
    let (middle, foot) = (f64::midpoint(left, right), bottom + BOTTOM - 8.0);
    push(&mut svg, format_args!("<text class=mid x={middle} y={foot}>{}</text>", x.label));
    svg + "</svg>"
}

fn begin(height: f64) -> String {
    format!("<svg role=img viewBox=\"0 0 {WIDTH} {height}\">\n")
}

fn push(svg: &mut String, element: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "{element}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_steps_and_room_for_all() {
        for (most, to, ticks) in [(0.0, 1.0, 2), (9.0, 10.0, 6), (23.0, 25.0, 6), (1e6, 1e6, 6)] {
            let axis = Axis::linear("", most, |at| at.to_string());
            assert_eq!((axis.to, axis.ticks.len()), (to, ticks), "{most}");
        }
        let axis = Axis::powers("", 0.7, 1_300.0, |at| at.to_string());
        assert_eq!((axis.from, axis.to, axis.ticks.len()), (-1.0, 4.0, 6));
        assert_eq!((axis.place(-1.0), axis.place(9.0)), (0.0, 1.0));
    }
}
