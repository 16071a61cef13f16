//! HTTP/1.1 by hand: reading a request, and writing an answer, whole or broken.

use std::io::{self, Read, Write};

use serde::Serialize;

use crate::transport::Transport;

const HEAD_LIMIT: usize = 64 * 1024;
const BODY_LIMIT: usize = 16 * 1024 * 1024;
const MAX_HEADERS: usize = 100;

/// A request's line and headers.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The value of the first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Reads requests, and keeps what was read beyond their end.
pub(crate) struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Reader { buffer: Vec::new() }
    }

    /// The head of the next request; `None` when the client ends the connection instead.
    pub(crate) fn head(&mut self, stream: &mut Transport) -> io::Result<Option<Head>> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut request = httparse::Request::new(&mut headers);
            if let httparse::Status::Complete(length) = request.parse(&self.buffer).map_err(invalid)? {
                let target = request.path.unwrap_or_default();
                let head = Head {
                    method: request.method.unwrap_or_default().into(),
                    path: target.split('?').next().unwrap_or_default().into(),
                    headers: request
                        .headers
                        .iter()
                        .map(|header| (header.name.into(), String::from_utf8_lossy(header.value).into_owned()))
                        .collect(),
                };
                self.buffer.drain(..length);
                return Ok(Some(head));
            }
            if self.buffer.len() > HEAD_LIMIT {
                return Err(invalid("the head of the request is too long"));
            }
            if self.fill(stream)? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// The body that belongs to this head.
    pub(crate) fn body(&mut self, stream: &mut Transport, head: &Head) -> io::Result<Vec<u8>> {
        if head.header("Expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            stream.flush()?;
        }
        if head.header("Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return self.chunks(stream);
        }
        let length = match head.header("Content-Length") {
            Some(length) => length.trim().parse().map_err(invalid)?,
            None => 0,
        };
        self.take(stream, length)
    }

    fn chunks(&mut self, stream: &mut Transport) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            match httparse::parse_chunk_size(&self.buffer).map_err(|_| invalid("bad chunk size"))? {
                httparse::Status::Complete((length, size)) => {
                    self.buffer.drain(..length);
                    let size = usize::try_from(size).map_err(invalid)?;
                    if body.len().saturating_add(size) > BODY_LIMIT {
                        return Err(invalid("the body of the request is too long"));
                    }
                    body.extend(self.take(stream, size)?);
                    // What ends a chunk; after the last one, there are no trailers to speak of.
                    self.take(stream, 2)?;
                    if size == 0 {
                        return Ok(body);
                    }
                }
                httparse::Status::Partial => {
                    if self.fill(stream)? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
    }

    fn take(&mut self, stream: &mut Transport, length: usize) -> io::Result<Vec<u8>> {
        if length > BODY_LIMIT {
            return Err(invalid("the body of the request is too long"));
        }
        while self.buffer.len() < length {
            if self.fill(stream)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    fn fill(&mut self, stream: &mut Transport) -> io::Result<usize> {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece)?;
        self.buffer.extend_from_slice(&piece[..length]);
        Ok(length)
    }
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length,
    Chunked,
    /// Chunked, with a size that is no number in the middle.
    BrokenChunks,
    /// By the end of the connection.
    Close,
}

/// An answer, ready to be written.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) code: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) framing: Framing,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    message: &'a str,
    details: [String; 0],
}

impl Response {
    pub(crate) fn new(code: u16, content_type: &str, body: Vec<u8>) -> Self {
        let mut headers = Vec::new();
        if !content_type.is_empty() {
            headers.push(("Content-Type".into(), content_type.into()));
        }
        Response { code, headers, body, framing: Framing::Length }
    }

    pub(crate) fn json(code: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("a value with text as its keys can be written");
        Response::new(code, "application/json", body)
    }

    /// An error as the platform tells it.
    pub(crate) fn error(code: u16, message: &str) -> Self {
        Response::json(code, &ErrorBody { message, details: [] })
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.set_header(name, value);
        self
    }

    /// Takes the place of headers of the same name.
    pub(crate) fn set_header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
    }

    /// The bytes of the head, and those of the body as they go over the wire.
    pub(crate) fn to_bytes(&self, date: &str) -> (Vec<u8>, Vec<u8>) {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.code, reason(self.code));
        let mut framing = vec![("Date", date.to_owned()), ("Connection", "close".to_owned())];
        let body = match self.framing {
            // These two have no body, by definition.
            _ if matches!(self.code, 204 | 304) => Vec::new(),
            Framing::Length => {
                framing.push(("Content-Length", self.body.len().to_string()));
                self.body.clone()
            }
            Framing::Close => self.body.clone(),
            Framing::Chunked | Framing::BrokenChunks => {
                framing.push(("Transfer-Encoding", "chunked".to_owned()));
                chunked(&self.body, self.framing == Framing::BrokenChunks)
            }
        };
        for (name, value) in self.headers.iter().map(|(name, value)| (name.as_str(), value.clone())).chain(framing) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        (head.into_bytes(), body)
    }
}

/// In chunks of uneven size, so that readers meet borders within words and characters.
fn chunked(body: &[u8], broken: bool) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut rest = body;
    for size in [1, 7, 64].into_iter().chain(std::iter::repeat(4096)) {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        wire.extend(format!("{:x}\r\n", chunk.len()).bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
        if broken {
            wire.extend_from_slice(b"zz\r\n");
            return wire;
        }
        rest = after;
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "As Ordered",
    }
}

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}
