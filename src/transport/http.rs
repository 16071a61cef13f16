//! HTTP/1.1 on a connection that is there: one request, one answer.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Read};
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;
use ureq_proto::BodyMode;
use ureq_proto::client::state::{RecvBody, RecvResponse};
use ureq_proto::client::{Call, RecvResponseResult, SendRequestResult};
use ureq_proto::http::{HeaderMap, HeaderName, Request, Response, header};
use zeroize::Zeroizing;

use super::stream::{Stream, verdict};
use super::verifier;
use super::{Answer, BeforeSend, Peer};
use crate::error::{Error, Result, Status};
use crate::secret::SecretBytes;

/// An answer that is larger is refused.
pub(crate) const MAX_ANSWER: usize = 1 << 20;
/// How much of an answer that is no success is read: it is only looked at for a few words.
const MAX_REFUSAL: usize = 64 << 10;
const MAX_HEAD: usize = 64 << 10;
const CHUNK: usize = 4096;

/// A request as it goes out, and what is needed to read its answer.
pub(super) struct Outgoing {
    bytes: SecretBytes,
    call: Call<RecvResponse>,
}

impl Outgoing {
    /// Writes a request. A proxy that passes it on in the clear needs the whole URL in its first line.
    pub(super) fn new(request: Request<()>, body: Option<&SecretBytes>, names_host: bool) -> Result<Self> {
        let failed = |_| Error::new(Status::Internal, "the request could not be built");
        let uri = request.uri().clone();
        let line = request.method().as_str().len() + 1;
        let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let mut head = Zeroizing::new(vec![0; 1024 + 2 * uri.to_string().len() + headers]);
        let mut call = Call::new(request).map_err(failed)?.proceed();
        let mut used = 0;
        while !call.can_proceed() {
            used += call.write(&mut head[used..]).map_err(failed)?;
        }
        let body = body.map(SecretBytes::expose).unwrap_or_default();
        let mut bytes = SecretBytes::with_capacity(used + uri.to_string().len() + body.len())?;
        bytes.push(&head[..line])?;
        if names_host {
            bytes.push(format!("http://{}", uri.authority().map_or("", |authority| authority.as_str())).as_bytes())?;
        }
        bytes.push(&head[line..used])?;
        bytes.push(body)?;
        let call = match call.proceed().map_err(failed)? {
            Some(SendRequestResult::SendBody(mut call)) => {
                call.consume_direct_write(body.len()).map_err(failed)?;
                call.proceed()
            }
            Some(SendRequestResult::RecvResponse(call)) => Some(call),
            _ => None,
        };
        Ok(Outgoing { bytes, call: call.ok_or_else(|| failed(ureq_proto::Error::OutputOverflow))? })
    }

    /// Sends it, after a last look by `before`, and reads the answer. From `was_sent` on the server may have acted on it.
    pub(super) fn exchange(
        self,
        stream: &mut dyn Stream,
        before: Option<BeforeSend>,
        was_sent: &mut bool,
        peer: &Peer,
    ) -> Result<Answer> {
        if let Some(before) = before {
            before()?;
        }
        *was_sent = true;
        match stream.write_all(self.bytes.expose()).and_then(|()| stream.flush()) {
            // A server may answer before it has read everything, and close: whether it has, reading tells.
            Err(error) if is_closed(&error) => {}
            outcome => outcome.map_err(|error| describe(&error, peer))?,
        }
        drop(self.bytes);
        let mut incoming = Incoming { stream, bytes: Zeroizing::new(Vec::with_capacity(MAX_HEAD + CHUNK)), start: 0 };
        let mut call = self.call;
        let response = read_head(&mut call, &mut incoming, peer)?;
        read_answer(call, incoming, &response, peer)
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// What has come, and what has not been looked at.
struct Incoming<'a> {
    stream: &'a mut dyn Stream,
    bytes: Zeroizing<Vec<u8>>,
    start: usize,
}

impl Incoming<'_> {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Whether there was more. What was looked at makes room.
    fn read_more(&mut self) -> io::Result<bool> {
        self.bytes.drain(..std::mem::take(&mut self.start));
        let mut chunk = Zeroizing::new([0; CHUNK]);
        let count = loop {
            match self.stream.read(&mut *chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // TLS: the other side has gone without a word.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(io::Error::other(lost())),
                outcome => break outcome?,
            }
        };
        self.bytes.extend_from_slice(&chunk[..count]);
        Ok(count > 0)
    }
}

fn read_head(call: &mut Call<RecvResponse>, incoming: &mut Incoming, peer: &Peer) -> Result<Response<()>> {
    loop {
        let has_more = incoming.read_more().map_err(|error| describe(&error, peer))?;
        if !has_more {
            return Err(lost());
        }
        loop {
            let end = unfold(&mut incoming.bytes[incoming.start..]);
            if let Some(end) = end
                && is_interim(incoming.rest())
            {
                incoming.start += end;
                continue;
            }
            let (used, response) = call.try_response(incoming.rest(), false).map_err(|_| no_http())?;
            incoming.start += used;
            match response {
                Some(response) => return Ok(response),
                None if incoming.rest().len() >= MAX_HEAD => return Err(too_large()),
                None => break,
            }
        }
    }
}

/// A line that begins with white space belongs to the header before it (RFC 9112, section 5.2): its line break becomes
/// spaces. The end of the head, if it is there.
pub(super) fn unfold(bytes: &mut [u8]) -> Option<usize> {
    let mut at = 0;
    let mut is_first = true;
    loop {
        let end = at + bytes.get(at..)?.iter().position(|byte| *byte == b'\n')?;
        let is_empty = matches!(bytes.get(at..end), Some(b"" | b"\r"));
        if is_empty && !is_first {
            return Some(end + 1);
        }
        // What would continue the first line is no header's.
        if matches!(bytes.get(end + 1), Some(b' ' | b'\t')) && !is_first {
            let begin = if end > at && bytes[end - 1] == b'\r' { end - 1 } else { end };
            bytes[begin..=end].fill(b' ');
        } else {
            at = end + 1;
            is_first = false;
        }
    }
}

/// Whether it is an answer that only says to wait for another one.
pub(super) fn is_interim(head: &[u8]) -> bool {
    head.starts_with(b"HTTP/1.") && head.get(8..10) == Some(b" 1") && head.get(8..12) != Some(b" 101")
}

fn read_answer(call: Call<RecvResponse>, incoming: Incoming, response: &Response<()>, peer: &Peer) -> Result<Answer> {
    let status = response.status().as_u16();
    // The verdict stands in the first line: a body that is too large or damaged changes nothing about it.
    let is_refusal = !(200..300).contains(&status);
    let mut answer = Answer::new(status, response.headers(), SystemTime::now());
    if let Some(RecvResponseResult::RecvBody(call)) = call.proceed() {
        let body = Body { call, incoming };
        let read = if is_gzip(response.headers()) {
            read_body(&mut MultiGzDecoder::new(body), is_refusal, peer)
        } else {
            read_body(&mut { body }, is_refusal, peer)
        };
        answer.body = read.map_err(|error| error.with_http_status(status))?;
    }
    Ok(answer)
}

fn is_gzip(headers: &HeaderMap) -> bool {
    let coding = text(headers, header::CONTENT_ENCODING).unwrap_or_default().trim();
    ["gzip", "x-gzip"].iter().any(|name| coding.eq_ignore_ascii_case(name))
}

/// The value of a header that is text.
pub(super) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn read_body(reader: &mut dyn Read, is_refusal: bool, peer: &Peer) -> Result<SecretBytes> {
    let mut body = SecretBytes::with_capacity(CHUNK)?;
    let mut chunk = Zeroizing::new([0; CHUNK]);
    loop {
        let count = match reader.read(&mut *chunk) {
            Ok(0) => return Ok(body),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => match describe(&error, peer) {
                error if is_refusal && error.status() == Status::Protocol => return Ok(body),
                error => return Err(error),
            },
        };
        if is_refusal && body.expose().len() + count > MAX_REFUSAL {
            return Ok(body);
        }
        if body.expose().len() + count > MAX_ANSWER {
            return Err(Error::new(Status::Protocol, "the answer is larger than 1 MiB"));
        }
        body.push(&chunk[..count])?;
    }
}

/// The body of an answer, as it is delimited. Errors of its own are ours, inside.
struct Body<'a> {
    call: Call<RecvBody>,
    incoming: Incoming<'a>,
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let until_close = matches!(self.call.body_mode(), BodyMode::CloseDelimited);
        loop {
            let (used, count) = self
                .call
                .read(self.incoming.rest(), buffer)
                .map_err(|_| io::Error::other(Error::new(Status::Protocol, "the answer's body is damaged")))?;
            self.incoming.start += used;
            if count > 0 || (self.call.can_proceed() && !until_close) || buffer.is_empty() {
                return Ok(count);
            }
            if used == 0 && !self.incoming.read_more()? {
                return if until_close { Ok(0) } else { Err(io::Error::other(lost())) };
            }
        }
    }
}

fn lost() -> Error {
    Error::new(Status::Connect, "the connection was lost before the answer was complete")
}

fn no_http() -> Error {
    Error::new(Status::Protocol, "the answer is not valid HTTP; is this the right host?")
}

fn too_large() -> Error {
    Error::new(Status::Protocol, "the answer's headers are too large; is this the right host?")
}

/// What an error on a connection means once it is there.
pub(super) fn describe(error: &io::Error, peer: &Peer) -> Error {
    if let Some(verdict) = verdict(error) {
        return verifier::describe(verdict, peer);
    }
    if let Some(ours) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return ours.clone();
    }
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            Error::new(Status::Timeout, "no complete answer within timeout_ms")
        }
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => lost(),
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
            Error::new(Status::Protocol, "the answer's compressed body is damaged")
        }
        // The operating system's own words hold no input of ours.
        _ if error.raw_os_error().is_some() => Error::new(Status::Connect, error.to_string()),
        _ => Error::new(Status::Connect, "the connection failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_headers_become_one_line() {
        for (head, unfolded, is_complete) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n x\r\n y", "HTTP/1.1 200 OK\r\nA: b   c\r\n\r\n x\r\n y", true),
            (
                "HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\n \r\nD: e\r\n\r\n",
                "HTTP/1.1 200 OK\r\nA: b  \tc   \r\nD: e\r\n\r\n",
                true,
            ),
            ("HTTP/1.1 200 OK\nA: b\n c\n\nx\n y", "HTTP/1.1 200 OK\nA: b  c\n\nx\n y", true),
            ("HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n", false),
            ("HTTP/1.1 200 OK\r\nA: b\r\n c", "HTTP/1.1 200 OK\r\nA: b   c", false),
            ("HTTP/1.1 200 OK", "HTTP/1.1 200 OK", false),
            ("\r\n\r\n", "\r\n\r\n", true),
            ("", "", false),
        ] {
            // Piece by piece as well.
            for step in [1, 2, 1000] {
                let mut bytes = Vec::new();
                let mut end = None;
                for piece in head.as_bytes().chunks(step) {
                    bytes.extend(piece);
                    end = unfold(&mut bytes);
                }
                assert_eq!(std::str::from_utf8(&bytes).unwrap(), unfolded, "{step}");
                assert_eq!(end.is_some(), is_complete, "{head:?}");
            }
        }
    }

    #[test]
    fn interim_answers_are_told_from_others() {
        for (head, is_one) in [
            ("HTTP/1.1 100 Continue\r\n", true),
            ("HTTP/1.0 103 x", true),
            ("HTTP/1.1 101 Switching", false),
            ("HTTP/1.1 200 OK", false),
            ("HTTP/2 100", false),
        ] {
            assert_eq!(is_interim(head.as_bytes()), is_one, "{head}");
        }
    }
}
