//! A real server that stands in for the platform: for demos, for tests, and for whoever develops a pipeline without
//! an account.
//!
//! It listens on the loopback interface, by HTTP and by HTTPS with a CA of its own. Users log in, access tokens are
//! signed with real keys, refresh tokens rotate at each use, and seeing an old one again ends the session. It counts
//! what it sees, and whatever can go wrong with a server can be ordered from it as a [`Fault`].
//!
//! Tests embed it by [`Sandbox::start`]; everybody else runs the program `gcauth-sandbox`.

mod answers;
mod clock;
mod control;
mod faults;
mod files;
mod gate;
mod http;
mod options;
mod platform;
mod records;
mod routes;
mod server;
mod spoil;
mod tls;
mod tokens;
mod transport;

pub use faults::{Body, DropPoint, EchoForm, Effect, Fault, Moment, Part, Target, Times, TokenFault};
pub use files::write_file;
pub use options::{Algorithm, Options, Project, User};
pub use records::{Counters, RequestCounters, RequestRecord};
pub use server::Sandbox;
pub use tls::BadTls;
pub use tokens::secret_mark;
