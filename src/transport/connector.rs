//! Links of the HTTP client's connector chain: TLS, and a watch on the first byte of the request.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::http::Uri;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};
use zeroize::Zeroize;

use super::BeforeSend;
use super::endpoint::bare_host;
use crate::error::{Error, Status};

/// Wraps the connection in TLS where the URL says https.
pub(super) struct TlsConnector {
    config: Option<Arc<ClientConfig>>,
}

impl TlsConnector {
    pub(super) fn new(config: Option<Arc<ClientConfig>>) -> Self {
        TlsConnector { config }
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let config = self.config.clone().ok_or(ureq::Error::TlsRequired)?;
        let name = ServerName::try_from(bare_host(details.uri).to_owned()).map_err(|_| ureq::Error::HostNotFound)?;
        let mut conn = ClientConnection::new(config, name).map_err(other)?;
        let mut sock = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        sock.set_timeout(details.timeout);
        // One round at a time: complete_io reports a handshake that ended early as a plain end of file.
        while conn.is_handshaking() {
            conn.complete_io(&mut sock).map_err(tls_or_io)?;
        }
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned { conn, sock } })))
    }
}

/// rustls hides its verdict inside an I/O error; take it out, so that it is not taken for a lost connection.
fn tls_or_io(error: std::io::Error) -> ureq::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(verdict) => other(verdict.clone()),
        None => error.into(),
    }
}

fn other(verdict: rustls::Error) -> ureq::Error {
    ureq::Error::Other(Box::new(super::tls::describe(&verdict)))
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector")
    }
}

/// A connection in TLS.
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        std::io::Write::write_all(&mut self.stream, output).map_err(tls_or_io)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let StreamOwned { conn, sock } = &mut self.stream;
        loop {
            let input = self.buffers.input_append_buf();
            match std::io::Read::read(&mut conn.reader(), input) {
                Ok(amount) => {
                    self.buffers.input_appended(amount);
                    return Ok(amount > 0);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(tls_or_io(error)),
            }
            // What can't be written any more must not keep an answer from being read that is there already.
            while conn.wants_write() && conn.write_tls(sock).is_ok_and(|amount| amount > 0) {}
            conn.read_tls(sock).map_err(tls_or_io)?;
            conn.process_new_packets().map_err(other)?;
        }
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport")
    }
}

/// Notes when the first byte of the request goes out: from then on the server may have acted on it.
pub(super) struct SendWatch {
    target: Uri,
    sent: Arc<AtomicBool>,
    before: Option<BeforeSend>,
}

impl SendWatch {
    pub(super) fn new(target: Uri, sent: Arc<AtomicBool>, before: Option<BeforeSend>) -> Self {
        SendWatch { target, sent, before }
    }
}

impl<In: Transport> Connector<In> for SendWatch {
    type Out = Either<In, Watched<In>>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        Ok(chained.map(|inner| {
            // The chain also runs for the connection to a proxy, where what goes out first is not the request.
            if details.uri == &self.target {
                Either::B(Watched {
                    inner,
                    sent: self.sent.clone(),
                    before: self.before.clone(),
                    is_past_continue: false,
                })
            } else {
                Either::A(inner)
            }
        }))
    }
}

impl fmt::Debug for SendWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendWatch")
    }
}

/// A connection whose first use is noted, and whose buffers are wiped at the end.
pub(super) struct Watched<T: Transport> {
    inner: T,
    sent: Arc<AtomicBool>,
    before: Option<BeforeSend>,
    is_past_continue: bool,
}

const CONTINUE: &[u8] = b"HTTP/1.1 100";

fn is_closed(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

impl<T: Transport> Transport for Watched<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        if !self.sent.load(Ordering::Acquire) {
            if let Some(before) = &self.before {
                before().map_err(|error| ureq::Error::Other(Box::new(error)))?;
            }
            self.sent.store(true, Ordering::Release);
        }
        match self.inner.transmit_output(amount, timeout) {
            // A server may answer before it has read everything, and close: whether it has, reading tells.
            Err(ureq::Error::Io(error)) if is_closed(&error) => Ok(()),
            outcome => outcome,
        }
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let (started, until_then) = (Instant::now(), timeout.after);
        if self.inner.buffers().input_append_buf().is_empty() {
            let error = Error::new(Status::Protocol, "the answer's headers are too large; is this the right host?");
            return Err(ureq::Error::Other(Box::new(error)));
        }
        let mut has_more = self.inner.await_input(timeout)?;
        // The HTTP client passes over interim answers, but takes this one for the answer to a question it did not ask.
        while !self.is_past_continue && has_more {
            let input = self.inner.buffers().input();
            if !input.starts_with(&CONTINUE[..CONTINUE.len().min(input.len())]) {
                self.is_past_continue = true;
            } else if let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") {
                self.inner.buffers().input_consume(end + 4);
                if self.inner.buffers().input().is_empty() {
                    // There may be no end of them.
                    timeout.after = until_then.saturating_sub(started.elapsed()).into();
                    if timeout.after.is_zero() {
                        return Err(ureq::Error::Timeout(timeout.reason));
                    }
                    has_more = self.inner.await_input(timeout)?;
                }
            } else {
                break;
            }
        }
        Ok(has_more)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

impl<T: Transport> Drop for Watched<T> {
    fn drop(&mut self) {
        let buffers = self.inner.buffers();
        buffers.output().zeroize();
        buffers.input_append_buf().zeroize();
    }
}

impl<T: Transport> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}
