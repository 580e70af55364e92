//! A bench as bars: a panel for each task, a bar for each contestant, a whisker from the least to the most.
//!
//! Plain SVG without scripts, fonts or a background. The colours are as readable on white as on black: pages that show
//! it do not say which they are.

use super::short;
use crate::contest::{Figures, Row, Spread};
use std::fmt::Write;

/// Panels side by side.
const COLUMNS: usize = 2;
const PANEL: usize = 460;
const GAP: usize = 20;
/// Where bars begin, and how long the longest is.
const LABEL: usize = 170;
const BAR: usize = 220;
const LINE: usize = 20;
/// Above a panel's first bar.
const HEAD: usize = 34;

const TEXT: &str = "#6e7781";
const OURS: &str = "#2f81f7";
const OTHERS: &str = "#8b949e";
const WHISKER: &str = "#d29922";

/// Bars of one task.
struct Panel<'a> {
    title: String,
    bars: Vec<(&'a str, Spread)>,
}

impl Panel<'_> {
    fn height(&self) -> usize {
        HEAD + LINE * self.bars.len()
    }
}

/// The figures' chart; of each task the metric that comes first.
pub fn svg(figures: &Figures) -> String {
    let panels = panels(figures);
    let mut body = String::new();
    let mut top = GAP;
    for side_by_side in panels.chunks(COLUMNS) {
        for (column, panel) in side_by_side.iter().enumerate() {
            draw(&mut body, panel, GAP + column * (PANEL + GAP), top);
        }
        let height = side_by_side.iter().map(Panel::height).max().unwrap_or(0);
        top += height + GAP;
    }
    let width = GAP + COLUMNS * (PANEL + GAP);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{top}\" viewBox=\"0 0 {width} {top}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"{TEXT}\">\n{body}</svg>\n"
    )
}

fn panels(figures: &Figures) -> Vec<Panel<'_>> {
    let mut panels: Vec<(&str, &str, Panel<'_>)> = Vec::new();
    for row in &figures.rows {
        let Some(spread) = row.spread() else { continue };
        let (task, metric) = (row.entry.task.as_str(), row.metric.name);
        let bar = (row.entry.contestant.as_str(), spread);
        match panels.iter_mut().find(|(known, ..)| *known == task) {
            Some((_, first, panel)) if *first == metric => panel.bars.push(bar),
            Some(_) => {}
            None => panels.push((
                task,
                metric,
                Panel {
                    title: title(row),
                    bars: vec![bar],
                },
            )),
        }
    }
    panels.into_iter().map(|(.., panel)| panel).collect()
}

/// `64k flows: packets, 1/s, more is better`
fn title(row: &Row) -> String {
    let (task, metric) = (&row.entry.task, row.metric);
    let better = if metric.unit.ends_with("/s") {
        "more"
    } else {
        "less"
    };
    format!(
        "{task}: {}, {}, {better} is better",
        metric.name, metric.unit
    )
}

fn draw(out: &mut String, panel: &Panel<'_>, left: usize, top: usize) {
    let title = escape(&panel.title);
    let _ = writeln!(
        out,
        "<text x=\"{left}\" y=\"{}\" font-weight=\"600\">{title}</text>",
        top + 14
    );
    let most = panel.bars.iter().map(|(_, spread)| spread.most);
    let scale = BAR as f64 / most.fold(f64::MIN_POSITIVE, f64::max);
    let start = left + LABEL;
    for (number, (who, spread)) in panel.bars.iter().enumerate() {
        let y = top + HEAD + number * LINE;
        let at = |figure: f64| start as f64 + figure * scale;
        let colour = if who.starts_with("gwpool") {
            OURS
        } else {
            OTHERS
        };
        let (width, baseline, middle) = (spread.median * scale, y + 4, y as f64 - 0.5);
        let (from, to) = (at(spread.least), at(spread.most));
        let (who, figure) = (escape(who), short(spread.median));
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{baseline}\" text-anchor=\"end\">{who}</text>\
             <rect x=\"{start}\" y=\"{}\" width=\"{width:.1}\" height=\"13\" fill=\"{colour}\"/>\
             <path d=\"M{from:.1} {middle}H{to:.1}\" stroke=\"{WHISKER}\" stroke-width=\"3\"/>\
             <text x=\"{:.1}\" y=\"{baseline}\">{figure}</text>",
            start - 8,
            y - 7,
            to.max(at(spread.median)) + 6.0,
        );
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
