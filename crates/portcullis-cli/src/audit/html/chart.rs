//! Charts, as SVG within the page. Each number in them is in a table, too.

use std::fmt::Write;

use super::Escaped;
use crate::audit::record::Verdict;
use crate::audit::report::{Report, Section};
use crate::audit::tally::Counts;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 200.0;
/// What is left for the names of bars.
const NAMES: f64 = 260.0;
const BAR: f64 = 22.0;
/// The most columns over time; more hours are days.
const MOST_COLUMNS: usize = 24 * 14;
const MOST_BARS: usize = 10;
const LONGEST_NAME: usize = 36;

/// Verdicts over time, a column for each hour or day.
pub(super) fn over_time(report: &Report<'_>) -> String {
    let (title, times) = report.times(MOST_COLUMNS);
    let (Some((first, _)), Some((last, _))) = (times.first(), times.last()) else {
        return String::new();
    };
    let most = times.iter().map(|(_, counts)| counts.total()).max().unwrap_or(1).max(1);
    let step = WIDTH / times.len() as f64;
    let mut svg = format!(
        "<section>\n<h2>Over time</h2>\n{}<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" \
         aria-label=\"Records {}, at most {most} in one\">\n",
        legend(report),
        HEIGHT + 40.0,
        title.to_lowercase(),
    );
    for (place, (time, counts)) in times.iter().enumerate() {
        let (mut top, x) = (HEIGHT, step * place as f64);
        let _ = write!(svg, "<g><title>{}: {}</title>", Escaped(time), counts.total());
        for verdict in report.verdicts() {
            let height = HEIGHT * counts.of(verdict) as f64 / most as f64;
            top -= height;
            rectangle(&mut svg, verdict, [x, top, (step * 0.85).min(40.0), height]);
        }
        svg.push_str("</g>\n");
    }
    let (below, end) = (HEIGHT + 18.0, if times.len() > 1 { last.as_str() } else { "" });
    let _ = write!(
        svg,
        "<line class=\"base\" x1=\"0\" y1=\"{HEIGHT}\" x2=\"{WIDTH}\" y2=\"{HEIGHT}\"/>\n\
         <text class=\"axis\" x=\"0\" y=\"{below}\">{}</text>\n\
         <text class=\"axis\" x=\"{WIDTH}\" y=\"{below}\" text-anchor=\"end\">{}</text>\n\
         </svg>\n</section>\n",
        Escaped(first),
        Escaped(end),
    );
    svg
}

/// The first rows of a section as bars, if it counts something by name.
pub(super) fn bars(report: &Report<'_>, section: &Section) -> String {
    let tally = report.tally;
    let (counted, names) = match section.title {
        "By principal" => (&tally.principals, 2),
        "By component" => (&tally.components, 1),
        "By rule" => (&tally.rules, 1),
        _ => return String::new(),
    };
    let bars: Vec<(String, &Counts)> = section
        .rows
        .iter()
        .zip(counted.by_count())
        .take(MOST_BARS)
        .map(|(row, (_, counts))| (name(row, names), counts))
        .collect();
    let most = bars.iter().map(|(_, counts)| counts.total()).max().unwrap_or(1).max(1);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}: the table below has the \
         numbers\">\n",
        BAR * bars.len() as f64,
        Escaped(section.title),
    );
    for (place, (name, counts)) in bars.iter().enumerate() {
        let (y, mut x) = (BAR * place as f64, NAMES);
        let base = y + 15.0;
        let _ = write!(
            svg,
            "<g><title>{}: {}</title><text x=\"0\" y=\"{base}\">{}</text>",
            Escaped(name),
            counts.total(),
            Escaped(name),
        );
        for verdict in report.verdicts() {
            let width = (WIDTH - NAMES - 80.0) * counts.of(verdict) as f64 / most as f64;
            rectangle(&mut svg, verdict, [x, y + 4.0, width, BAR - 8.0]);
            x += width;
        }
        let x = x + 6.0;
        let total = counts.total();
        let _ = writeln!(svg, "<text class=\"axis\" x=\"{x:.1}\" y=\"{base}\">{total}</text></g>");
    }
    svg.push_str("</svg>\n");
    svg
}

fn name(row: &[String], names: usize) -> String {
    let named: Vec<&str> = row.iter().take(names).map(String::as_str).collect();
    let name = named.join(" ");
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name,
    }
}

fn legend(report: &Report<'_>) -> String {
    let mut list = String::from("<ul>\n");
    for verdict in report.verdicts() {
        let word = verdict.as_str();
        let _ = writeln!(
            list,
            "<li><svg width=\"12\" height=\"12\" aria-hidden=\"true\"><rect class=\"{word}\" \
             width=\"12\" height=\"12\"/></svg>{word}</li>"
        );
    }
    list.push_str("</ul>\n");
    list
}

fn rectangle(svg: &mut String, verdict: Verdict, [x, y, width, height]: [f64; 4]) {
    if width > 0.0 && height > 0.0 {
        let class = verdict.as_str();
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\"/>"
        );
    }
}
