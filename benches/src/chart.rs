//! The chart of what requests cost: one SVG that needs nothing else.

use std::fmt::Write;

use crate::figures::{Cost, Figures};

/// What the chart calls the servers, in the order of [`SERVERS`](crate::server::SERVERS).
const NAMES: [&str; 3] = ["bare axum", "Portcullis", "rmcp"];

const WIDTH: f64 = 720.0;
const MARGIN: f64 = 20.0;
/// Where bars begin, right of the servers' names.
const LEFT: f64 = 110.0;
/// The longest bar, which leaves room for its figure.
const LONGEST: f64 = 480.0;
const LINE: f64 = 20.0;
const BAR: f64 = 14.0;

/// Colours for light and dark pages. The chart brings its own background, since an image does
/// not learn which of the two a page has chosen.
const STYLE: &str = "\
.page{fill:#ffffff}text{fill:#1f2328;font:13px system-ui,sans-serif}\
.head{font-weight:600}.note{fill:#59636e;font-size:12px}\
.s0{fill:#8c959f}.s1{fill:#0969da}.s2{fill:#bc4c00}\
@media(prefers-color-scheme:dark){.page{fill:#0d1117}text{fill:#f0f6fc}\
.note{fill:#9198a1}.s0{fill:#656c76}.s1{fill:#4493f8}.s2{fill:#db6d28}}";

/// Draws `figures`. The bars of one request are in proportion to each other; each request has a
/// scale of its own, so that a difference is seen in the cheap ones too.
#[must_use]
pub fn svg(figures: &Figures) -> String {
    let title = "CPU time for each request, in microseconds (less is better)";
    let measured = format!(
        "Measured at {}: {}. Each request has a scale of its own.",
        figures.commit, figures.conditions
    );
    let mut body = String::new();
    let mut y = MARGIN + BAR;
    text(&mut body, MARGIN, y, "head", title);
    y += LINE;
    text(&mut body, MARGIN, y, "note", &measured);
    for cost in &figures.requests {
        y += LINE * 1.8;
        group(&mut body, &mut y, cost);
    }
    let height = y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
         width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\" rx=\"6\"/>\n{body}</svg>\n",
        escaped(title)
    )
}

/// One request: what it is, and a bar for each server.
fn group(body: &mut String, y: &mut f64, cost: &Cost) {
    let head = format!("{} ({:.2} × bare axum)", cost.request, cost.ratio);
    text(body, MARGIN, *y, "head", &head);
    let most = cost.cpu.iter().copied().fold(0.0, f64::max);
    for (at, (name, cpu)) in NAMES.iter().zip(cost.cpu).enumerate() {
        *y += LINE;
        let length = if most > 0.0 { LONGEST * cpu / most } else { 0.0 };
        text(body, MARGIN, *y, "name", name);
        let top = *y - BAR + 2.0;
        let _ = writeln!(
            body,
            "<rect class=\"s{at}\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\"/>"
        );
        text(body, LEFT + length + 6.0, *y, "figure", &format!("{cpu:.1}"));
    }
}

fn text(body: &mut String, x: f64, y: f64, class: &str, words: &str) {
    let words = escaped(words);
    let _ = writeln!(body, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>");
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::server::SERVERS;

    fn figures(request: &str, cpu: [f64; 3]) -> Figures {
        let cost = Cost { request: request.to_owned(), cpu, ratio: 1.5 };
        let (commit, conditions) = ("<abc>".to_owned(), "a \"core\" & a load".to_owned());
        Figures { commit, conditions, requests: vec![cost] }
    }

    /// The widths of the bars.
    fn widths(svg: &str) -> Vec<f64> {
        let bars = svg.lines().filter(|line| line.starts_with("<rect class=\"s"));
        let width = |line: &str| line.split("width=\"").nth(1)?.split('"').next()?.parse().ok();
        bars.map(|line| width(line).unwrap()).collect()
    }

    #[test]
    fn bars_are_in_proportion_and_have_their_figures_as_text() {
        let svg = svg(&figures("tools/call", [10.0, 15.0, 40.0]));
        assert_eq!(widths(&svg), [LONGEST / 4.0, LONGEST * 15.0 / 40.0, LONGEST]);
        for words in ["10.0", "15.0", "40.0", "bare axum", "Portcullis", "rmcp"] {
            assert!(svg.contains(&format!(">{words}</text>")), "{words}");
        }
        assert!(svg.contains(">tools/call (1.50 × bare axum)</text>"));
        assert_eq!(NAMES.len(), SERVERS.len());
    }

    #[test]
    fn nothing_measured_has_no_length() {
        assert_eq!(widths(&svg(&figures("none", [0.0; 3]))), [0.0; 3]);
    }

    #[test]
    fn words_are_escaped() {
        let svg = svg(&figures("a < b & \"c\" > d", [1.0; 3]));
        assert!(svg.contains("a &lt; b &amp; &quot;c&quot; &gt; d"));
        assert!(svg.contains("&lt;abc&gt;: a &quot;core&quot; &amp; a load"));
        assert!(!svg.contains("<abc>"));
    }

    #[test]
    fn the_documents_chart_is_drawn_from_the_figures_that_are_kept() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let figures = Figures::read(&folder.join("figures.json")).unwrap();
        let drawn = std::fs::read_to_string(folder.join("../docs/cost.svg")).unwrap();
        let hint = "cargo run -p benches --bin compare -- --chart-of benches/figures.json --svg docs/cost.svg";
        assert!(drawn == svg(&figures), "run {hint}");
    }
}
