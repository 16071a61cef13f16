//! Connections whose reads and writes end at a deadline, all of them together: plain ones, and TLS over another.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// A connection.
pub(crate) trait Stream: Read + Write + Send {
    /// Everything from now on ends then.
    fn set_deadline(&mut self, deadline: Instant);

    /// The certificates that the other side showed, its own first.
    fn certificates(&self) -> &[CertificateDer<'static>] {
        &[]
    }
}

/// A connection in the clear.
pub(crate) struct Wire {
    socket: TcpStream,
    deadline: Instant,
}

impl Wire {
    pub(crate) fn new(socket: TcpStream, deadline: Instant) -> Self {
        Wire { socket, deadline }
    }

    fn with_deadline<T>(
        &mut self,
        limit: impl Fn(&TcpStream, Option<Duration>) -> io::Result<()>,
        mut work: impl FnMut(&mut TcpStream) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            limit(&self.socket, Some(left))?;
            match work(&mut self.socket) {
                // The kernel counts in ticks of its own; whether the time is up, our clock says.
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                done => return done,
            }
        }
    }
}

impl Stream for Wire {
    fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.with_deadline(TcpStream::set_read_timeout, |socket| socket.read(buffer))
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with_deadline(TcpStream::set_write_timeout, |socket| socket.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection in TLS.
pub(crate) struct TlsStream(StreamOwned<ClientConnection, Box<dyn Stream>>);

impl TlsStream {
    /// Shakes hands. Whether an error is TLS', [`verdict`] tells.
    pub(crate) fn new(
        mut wire: Box<dyn Stream>,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let mut connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        // One round at a time: complete_io reports a handshake that ended early as a plain end of file.
        while connection.is_handshaking() {
            connection.complete_io(&mut wire)?;
        }
        Ok(TlsStream(StreamOwned::new(connection, wire)))
    }
}

impl Stream for TlsStream {
    fn set_deadline(&mut self, deadline: Instant) {
        self.0.sock.set_deadline(deadline);
    }

    fn certificates(&self) -> &[CertificateDer<'static>] {
        self.0.conn.peer_certificates().unwrap_or_default()
    }
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let StreamOwned { conn, sock } = &mut self.0;
        loop {
            match conn.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
            // What can't be written any more must not keep an answer from being read that is there already.
            while conn.wants_write() && conn.write_tls(sock).is_ok_and(|amount| amount > 0) {}
            conn.read_tls(sock)?;
            conn.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What TLS has against the connection, where it is TLS that failed.
pub(crate) fn verdict(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
}
