//! The sandbox as its clients see it: over raw sockets, so that broken answers can be looked at, and by curl and
//! openssl, which know better than we do what is right.

mod client;
mod control;
mod faults;
mod load;
mod platform;
mod program;
mod tls;
