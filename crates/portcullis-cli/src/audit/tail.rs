//! `portcullis audit tail`: the last records, and those to come.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use portcullis::guard::AppendedFile;
use serde_json::Value;

use super::filter::Filter;
use super::record::{Record, Text};
use super::trail::Trail;
use super::{document, report, tell};
use crate::arguments::audit::OfAudit;
use crate::{Error, output};

/// How long to rest after everything was read.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest line that is waited for; what is longer is no record.
const LONGEST_LINE: usize = 512 * 1024;

/// How much is read at once of what a file grew by.
const BLOCK: u64 = 512 * 1024;

pub(super) fn tail(lines: usize, follow: bool, json: bool, of: &OfAudit) -> Result<(), Error> {
    let filter = Filter::new(of);
    let trail = Trail::open(&of.files)?;
    let followed = match follow {
        true => Some((one(of.files.paths()?)?, trail.continued()?)),
        false => None,
    };
    let gather = |last: &mut VecDeque<String>, record: &Record<'_>, line: &[u8]| {
        if filter.takes(record) && lines > 0 {
            if last.len() == lines {
                last.pop_front();
            }
            last.push_back(shown(record, line, json));
        }
    };
    let (last, mut reading) = trail.read(1, gather);
    for line in last.iter().flatten() {
        output::result(line)?;
    }
    let Some((path, file)) = followed else {
        tell(&reading);
        return Ok(());
    };
    // The line that was being written is whole soon.
    reading.unfinished -= u64::from(reading.unfinished_line.is_some());
    tell(&reading);
    let begun = reading.unfinished_line.unwrap_or_default();
    let followed = Followed { path, file, begun, is_overlong: false };
    match followed.print(|record, line| match filter.takes(record) {
        true => output::result(&shown(record, line, json)),
        false => Ok(()),
    }) {
        // Whoever read it has enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        ended => Ok(ended?),
    }
}

/// The one file that is followed.
fn one(paths: Vec<PathBuf>) -> Result<PathBuf, Error> {
    match <[PathBuf; 1]>::try_from(paths) {
        Ok([path]) if !path.is_dir() => Ok(path),
        _ => Err("--follow needs one file: write the PATH of the audit file itself".into()),
    }
}

/// A file that is read as it grows, and what takes its place when it is rotated.
struct Followed {
    path: PathBuf,
    file: AppendedFile,
    /// The beginning of a line.
    begun: Vec<u8>,
    /// Whether that was too long, and is left out.
    is_overlong: bool,
}

impl Followed {
    fn print(
        mut self,
        mut each: impl FnMut(&Record<'_>, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut next = None;
        loop {
            let mut more = Vec::new();
            self.file.grown()?;
            (&mut self.file).take(BLOCK).read_to_end(&mut more)?;
            for part in more.split_inclusive(|byte| *byte == b'\n') {
                self.add(part, &mut each)?;
            }
            if !more.is_empty() {
                continue;
            }
            // A server may have written to the old one while the new one was made: it is looked at once
            // more after the pause.
            if let Some(file) = next.take() {
                self.file = file;
                self.begun.clear();
                self.is_overlong = false;
                continue;
            }
            next = self.successor()?;
            thread::sleep(PAUSE);
        }
    }

    fn add(
        &mut self,
        part: &[u8],
        each: &mut impl FnMut(&Record<'_>, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        if !self.is_overlong {
            self.begun.extend_from_slice(part);
        }
        let is_overlong = self.is_overlong || self.begun.len() > LONGEST_LINE;
        if !part.ends_with(b"\n") {
            self.is_overlong = is_overlong;
            return Ok(());
        }
        let line = std::mem::take(&mut self.begun);
        self.is_overlong = false;
        let blank = line.iter().all(u8::is_ascii_whitespace);
        match Record::read(&line) {
            Some(record) if !is_overlong => each(&record, &line)?,
            _ if blank => {}
            _ => output::note(format_args!(
                "warning: a damaged line, which is no record, is left out"
            )),
        }
        Ok(())
    }

    /// What was written after the file, once it is rotated: the next one in the order of rotation.
    fn successor(&self) -> io::Result<Option<AppendedFile>> {
        let all = match AppendedFile::all(&self.path) {
            // It is renamed, and not made again yet; or again and again, and is looked for again.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Interrupted) => {
                return Ok(None);
            }
            all => all?,
        };
        let place = all.iter().position(|file| file.is(&self.file));
        let later = place.map_or(0, |place| place + 1);
        Ok(all.into_iter().nth(later))
    }
}

/// A record as one line.
fn shown(record: &Record<'_>, line: &[u8], json: bool) -> String {
    if json {
        let value: Value = serde_json::from_slice(line).unwrap_or_default();
        return document::line(&value).unwrap_or_default();
    }
    let text = |text: &Option<Text<'_>>| text.as_ref().map_or("-".to_owned(), Text::to_string);
    let mut line = format!(
        "{:.23}Z  {:<10}  {}  {} {}",
        record.time,
        record.verdict.as_str(),
        text(&record.subject),
        text(&record.operation),
        text(&record.component),
    );
    for (name, value) in [
        ("rule", &record.rule),
        ("reason", &record.reason),
        ("result", &record.outcome),
        ("reference", &record.reference),
    ] {
        if let Some(value) = value {
            line.push_str(&format!("  {name}: {value}"));
        }
    }
    line + "  " + &report::time(record.duration_us)
}
