//! A client's connection, with TLS or without, and the ways in which it can end.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::SockRef;

/// How long a client may be silent.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// How long a client may take to finish what it was sending.
const LINGER_LIMIT: Duration = Duration::from_secs(2);

/// A socket that others can hold weakly, to shut it down when the sandbox stops; a duplicate of the descriptor would
/// keep a reset from being sent.
pub(crate) struct Socket(pub(crate) Arc<TcpStream>);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket {
    /// With the limits that every connection has.
    pub(crate) fn new(tcp: Arc<TcpStream>) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(IDLE_LIMIT))?;
        tcp.set_write_timeout(Some(IDLE_LIMIT))?;
        Ok(Socket(tcp))
    }

    /// Whether the client's first bytes are these. They stay unread.
    pub(crate) fn starts_with_any(&self, starts: &[&str]) -> bool {
        let longest = starts.iter().map(|start| start.len()).max().unwrap_or(0);
        let mut first = vec![0; longest];
        let end = Instant::now() + LINGER_LIMIT;
        while Instant::now() < end {
            let Ok(length) = self.0.peek(&mut first) else {
                return false;
            };
            let seen = &first[..length];
            if starts.iter().any(|start| seen.starts_with(start.as_bytes())) {
                return true;
            }
            if length == 0 || !starts.iter().any(|start| start.as_bytes().starts_with(seen)) {
                return false;
            }
            // A beginning that came in pieces; a peek does not wait for more.
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }

    /// Ends the connection before its time, by an end or by a reset of TCP.
    pub(crate) fn cut(self, reset: bool) {
        if reset {
            // The reset is sent when the descriptor is closed; nothing that is queued goes out before it.
            let _ = SockRef::from(&*self.0).set_linger(Some(Duration::ZERO));
        } else {
            self.linger();
        }
    }

    /// Closing with unread bytes in the queue sends a reset, which can overtake the answer: so say that nothing more
    /// comes, and read what the client still sends.
    fn linger(&self) {
        let mut tcp = &*self.0;
        if tcp.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let _ = tcp.set_read_timeout(Some(Duration::from_millis(200)));
        let end = Instant::now() + LINGER_LIMIT;
        let mut rest = [0; 4096];
        while Instant::now() < end {
            match tcp.read(&mut rest) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => break,
            }
        }
    }
}

pub(crate) enum Transport {
    Plain(Socket),
    Tls(Box<StreamOwned<ServerConnection, Socket>>),
}

impl Transport {
    /// With the handshake done; without it there is only the socket left.
    pub(crate) fn tls(mut socket: Socket, config: Arc<ServerConfig>) -> Result<Self, Socket> {
        let Ok(mut connection) = ServerConnection::new(config) else {
            return Err(socket);
        };
        while connection.is_handshaking() {
            if connection.complete_io(&mut socket).is_err() {
                // The alert that says why, if there is one.
                let _ = connection.write_tls(&mut socket);
                return Err(socket);
            }
        }
        Ok(Transport::Tls(Box::new(StreamOwned::new(connection, socket))))
    }

    /// Ends the connection properly: the client gets all that was sent, and then its end.
    pub(crate) fn close(mut self) {
        let _ = self.flush();
        if let Transport::Tls(stream) = &mut self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        self.into_socket().linger();
    }

    /// Ends it before its time, without a word of TLS.
    pub(crate) fn cut(self, reset: bool) {
        self.into_socket().cut(reset);
    }

    fn into_socket(self) -> Socket {
        match self {
            Transport::Plain(socket) => socket,
            Transport::Tls(stream) => stream.sock,
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => socket.read(buffer),
            Transport::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => socket.write(bytes),
            Transport::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Transport::Plain(socket) => socket.flush(),
            Transport::Tls(stream) => stream.flush(),
        }
    }
}
