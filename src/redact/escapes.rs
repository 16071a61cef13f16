//! Text with its escapes undone, as a reader may decode it, and the position of each byte in the original text.
#![forbid(unsafe_code)]

use std::ops::Range;

use zeroize::Zeroizing;

/// Escapes may be escaped in turn: an HTML page in JSON in a URL.
const MAX_LAYERS: usize = 3;
/// More readings than any text has that was not made to have many.
const MAX_READINGS: usize = 24;

/// A text with some of its escapes undone.
pub(super) struct Reading {
    bytes: Zeroizing<Vec<u8>>,
    /// Where each byte came from.
    places: Vec<(u32, u32)>,
}

/// A way to write characters as others.
#[derive(Clone, Copy)]
enum Escape {
    /// Of JSON, and of other languages that are close to it.
    Backslash,
    Percent,
    /// Percent, and a plus sign for a blank.
    Form,
    Html,
}

impl Reading {
    /// All readings of `text`, the text itself first.
    pub(super) fn all(text: &str) -> Vec<Self> {
        let places = (0u32..).take(text.len()).map(|at| (at, at + 1)).collect();
        let mut readings = vec![Reading { bytes: Zeroizing::new(text.as_bytes().to_vec()), places }];
        let mut layer = 0..1;
        for _ in 0..MAX_LAYERS {
            for at in layer.clone() {
                for escape in [Escape::Backslash, Escape::Percent, Escape::Form, Escape::Html] {
                    if readings.len() < MAX_READINGS
                        && let Some(reading) = readings[at].undo(escape)
                    {
                        readings.push(reading);
                    }
                }
            }
            layer = layer.end..readings.len();
        }
        readings
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What these bytes are in the text itself.
    pub(super) fn place(&self, bytes: Range<usize>) -> Range<usize> {
        match self.places.get(bytes) {
            Some([first, .., last]) => first.0 as usize..last.1 as usize,
            Some([only]) => only.0 as usize..only.1 as usize,
            _ => 0..0,
        }
    }

    /// None when there is nothing to undo.
    fn undo(&self, escape: Escape) -> Option<Self> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.bytes.len()));
        let mut places = Vec::with_capacity(self.bytes.len());
        let mut at = 0;
        while let Some(&byte) = self.bytes.get(at) {
            let mut buffer = [0; 4];
            let (meant, length) = match escape.read(&self.bytes[at..]) {
                Some((Meant::Char(c), length)) => (c.encode_utf8(&mut buffer).as_bytes(), length),
                Some((Meant::Byte(byte), length)) => {
                    buffer[0] = byte;
                    (&buffer[..1], length)
                }
                None => {
                    bytes.push(byte);
                    places.push(self.places[at]);
                    at += 1;
                    continue;
                }
            };
            let place = (self.places[at].0, self.places[at + length - 1].1);
            bytes.extend_from_slice(meant);
            places.extend(meant.iter().map(|_| place));
            at += length;
        }
        let is_other = bytes.len() != self.bytes.len() || *bytes != *self.bytes;
        is_other.then_some(Reading { bytes, places })
    }
}

/// What an escape stands for.
enum Meant {
    Char(char),
    Byte(u8),
}

impl Escape {
    /// What the escape at the beginning of `text` stands for, and its length.
    fn read(self, text: &[u8]) -> Option<(Meant, usize)> {
        match (self, text.first()?) {
            (Escape::Backslash, b'\\') => backslash(text),
            (Escape::Percent | Escape::Form, b'%') => Some((Meant::Byte(hex(text.get(1..3)?)? as u8), 3)),
            (Escape::Form, b'+') => Some((Meant::Byte(b' '), 1)),
            (Escape::Html, b'&') => html(text),
            _ => None,
        }
    }
}

fn backslash(text: &[u8]) -> Option<(Meant, usize)> {
    let c = match text.get(1)? {
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'x' => return Some((Meant::Char(char::from_u32(hex(text.get(2..4)?)?)?), 4)),
        b'u' => {
            let unit = hex(text.get(2..6)?)?;
            if let Some(c) = char::from_u32(unit) {
                return Some((Meant::Char(c), 6));
            }
            // Half a character, and the other half.
            let second = text.get(6..8).filter(|start| start == b"\\u").and_then(|_| hex(text.get(8..12)?))?;
            let units = [u16::try_from(unit).ok()?, u16::try_from(second).ok()?];
            return Some((Meant::Char(char::decode_utf16(units).next()?.ok()?), 12));
        }
        punctuation if punctuation.is_ascii_punctuation() => char::from(*punctuation),
        _ => return None,
    };
    Some((Meant::Char(c), 2))
}

fn html(text: &[u8]) -> Option<(Meant, usize)> {
    // The longest is that of a number of seven digits.
    let end = text.iter().take(12).position(|byte| *byte == b';')?;
    let c = match &text[1..end] {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', b'x' | b'X', digits @ ..] => char::from_u32(hex(digits)?)?,
        [b'#', digits @ ..] => char::from_u32(std::str::from_utf8(digits).ok()?.parse().ok()?)?,
        _ => return None,
    };
    Some((Meant::Char(c), end + 1))
}

fn hex(digits: &[u8]) -> Option<u32> {
    // from_str_radix would take a sign as well.
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    u32::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| is_hex)?, 16).ok()
}
