//! Which way imports point between the modules of a crate.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_tests::driver::root;

use super::reader::{Crate, Rooms};

/// What has rooms: a crate, or a folder in one.
const HOUSES: [(&str, &[&str]); 9] = [
    ("portcullis-guard", &[]),
    ("portcullis-store", &[]),
    ("portcullis-auth", &[]),
    ("portcullis-oauth", &[]),
    ("portcullis-macros", &[]),
    ("portcullis-protocol", &[]),
    ("portcullis-protocol", &["http"]),
    ("portcullis", &[]),
    ("portcullis-cli", &[]),
];

/// A list of rooms in ARCHITECTURE.md, from the ground up: each may use those before it.
fn order(architecture: &str, house: &str) -> Vec<String> {
    let rooms = architecture.split("\n## ").find_map(|part| part.strip_prefix("Rooms\n"));
    let rooms = rooms.unwrap_or_else(|| panic!("ARCHITECTURE.md has no section \"Rooms\""));
    let list = rooms
        .split("\n\n")
        .flat_map(|paragraph| paragraph.split("\n- "))
        .find_map(|item| item.trim_start_matches("- ").strip_prefix(&*format!("`{house}`: ")));
    let list = list.unwrap_or_else(|| panic!("ARCHITECTURE.md, Rooms: `{house}` has no line"));
    list.split('<').map(|room| room.trim().trim_matches('`').to_owned()).collect()
}

/// What is wrong with the rooms of a house, each in one line.
pub(super) fn faults(house: &str, rooms: &Rooms, order: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    for room in rooms.names.iter().filter(|room| !order.contains(room)) {
        faults.push(format!(
            "{house}: `{room}` has no place: write it into its line of ARCHITECTURE.md, Rooms, \
             behind all that it uses"
        ));
    }
    for room in order.iter().filter(|room| !rooms.names.contains(*room)) {
        faults.push(format!("{house}: ARCHITECTURE.md, Rooms, names `{room}`, which is not there"));
    }
    for (arrow, module) in arrows_up(rooms, order) {
        faults.push(format!("{house}: {arrow} goes up, in `{module}`"));
    }
    faults.extend(circles(rooms).iter().map(|circle| {
        format!("{house}: a circle of {}", circle.iter().cloned().collect::<Vec<_>>().join(", "))
    }));
    faults
}

/// The arrows that leave a room for one above it, and a module where each is.
fn arrows_up(rooms: &Rooms, order: &[String]) -> BTreeMap<String, String> {
    let floor = |room: &String| order.iter().position(|name| name == room);
    let up = rooms.arrows.iter().filter(|((from, to), _)| floor(from) < floor(to));
    up.map(|((from, to), module)| (format!("{from} -> {to}"), module.clone())).collect()
}

/// Rooms that reach each other.
fn circles(rooms: &Rooms) -> BTreeSet<BTreeSet<String>> {
    let reached = |room: &String| {
        let mut reached = BTreeSet::new();
        let mut next = vec![room];
        while let Some(room) = next.pop() {
            let used = rooms.arrows.keys().filter(|(from, _)| from == room).map(|(_, to)| to);
            next.extend(used.filter(|to| reached.insert((*to).clone())));
        }
        reached
    };
    let all: BTreeMap<_, _> = rooms.names.iter().map(|room| (room, reached(room))).collect();
    let circle = |room: &String| {
        let others = all[room].iter().filter(|other| all[*other].contains(room));
        others.cloned().collect::<BTreeSet<_>>()
    };
    rooms.names.iter().map(circle).filter(|circle| !circle.is_empty()).collect()
}

#[test]
fn each_module_uses_those_below_it() {
    let architecture = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut found = Vec::new();
    for (package, folder) in HOUSES {
        let house = [&[package], folder].concat().join("::");
        let src = root().join("crates").join(package).join("src");
        let rooms = Crate::read(&src).rooms(folder);
        let order = order(&architecture, &house);
        println!(
            "{house}: {} rooms, {} arrows, {} up, {} circles",
            rooms.names.len(),
            rooms.arrows.len(),
            arrows_up(&rooms, &order).len(),
            circles(&rooms).len(),
        );
        found.extend(faults(&house, &rooms, &order));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
