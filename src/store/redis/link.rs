//! A connection for one piece of work, done by a deadline.
#![forbid(unsafe_code)]

use std::io::{self, Read};
use std::time::{Duration, Instant};

use redis::{Cmd, ConnectionLike, ErrorKind, RedisError, RedisResult, Script, ServerErrorKind, Value};
use rustls::pki_types::ServerName;
use zeroize::Zeroizing;

use super::fault::{self, Asked};
use super::frame;
use super::url::{RedisUrl, host_and_port};
use crate::error::{Error, Result, Status};
use crate::secret::Secret;
use crate::transport::authority::place;
use crate::transport::connector::connect;
use crate::transport::stream::{Stream, TlsStream, Wire, verdict};
use crate::transport::{Peer, Tls, Trust};

/// Far more than a record can have, its tokens being parts of an answer of 1 MiB at most.
const MAX_ANSWERS: usize = 16 << 20;
/// How often one piece of work follows the nodes of a cluster.
const MAX_MOVES: u32 = 3;
/// For a few bytes into the socket's buffer.
const RETRACT_WITHIN: Duration = Duration::from_millis(100);

/// A Redis, and whom we trust to be it.
pub(super) struct Server {
    pub(super) url: RedisUrl,
    tls: Tls,
}

impl Server {
    pub(super) fn new(url: RedisUrl, trust: Trust) -> Self {
        Server { url, tls: Tls::new(trust) }
    }

    /// Connects and logs in. The whole life of the connection ends at `deadline`.
    pub(super) fn open(&self, deadline: Instant) -> Result<Link<'_>> {
        let line = self.connect(&self.url.host, self.url.port, deadline)?;
        let mut link = Link { server: self, line, deadline };
        link.log_in()?;
        Ok(link)
    }

    fn connect(&self, host: &str, port: u16, deadline: Instant) -> Result<Line> {
        let place = place(host, port);
        let socket = connect(host, port, deadline).map_err(|why| fault::unconnected(&place, &why))?;
        let wire = Box::new(Wire::new(socket, deadline));
        let stream = if self.url.tls { self.secure(host, &place, wire)? } else { wire };
        Ok(Line { peer: Peer::store(&place, self.tls.trust()), place, stream, allowance: MAX_ANSWERS, broken: None })
    }

    fn secure(&self, host: &str, place: &str, wire: Box<dyn Stream>) -> Result<Box<dyn Stream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| fault::lasting(place, "has a host name that no certificate can have"))?;
        let config = self.tls.config().map_err(|error| match error.status() {
            Status::Tls => fault::lasting(place, &format!("can't be spoken to over TLS: {}", error.message())),
            _ => error,
        })?;
        match TlsStream::new(wire, config, name) {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                // The files may have been replaced, whatever their dates say.
                self.tls.forget();
                Err(fault::of_handshake(&Peer::store(place, self.tls.trust()), place, &error))
            }
        }
    }
}

/// A connection that is logged in.
pub(super) struct Link<'a> {
    server: &'a Server,
    line: Line,
    deadline: Instant,
}

impl Link<'_> {
    /// Runs a script on `key`. In a cluster it follows to the node that has the key.
    pub(super) fn run(&mut self, script: &str, key: &str, arguments: &[&[u8]]) -> Result<Value> {
        let asked = Asked { script, key: Some(key) };
        let script = Script::new(script);
        let mut call = script.key(key);
        for argument in arguments {
            call.arg(*argument);
        }
        let mut moves = 0;
        loop {
            match call.invoke(self) {
                Ok(value) => return Ok(value),
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::Moved) && moves < MAX_MOVES => {
                    moves += 1;
                    self.follow(&error)?;
                }
                Err(error) => return Err(self.explain(&error, asked)),
            }
        }
    }

    /// Sends a script and waits for nothing: what was sent before, and may have been lost or not, is undone by it, since
    /// Redis does what comes on a connection in order, be it ever so late.
    pub(super) fn retract(&mut self, script: &str, key: &str, argument: &str) {
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(1).arg(key).arg(argument);
        self.line.stream.set_deadline(Instant::now() + RETRACT_WITHIN);
        // The connection may be gone, and with it the way to undo anything.
        let _ = self.line.send(&command.get_packed_command());
    }

    fn log_in(&mut self) -> Result<()> {
        let url = &self.server.url;
        if let Some(password) = &url.password {
            let mut command = redis::cmd("AUTH");
            if let Some(user) = &url.user {
                command.arg(user.expose());
            }
            command.arg(password.expose());
            self.tell(&command, "auth")?;
        }
        if url.db != 0 {
            self.tell(redis::cmd("SELECT").arg(url.db), "select")?;
        }
        Ok(())
    }

    fn tell(&mut self, command: &Cmd, name: &str) -> Result<()> {
        let asked = Asked { script: name, key: None };
        command.query::<Value>(self).map(drop).map_err(|error| self.explain(&error, asked))
    }

    /// Goes on at the node that `moved` names.
    fn follow(&mut self, moved: &RedisError) -> Result<()> {
        let strange = || fault::lasting(&self.line.place, "names a node of the cluster that can't be understood");
        let (node, _) = moved.redirect_node().ok_or_else(strange)?;
        let (host, port) = node.rsplit_once(':').ok_or_else(strange)?;
        let node = match host {
            // The node does not know its own name: it is where we are.
            "" | "?" => place(&self.server.url.host, port.parse().map_err(|_| strange())?),
            host if host.contains(':') => format!("[{}]:{port}", host.trim_matches(['[', ']'])),
            host => format!("{host}:{port}"),
        };
        let (host, port) = host_and_port(&node).map_err(|_| strange())?;
        self.line = self.server.connect(&host, port, self.deadline)?;
        self.log_in()
    }

    fn explain(&mut self, error: &RedisError, asked: Asked) -> Error {
        match self.line.broken.take() {
            Some(broken) => {
                if verdict(&broken).is_some() {
                    self.server.tls.forget();
                }
                fault::of_io(&self.line.peer, &self.line.place, &broken)
            }
            None => {
                let login = [&self.server.url.user, &self.server.url.password];
                let secrets: Vec<&str> = login.into_iter().flatten().map(Secret::expose).collect();
                fault::of_answer(&self.line.place, error, asked, &secrets)
            }
        }
    }
}

impl ConnectionLike for Link<'_> {
    fn req_packed_command(&mut self, command: &[u8]) -> RedisResult<Value> {
        self.line.send(command)?;
        self.line.answer()
    }

    fn req_packed_commands(&mut self, _: &[u8], _: usize, _: usize) -> RedisResult<Vec<Value>> {
        Err((ErrorKind::Client, "no pipelines").into())
    }

    fn req_command(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.req_packed_command(&Zeroizing::new(command.get_packed_command()))
    }

    fn get_db(&self) -> i64 {
        self.server.url.db.into()
    }

    fn supports_pipelining(&self) -> bool {
        false
    }

    fn check_connection(&mut self) -> bool {
        self.is_open()
    }

    fn is_open(&self) -> bool {
        self.line.broken.is_none()
    }
}

/// Keeps what went wrong on the way: the parser's error does not tell all of it.
struct Line {
    peer: Peer,
    place: String,
    stream: Box<dyn Stream>,
    /// How many bytes more may come.
    allowance: usize,
    broken: Option<io::Error>,
}

impl Line {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).map_err(|error| self.breaks(error))
    }

    /// The whole of the next answer. Nothing is asked before it is there, so nothing comes after it.
    fn answer(&mut self) -> RedisResult<Value> {
        let mut bytes = Zeroizing::new(Vec::new());
        let mut chunk = Zeroizing::new([0; 4096]);
        loop {
            match frame::answer_len(&bytes) {
                Ok(Some(length)) => return redis::parse_redis_value(&bytes[..length]),
                Ok(None) => {}
                Err(frame::Strange) => return Err((ErrorKind::Parse, "no answer of Redis").into()),
            }
            let count = self.read(&mut *chunk)?;
            bytes.extend_from_slice(&chunk[..count]);
        }
    }

    fn breaks(&mut self, error: io::Error) -> io::Error {
        let kind = error.kind();
        self.broken = Some(error);
        kind.into()
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.allowance == 0 {
            return Err(self.breaks(io::ErrorKind::FileTooLarge.into()));
        }
        loop {
            match self.stream.read(buffer) {
                Ok(0) if !buffer.is_empty() => return Err(self.breaks(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => {
                    self.allowance = self.allowance.saturating_sub(count);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.breaks(error)),
            }
        }
    }
}
