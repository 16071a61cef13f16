//! The way of a connection: which request it brings, which fault it meets, and how its answer is sent.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use crate::faults::{DropPoint, Effect, Moment, Part, Target};
use crate::http::{Head, Reader, Response};
use crate::server::Shared;
use crate::transport::{Socket, Transport};
use crate::{answers, control, spoil};

/// Where the platform's paths begin.
pub(crate) const BASE: &str = "/api/v1";

/// Serves one connection: one request, one answer.
pub(crate) fn serve(shared: &Arc<Shared>, socket: Socket, tls: Option<Arc<ServerConfig>>) -> io::Result<()> {
    if tls.is_none() && socket.starts_with_any(&control::REQUEST_LINES) {
        return control::serve(shared, Transport::Plain(socket));
    }
    shared.records.count(|counters| counters.connections += 1);
    let Some(socket) = connection_faults(shared, socket) else {
        return Ok(());
    };
    let secure = tls.is_some();
    let mut transport = match tls {
        None => Transport::Plain(socket),
        Some(config) => match Transport::tls(socket, config) {
            Ok(transport) => transport,
            Err(socket) => {
                shared.records.count(|counters| counters.tls_failures += 1);
                socket.cut(false);
                return Ok(());
            }
        },
    };

    let mut reader = Reader::new();
    let head = match reader.head(&mut transport) {
        Ok(Some(head)) => head,
        Ok(None) => return Ok(()),
        Err(error) => {
            write_plainly(&mut transport, shared, &Response::error(400, &error.to_string()))?;
            transport.close();
            return Err(error);
        }
    };
    let target = target(&head.path);
    let number = shared.records.add(target, secure, &head);
    let effects = shared.faults.take(target);
    if !effects.is_empty() {
        shared.records.count(|counters| counters.faults += 1);
    }
    let status = exchange(shared, transport, reader, &Request { head, target, number }, &effects);
    if shared.log {
        let path = if target == Target::Any { "(another path)" } else { path(target) };
        let protocol = if secure { "https" } else { "http" };
        let status = status.as_ref().map_or_else(|_| "dropped".into(), ToString::to_string);
        let fault = if effects.is_empty() { "" } else { " (a fault)" };
        // Nobody may be reading.
        let _ = writeln!(io::stderr(), "{protocol} {path} {status}{fault}");
    }
    status.map(drop)
}

struct Request {
    head: Head,
    target: Target,
    number: u64,
}

fn target(path: &str) -> Target {
    [Target::Login, Target::Refresh, Target::Logout, Target::Resource, Target::Jwks]
        .into_iter()
        .find(|target| path.strip_prefix(BASE) == Some(self::path(*target)))
        .unwrap_or(Target::Any)
}

fn path(target: Target) -> &'static str {
    match target {
        Target::Login => "/frontdesk/login",
        Target::Refresh => "/auth/refresh-token",
        Target::Logout => "/auth/logout",
        Target::Resource => "/me",
        Target::Jwks => "/.well-known/jwks.json",
        Target::Any | Target::Connection => "",
    }
}

/// What goes wrong before anything is read; `None` when that ends the connection.
fn connection_faults(shared: &Shared, mut socket: Socket) -> Option<Socket> {
    let effects = shared.faults.take(Target::Connection);
    if effects.is_empty() {
        return Some(socket);
    }
    shared.records.count(|counters| counters.faults += 1);
    for effect in effects {
        match effect {
            Effect::Latency { ms, .. } => {
                shared.gate.sleep(Duration::from_millis(ms));
            }
            Effect::Hold { .. } => shared.gate.hold(),
            Effect::Drop { reset, .. } => {
                socket.cut(reset);
                return None;
            }
            Effect::Garbage => {
                let _ = socket.write_all(spoil::GARBAGE);
                socket.cut(false);
                return None;
            }
            _ => {}
        }
    }
    Some(socket)
}

/// Reads the rest of a request, and answers; the status that was sent in full, else an error.
fn exchange(
    shared: &Shared,
    mut transport: Transport,
    mut reader: Reader,
    request: &Request,
    effects: &[Effect],
) -> io::Result<u16> {
    let dropped = |point: DropPoint| {
        effects.iter().find_map(|effect| match effect {
            Effect::Drop { at, reset } if *at == point => Some(*reset),
            _ => None,
        })
    };
    if let Some(reset) = dropped(DropPoint::BeforeReading) {
        return lost(transport, reset);
    }
    let body = reader.body(&mut transport, &request.head)?;
    shared.records.add_body(request.number, &body);

    wait(shared, effects, Moment::BeforeProcessing)?;
    if let Some(reset) = dropped(DropPoint::BeforeProcessing) {
        return lost(transport, reset);
    }
    let unprocessed = effects.iter().find_map(|effect| spoil::unprocessed(&request.head, &body, effect));
    let response = match unprocessed {
        Some(response) => response,
        None => {
            let right = answers::process(shared, request.target, &request.head, &body, effects);
            effects.iter().fold(right, spoil::content)
        }
    };
    let response = effects.iter().fold(response, spoil::form);

    wait(shared, effects, Moment::AfterProcessing)?;
    if let Some(reset) = dropped(DropPoint::AfterProcessing) {
        return lost(transport, reset);
    }
    if effects.contains(&Effect::Garbage) {
        transport.write_all(spoil::GARBAGE)?;
        transport.close();
        return Err(ordered());
    }
    for code in effects.iter().filter_map(as_informational).flatten() {
        write!(transport, "HTTP/1.1 {code} Interim\r\nX-Interim: yes\r\n\r\n")?;
        transport.flush()?;
    }
    let (mut wire, body) = response.to_bytes(&shared.clock.http_date());
    let halves = [(DropPoint::MidHeaders, wire.len() / 2), (DropPoint::MidBody, wire.len() + body.len() / 2)];
    let drip_start = wire.len();
    wire.extend_from_slice(&body);
    for (point, length) in halves {
        if let Some(reset) = dropped(point) {
            transport.write_all(&wire[..length])?;
            transport.flush()?;
            return lost(transport, reset);
        }
    }
    // Before the client can see the answer, so that whoever has it finds its record complete.
    shared.records.add_status(request.number, response.code);
    match effects.iter().find_map(as_drip) {
        Some((pause, bytes, part)) => {
            let start = if part == Part::All { 0 } else { drip_start };
            transport.write_all(&wire[..start])?;
            for piece in wire[start..].chunks(bytes) {
                transport.write_all(piece)?;
                transport.flush()?;
                if !shared.gate.sleep(pause) {
                    return Err(ordered());
                }
            }
        }
        None => transport.write_all(&wire)?,
    }
    transport.close();
    Ok(response.code)
}

/// Writes an answer to a request that could not be read.
fn write_plainly(transport: &mut Transport, shared: &Shared, response: &Response) -> io::Result<()> {
    let (head, body) = response.to_bytes(&shared.clock.http_date());
    transport.write_all(&[head, body].concat())
}

fn as_informational(effect: &Effect) -> Option<&Vec<u16>> {
    match effect {
        Effect::Informational(codes) => Some(codes),
        _ => None,
    }
}

fn as_drip(effect: &Effect) -> Option<(Duration, usize, Part)> {
    match effect {
        Effect::Drip { ms, bytes, part } => Some((Duration::from_millis(*ms), *bytes, *part)),
        _ => None,
    }
}

fn lost(transport: Transport, reset: bool) -> io::Result<u16> {
    transport.cut(reset);
    Err(ordered())
}

fn ordered() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "dropped as ordered")
}

fn wait(shared: &Shared, effects: &[Effect], moment: Moment) -> io::Result<()> {
    for effect in effects {
        match effect {
            Effect::Latency { ms, at } if *at == moment => {
                shared.gate.sleep(Duration::from_millis(*ms));
            }
            Effect::Hold { at } if *at == moment => shared.gate.hold(),
            _ => {}
        }
    }
    if shared.gate.stopping() { Err(ordered()) } else { Ok(()) }
}
