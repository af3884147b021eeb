//! A report as one page that needs no other file, no script and no network.

mod chart;

use std::fmt::{self, Display, Write};

use super::report::{Report, Section};

const STYLE: &str = include_str!("report.css");

/// The whole page. What it names is escaped, and what a browser might load is refused by its policy.
pub(super) fn page(report: &Report<'_>) -> String {
    let mut page = String::new();
    // A string takes whatever is written, here and below.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <h1>{title}</h1>\n<p>{}</p>\n",
        Escaped(&report.scope()),
        title = Escaped(report.title),
    );
    if let Some(flaws) = super::flaws(report.reading) {
        let _ = writeln!(page, "<p class=\"flaws\" role=\"status\">{}</p>", Escaped(&flaws));
    }
    page.push_str("</header>\n<main>\n");
    page.push_str(&chart::over_time(report));
    for each in report.sections() {
        section(&mut page, report, &each);
    }
    page.push_str("</main>\n</body>\n</html>");
    page
}

fn section(page: &mut String, report: &Report<'_>, section: &Section) {
    let _ = write!(page, "<section>\n<h2>{}</h2>\n", Escaped(section.title));
    if section.rows.is_empty() {
        page.push_str("<p>Nothing.</p>\n</section>\n");
        return;
    }
    page.push_str(&chart::bars(report, section));
    page.push_str("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"");
    let _ = write!(page, "{}\"><table>\n<thead><tr>", Escaped(section.title));
    for name in &section.head {
        let _ = write!(page, "<th scope=\"col\">{}</th>", Escaped(name));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &section.rows {
        page.push_str("<tr>");
        for cell in row {
            let _ = write!(page, "<td>{}</td>", Escaped(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n");
    if let Some(note) = &section.note {
        let _ = writeln!(page, "<p>{}</p>", Escaped(note));
    }
    page.push_str("</section>\n");
}

/// A text for the inside of an element or of an attribute in double quotation marks.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}
