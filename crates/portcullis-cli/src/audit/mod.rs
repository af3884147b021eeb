//! `portcullis audit` and `portcullis why`: what audit files say.

mod document;
mod filter;
mod html;
mod json;
mod progress;
mod record;
mod report;
mod source;
mod tail;
mod tally;
mod trail;
mod why;

use std::fmt::Write;
use std::path::Path;

use portcullis::guard::PrivateFile;

use self::filter::Filter;
use self::json::Document;
use self::record::Verdict;
use self::report::Report;
use self::tally::Tally;
use self::trail::{Reading, THREADS, Trail};
pub(crate) use self::why::why;
use crate::arguments::audit::{AuditCommand, Format, OfAudit, Report as Form};
use crate::{Error, output};

pub(crate) fn run(command: AuditCommand) -> Result<(), Error> {
    match command {
        AuditCommand::Summary { of, report } => summary(&of, &report),
        AuditCommand::Denied { verdict, of, report } => denied(&verdict, &of, &report),
        AuditCommand::Tail { lines, follow, json, of } => tail::tail(lines, follow, json, &of),
    }
}

fn summary(of: &OfAudit, form: &Form) -> Result<(), Error> {
    let filter = Filter::new(of);
    let (tallies, reading) =
        Trail::open(&of.files)?.read(THREADS, |tally: &mut Tally, record, _| {
            if filter.takes(record) {
                tally.add(record);
                tally.add_denial(record);
            }
        });
    show(&Report::summary(&merged(tallies), &reading, form.top), form, &reading)
}

fn denied(verdicts: &[String], of: &OfAudit, form: &Form) -> Result<(), Error> {
    let filter = Filter::new(of);
    let verdicts: Vec<Verdict> = verdicts.iter().map(|word| Verdict::from(word.as_str())).collect();
    let (tallies, reading) =
        Trail::open(&of.files)?.read(THREADS, |tally: &mut Tally, record, _| {
            let is_meant = verdicts.is_empty() || verdicts.contains(&record.verdict);
            if is_meant && filter.takes(record) {
                tally.add_denial(record);
            }
        });
    show(&Report::denied(&merged(tallies), &reading, form.top), form, &reading)
}

fn merged(tallies: Vec<Tally>) -> Tally {
    tallies.into_iter().reduce(Tally::merge).unwrap_or_default()
}

fn show(report: &Report<'_>, form: &Form, reading: &Reading) -> Result<(), Error> {
    let text = match form.format {
        Format::Table => report.table(),
        Format::Json => document::json(&Document::new(report))?,
        Format::Html => html::page(report),
    };
    match &form.output {
        None => output::result(&text)?,
        Some(path) => {
            write(path, &text)?;
            output::note(format_args!("made {}", path.display()));
        }
    }
    tell(reading);
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let made = PrivateFile::create_new(path, |mut file| {
        std::io::Write::write_all(&mut file, text.as_bytes())
    });
    Ok(made?)
}

/// Says on standard error what could not be read.
fn tell(reading: &Reading) {
    if let Some(flaws) = flaws(reading) {
        output::note(format_args!("{flaws}"));
    }
}

/// What could not be read, in words.
fn flaws(reading: &Reading) -> Option<String> {
    let mut flaws = String::new();
    // A string takes whatever is written, here and below.
    let _ = match reading.damaged {
        0 => Ok(()),
        1 => writeln!(flaws, "warning: one damaged line, which is no record, is left out"),
        lines => {
            writeln!(flaws, "warning: {lines} damaged lines, which are no records, are left out")
        }
    };
    let _ = match reading.unfinished {
        0 => Ok(()),
        1 => writeln!(flaws, "warning: one file ends within a line, which is left out"),
        files => writeln!(flaws, "warning: {files} files end within a line, which is left out"),
    };
    for failure in &reading.failures {
        let _ = writeln!(flaws, "warning: {failure}");
    }
    (!flaws.is_empty()).then(|| flaws.trim_end().to_owned())
}
