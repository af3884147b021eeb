//! The reader and the rules themselves, on a small crate that is made up.

use std::path::Path;

use super::modules::faults;
use super::reader::{Crate, Rooms};

const ORDER: [&str; 3] = ["ground", "stair", "roof"];

fn order() -> Vec<String> {
    ORDER.map(str::to_owned).to_vec()
}

/// A crate of three rooms; `ground` is what is given.
fn house(ground: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let file = folder.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    write(
        "lib.rs",
        "mod ground; mod stair; mod roof; pub use self::roof::tile::{Tile as Slate};
         pub mod facade { pub use crate::roof::Tile as Slab; }",
    );
    write("ground.rs", ground);
    write("stair/mod.rs", "pub mod step; pub use step::Step;");
    write("stair/step.rs", "use crate::{ground::{self, Stone}, ground as floor}; pub struct Step;");
    write("roof/mod.rs", "pub mod tile; fn rain() { super::stair::step::climb(); }");
    write("roof/tile.rs", "use super::super::ground; use std::fmt; pub struct Tile;");
    folder
}

fn read(folder: &Path) -> Rooms {
    Crate::read(folder).rooms(&[])
}

fn arrows(rooms: &Rooms) -> Vec<String> {
    rooms.arrows.keys().map(|(from, to)| format!("{from} -> {to}")).collect()
}

/// The faults of the house with that ground floor.
fn faults_with(ground: &str) -> Vec<String> {
    faults("made-up", &read(house(ground).path()), &order())
}

#[test]
fn arrows_are_read_from_use_items_and_expressions() {
    let rooms = read(house("pub struct Stone;").path());
    assert_eq!(rooms.names.iter().collect::<Vec<_>>(), ["ground", "roof", "stair"]);
    assert_eq!(arrows(&rooms), ["roof -> ground", "roof -> stair", "stair -> ground"]);
    assert_eq!(faults_with("pub struct Stone;"), Vec::<String>::new());
}

#[test]
fn an_arrow_up_and_its_circle_are_found_wherever_they_are_written() {
    for ground in [
        "use crate::roof::Tile;",
        "use super::roof::{tile::Tile};",
        "use crate::{stair as _, roof};",
        "fn f() -> crate::roof::Tile { todo!() }",
        "fn f() { g(|| [super::roof::tile::X]) }",
        "fn f() { format!(\"{}\", crate::roof::X); }",
        "mod cellar { use super::super::roof; }",
        // By what the root re-exports.
        "use crate::Slate;",
        "use crate::facade::Slab;",
        // Behind what is left out.
        "#[cfg(test)] mod tests; use crate::roof;",
        "#[cfg(test)] use crate::stair; use crate::roof;",
        "#[cfg(test)] const fn f() {} use crate::roof;",
        "fn f() -> impl Fn() + use<> {} use crate::roof;",
        "#[cfg(not(test))] use crate::roof;",
    ] {
        let found = faults_with(ground);
        assert!(
            found
                .iter()
                .any(|fault| fault.starts_with("made-up: ground -> roof goes up, in `ground")),
            "{ground}: {found:?}"
        );
        let circle = found.last().unwrap();
        assert!(circle.starts_with("made-up: a circle of ground, roof"), "{ground}: {circle}");
    }
}

#[test]
fn tests_comments_and_strings_are_no_arrows() {
    for ground in [
        "#[cfg(test)] mod tests { use crate::roof; }",
        "#[cfg(test)] mod tests;",
        "#[cfg(test)] #[allow(x)] pub(crate) fn f() { crate::roof::f() } fn g() {}",
        "#[cfg(all(test, unix))] use crate::roof;",
        "struct S { #[cfg(test)] tile: crate::roof::Tile, x: u8 }",
        "#[cfg(doc)] use crate::roof;",
        "//! [`crate::roof`]\n// use crate::roof;",
        "/* use crate::roof; */ const X: &str = \"use crate::roof;\";",
        "use roof::Tile; use std::stair;",
        "pub(crate) struct Stone; impl Stone { fn f(self) -> Self { self.roof() } }",
    ] {
        assert_eq!(faults_with(ground), Vec::<String>::new(), "{ground}");
    }
}

#[test]
fn a_new_room_is_told_where_to_stand() {
    let rooms = read(house("").path());
    let order = ["ground", "attic", "roof"].map(str::to_owned);
    assert_eq!(
        faults("made-up", &rooms, &order),
        [
            "made-up: `stair` has no place: write it into its line of ARCHITECTURE.md, Rooms, \
             behind all that it uses",
            "made-up: ARCHITECTURE.md, Rooms, names `attic`, which is not there",
            "made-up: stair -> ground goes up, in `stair::step`",
        ]
    );
}

#[test]
fn a_folder_is_a_house_of_its_own() {
    let folder = house("pub mod cellar; use super::roof;");
    std::fs::create_dir_all(folder.path().join("ground/cellar")).unwrap();
    let write = |file: &str, text: &str| {
        std::fs::write(folder.path().join("ground/cellar").join(file), text).unwrap();
    };
    write("mod.rs", "mod beer; mod wine; pub use wine::Cask; use crate::roof;");
    write("wine.rs", "use crate::roof; pub struct Cask;");
    write("beer.rs", "use super::Cask;");
    let rooms = Crate::read(folder.path()).rooms(&["ground", "cellar"]);
    assert_eq!(arrows(&rooms), ["beer -> wine"]);
}
