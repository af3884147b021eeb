//! Section 12: what callers send is validated at the boundary: texts, numbers, dates, lists, paths,
//! SQL, and what belongs together.
//!
//! ```text
//! DOCUMENTS=/srv/documents cargo run --bin section_12_input_validation
//! ```
//!
//! The schema that clients are shown is the one that is enforced. A path is resolved by the kernel,
//! beneath a folder; a value for SQL is bound to a parameter, and never part of the statement.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use portcullis::guard::{Environment, WorkspaceError};
use portcullis::prelude::*;
use rusqlite::Connection;
use schemars::JsonSchema;
use serde::Deserialize;

/// Read file contents safely within the workspace.
#[tool(auth = require_scopes(["read"]), annotations(read_only))]
async fn read_file(
    /// File path relative to the workspace
    #[arg(pattern = r"^[a-zA-Z0-9_/.-]+$", max_length = 1024)]
    path: String,
    #[arg(one_of("utf-8", "ascii", "latin-1"), default = "utf-8")] encoding: String,
    /// Maximum lines to read
    #[arg(ge = 1, le = 10000, default = 1000)]
    max_lines: usize,
    workspace: State<Workspace>,
) -> Result<String, ToolError> {
    // Outside, hidden and not there read the same, and hold no path.
    let told = |error: WorkspaceError| ToolError::new(error.to_string()).with_cause(error);
    if encoding == "latin-1" {
        let bytes = workspace.read(&path).await.map_err(told)?;
        let text: String = bytes.into_iter().map(char::from).collect(); // each byte is a letter
        return Ok(text.split_inclusive('\n').take(max_lines).collect());
    }
    let lines = workspace.read_lines(&path, max_lines).await.map_err(told)?;
    if encoding == "ascii" && !lines.text.is_ascii() {
        return Err(ToolError::new("the file is not ASCII text"));
    }
    Ok(lines.text)
}

/// A booking as it is sent: its fields are the arguments.
#[derive(Deserialize, JsonSchema)]
struct Booking {
    room: Room,
    #[schemars(extend("format" = "date"))]
    arrival: String,
    #[schemars(extend("format" = "date"))]
    departure: String,
    #[schemars(length(min = 1, max = 4))]
    guests: Vec<Guest>,
    payment: Payment,
    /// What else matters, by a short name
    #[serde(default)]
    #[schemars(extend("maxProperties" = 5))]
    notes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Room {
    Single,
    Double,
}

#[derive(Deserialize, JsonSchema)]
struct Guest {
    #[schemars(length(min = 1, max = 100))]
    name: String,
    #[schemars(extend("format" = "email"))]
    email: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "lowercase")]
enum Payment {
    /// By a card that is on file
    Card {
        id: String,
    },
    Invoice {
        company: String,
    },
}

/// What no schema says.
fn fits(booking: &Booking) -> Result<(), ToolError> {
    // Both are dates, which sort as texts.
    if booking.departure <= booking.arrival {
        return Err(ToolError::new("argument `departure`: has to be after `arrival`"));
    }
    match booking.room {
        Room::Single if booking.guests.len() > 1 => {
            Err(ToolError::new("argument `guests`: a single room has one guest"))
        }
        _ => Ok(()),
    }
}

/// Book a room.
#[tool(auth = require_scopes(["read"]), validate = fits)]
async fn book(Args(booking): Args<Booking>) -> String {
    let Booking { room, arrival, departure, guests, payment, notes } = booking;
    let first = guests.first().map_or("nobody", |guest| &guest.name);
    let written = guests.iter().filter(|guest| guest.email.is_some()).count();
    let payer = match payment {
        Payment::Card { id } => id,
        Payment::Invoice { company } => company,
    };
    format!(
        "{room:?} for {first} from {arrival} to {departure}, paid by {payer}; {written} mails, {} notes",
        notes.len()
    )
}

/// A page of the handbook; the chapter is one segment of the URI and never a path.
#[resource("handbook://{chapter}/{page}", auth = require_scopes(["read"]))]
async fn page(chapter: String, #[arg(ge = 1)] page: u32) -> String {
    format!("{chapter}, page {page}")
}

#[derive(Clone)]
struct Users(Arc<Mutex<Connection>>);

impl Users {
    fn new() -> rusqlite::Result<Self> {
        let users = Connection::open_in_memory()?;
        users.execute_batch(
            "CREATE TABLE users (name TEXT NOT NULL, city TEXT NOT NULL) STRICT;
             INSERT INTO users VALUES ('ada', 'London'), ('grace', 'New York'), ('ada', 'Turin');",
        )?;
        Ok(Self(Arc::new(Mutex::new(users))))
    }
}

/// The cities of the users with a name.
#[tool(auth = require_scopes(["read"]), annotations(read_only))]
async fn cities_of(
    #[arg(min_length = 1, max_length = 100)] name: String,
    #[arg(one_of("up", "down"), default = "up")] order: String,
    users: State<Users>,
) -> Result<Json<Vec<String>>, ToolError> {
    // What cannot be a parameter is one of the texts that are written here.
    let query = match order.as_str() {
        "up" => "SELECT city FROM users WHERE name = ?1 ORDER BY city",
        _ => "SELECT city FROM users WHERE name = ?1 ORDER BY city DESC",
    };
    let users = Users::clone(&users);
    let found = tokio::task::spawn_blocking(move || {
        let users = users.0.lock().map_err(|_| ToolError::internal("a query panicked"))?;
        let mut statement = users.prepare(query)?;
        let cities = statement.query_map([&name], |row| row.get(0))?;
        Ok::<_, ToolError>(cities.collect::<Result<Vec<String>, _>>()?)
    });
    Ok(Json(found.await??))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    let environment = Environment::process();
    let [folder] = environment.require(["DOCUMENTS"])?;
    let server = Server::builder("validated")
        .auth(tokens)
        .state(Workspace::open(folder)?)
        .state(Users::new()?)
        .components(components![read_file, cities_of, book, page])
        .build()?;
    Ok(server.run().await?)
}
