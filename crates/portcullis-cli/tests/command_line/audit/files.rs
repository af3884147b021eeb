//! Which files are read, and what is read of damaged ones.

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::json;

use super::{Place, gzip, record, three};
use crate::{Ran, command, portcullis};

fn zstd(text: &str) -> Vec<u8> {
    compress_to_vec(text.as_bytes(), CompressionLevel::Fastest)
}

#[test]
fn rotated_and_compressed_files_are_read_and_each_once() {
    let place = Place::new(&[("audit.jsonl", &three()), ("audit.jsonl.1", &three())]);
    place.put("audit.jsonl.2.gz", &[gzip(&three()), gzip(&three())].concat());
    place
        .put("audit.jsonl.20260728T101112.000000Z.zst", &[zstd(&three()), zstd(&three())].concat());
    // It is known by what is in it, whatever it is called.
    place.put("audit.jsonl-20260101", &gzip(&three()));
    place.put("notes.txt", three().as_bytes());
    let again = format!("{}.1", place.path());
    let folder = place.0.path().to_str().unwrap().to_owned();
    let counted = place.summary(&[&again, &folder]);
    let found = [&counted["files"], &counted["records"], &counted["damaged_lines"]];
    assert_eq!(found, [&json!(5), &json!(21), &json!(0)], "{counted}");
}

#[test]
fn damaged_lines_are_counted_and_hide_nothing_else() {
    let overlong = format!("{{\"time\":\"{}\"}}\n", "x".repeat(3 * 512 * 1024));
    let wrong = [
        "no JSON\n",
        "{}\n",
        "[]\n",
        "\u{0}\u{1b}]0;title\u{7}\n",
        "{\"time\":\"yesterday\"}\n",
        "{\"time\":\"2026-07-28T10:00:00Z\",\"time\":\"2026-07-28T10:00:00Z\"}\n",
        &overlong,
        "\u{85}\u{feff}\n",
    ];
    let mut lines: String = wrong.iter().map(|wrong| format!("{wrong}{}\n", three())).collect();
    lines.push_str("{\"time\":\"2026-07-");
    let place = Place::new(&[("audit.jsonl", &lines)]);
    // Not even text.
    place.put("audit.jsonl.1", &[b"\xff\xfe\n", three().as_bytes(), b"\n  \n\n"].concat());
    let whole = gzip(&three().repeat(2_000));
    place.put("audit.jsonl.2.gz", &whole[..whole.len() / 2]);
    place.put("audit.jsonl.3", &[0x1f, 0x8b, 0xff]);
    place.put("audit.jsonl.4", &[0x28, 0xb5, 0x2f, 0xfd, 0xff]);
    place.put("audit.jsonl.5", b"");

    let counted = place.summary(&[]);
    assert_eq!(counted["damaged_lines"], wrong.len() + 1, "{:#}", counted["failures"]);
    let records = counted["records"].as_u64().unwrap();
    assert!(records > 27 && (records - 27) < 6_000, "{records}");
    assert_eq!(counted["failures"].as_array().unwrap().len(), 3, "{}", counted["failures"]);
    let warned = place.run(&["audit", "summary"]);
    let stderr = warned.stderr.as_str();
    assert!(
        stderr.contains("warning: 9 damaged lines")
            && stderr.contains("2.gz was not read to its end"),
        "{stderr}"
    );
    assert!(stderr.contains(" within a line, which is left out"), "{stderr}");
    assert!(!stderr.contains('\u{1b}'), "{stderr}");
}

#[test]
fn a_record_behind_a_line_that_is_too_long_is_counted_wherever_it_begins() {
    let block = 512 * 1024;
    for behind in [1, 10, 100] {
        let overlong = "x".repeat(2 * block - 1 - behind);
        let place = Place::new(&[("audit.jsonl", &format!("{overlong}\n{}", three()))]);
        let counted = place.summary(&[]);
        let found = (&counted["records"], &counted["damaged_lines"]);
        assert_eq!(found, (&json!(3), &json!(1)), "{behind}");
    }
}

#[test]
fn a_long_name_is_counted_by_its_beginning() {
    let place = Place::new(&[(
        "audit.jsonl",
        &record("10:00:00", &"é".repeat(20_000), "denied", &"a\u{1}".repeat(5_000), json!({})),
    )]);
    let counted = place.summary(&[]);
    assert_eq!(counted["principals"][0]["subject"], "é".repeat(512) + "…");
    assert_eq!(counted["denials"][0]["what"].as_str().unwrap().len(), 1_024 + "…".len());
}

#[test]
fn records_of_another_shape_are_counted() {
    let lines = concat!(
        "{\"time\":\"2025-01-01T00:00:00Z\"}\n",
        "{\"time\":\"2025-01-01T00:00:00.5Z\",\"verdict\":\"allowed\",\"subject\":null}\n",
        "{\"time\":\"2030-01-01T00:00:00.123456789Z\",\"verdict\":\"postponed\",\"new\":{\"a\":[1]}}\n",
    );
    let place = Place::new(&[("audit.jsonl", lines)]);
    let counted = place.summary(&[]);
    assert_eq!(counted["counted"]["records"], 3);
    assert_eq!(
        (&counted["counted"]["allowed"], &counted["counted"]["other"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(counted["to"], "2030-01-01T00:00:00.123456Z");
    assert!(place.run(&["audit", "summary"]).done().contains("other"));
}

#[test]
fn what_is_counted_by_name_is_bounded_and_nothing_is_left_out() {
    let lines: String = (0..60_000)
        .map(|n| record("10:00:00", &format!("user{n}"), "denied", "a", json!({})))
        .collect();
    let place = Place::new(&[("audit.jsonl", &lines)]);
    let counted = place.summary(&[]);
    let named = counted["principals"].as_array().unwrap();
    let sum: u64 = named.iter().map(|principal| principal["records"].as_u64().unwrap()).sum();
    let others = counted["others"]["principals"]["records"].as_u64().unwrap();
    assert_eq!((named.len(), sum + others), (40_000, 60_000));
    let denials = counted["denials"].as_array().unwrap().len() as u64;
    assert_eq!(denials + counted["denials_of_others"].as_u64().unwrap(), 60_000);
    let table = place.run(&["audit", "summary"]).done();
    assert!(table.contains("20000 records of others: too many to tell them apart"), "{table}");
}

#[test]
fn two_names_never_become_one() {
    let lines = [
        record("10:00:00", "a\u{1f}b", "denied", "x", json!({"issuer": "c"})),
        record("10:00:00", "a", "denied", "x", json!({"issuer": "b\u{1f}c"})),
        record("10:00:00", "a", "denied", "x", json!({"issuer": "b"})),
    ];
    let place = Place::new(&[("audit.jsonl", &lines.concat())]);
    let counted = place.summary(&[]);
    assert_eq!(counted["principals"].as_array().unwrap().len(), 3, "{counted:#}");
    assert_eq!(counted["denials"].as_array().unwrap().len(), 3, "{counted:#}");
}

#[test]
fn files_that_are_not_there_are_refused() {
    let place = Place::new(&[("notes.txt", "")]);
    for arguments in [&["audit", "summary"][..], &["audit", "tail"], &["why", "5f0b2c4d6e8f9a1b"]] {
        assert!(place.run(arguments).refused().contains("audit.jsonl cannot be read"));
        let folder = [arguments, &[place.0.path().to_str().unwrap()]].concat();
        assert!(portcullis(&folder).refused().contains("*.jsonl"));
        assert!(portcullis(arguments).refused().contains("PORTCULLIS_AUDIT_FILE"));
    }
    place.put("audit.jsonl", three().as_bytes());
    let mut named = command(&["audit", "tail", "-n", "1"]);
    let named = Ran::of(named.env("PORTCULLIS_AUDIT_FILE", place.path()).output().unwrap()).done();
    assert_eq!(
        named,
        "2026-07-28T11:00:00.000Z  denied      bob  tools/call delete_user  rule: scopes admin  \
         result: not_found  1.5 ms\n"
    );
}
