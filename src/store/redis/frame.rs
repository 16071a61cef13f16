//! Where an answer of Redis ends, and whether it is one that we would have asked for.
#![forbid(unsafe_code)]

/// How deep lists may stand in lists. Ours are flat; the parser goes down one frame of the stack for each.
const MAX_DEPTH: usize = 8;
/// The longest line that says what follows, or holds an error.
const MAX_LINE: usize = 64 * 1024;

/// What nobody should send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strange;

/// How many bytes the first answer in `bytes` has; None if it has not come whole.
pub(super) fn answer_len(bytes: &[u8]) -> Result<Option<usize>, Strange> {
    let mut at = 0;
    // How many values each list that has begun still wants.
    let mut wanted: Vec<u64> = Vec::new();
    loop {
        let rest = &bytes[at..];
        let Some(end) = rest.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
            return if rest.len() < MAX_LINE { Ok(None) } else { Err(Strange) };
        };
        let (kind, text) = rest[..end].strip_suffix(b"\r").and_then(<[u8]>::split_first).ok_or(Strange)?;
        at += end + 1;
        let values = match kind {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => 0,
            b'$' | b'=' | b'!' => {
                if let Ok(length) = usize::try_from(number(text)?) {
                    at = at.checked_add(length).and_then(|at| at.checked_add(2)).ok_or(Strange)?;
                    if at > bytes.len() {
                        return Ok(None);
                    }
                }
                0
            }
            b'*' | b'~' | b'>' => u64::try_from(number(text)?).unwrap_or(0),
            b'%' => u64::try_from(number(text)?).unwrap_or(0).saturating_mul(2),
            _ => return Err(Strange),
        };
        if values > 0 {
            if wanted.len() == MAX_DEPTH {
                return Err(Strange);
            }
            wanted.push(values);
            continue;
        }
        // A value has ended, and with it perhaps the lists that it is the last of.
        loop {
            let Some(left) = wanted.last_mut() else {
                return Ok(Some(at));
            };
            *left -= 1;
            if *left > 0 {
                break;
            }
            wanted.pop();
        }
    }
}

fn number(text: &[u8]) -> Result<i64, Strange> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_it_ends() {
        for answer in [
            "+OK\r\n",
            "-ERR no\r\n",
            ":7\r\n",
            "$-1\r\n",
            "$0\r\n\r\n",
            "$4\r\na\r\nb\r\n",
            "*0\r\n",
            "*-1\r\n",
            "*2\r\n:1\r\n$1\r\na\r\n",
            "*2\r\n*1\r\n:1\r\n*0\r\n",
            "%1\r\n+a\r\n+b\r\n",
            "_\r\n",
        ] {
            let bytes = answer.as_bytes();
            for end in 0..bytes.len() {
                assert_eq!(answer_len(&bytes[..end]), Ok(None), "{end} bytes of {answer:?}");
            }
            assert_eq!(answer_len(bytes), Ok(Some(bytes.len())), "{answer:?}");
            assert_eq!(answer_len(&[bytes, b"+more\r\n"].concat()), Ok(Some(bytes.len())), "{answer:?}");
        }
    }

    #[test]
    fn what_nobody_should_send_is_found_out() {
        let nested = |depth: usize| "*1\r\n".repeat(depth) + ":1\r\n";
        assert!(matches!(answer_len(nested(MAX_DEPTH).as_bytes()), Ok(Some(_))));
        for strange in [
            &nested(MAX_DEPTH + 1),
            &nested(100_000),
            "HTTP/1.1 400 Bad Request\r\n",
            "\r\n",
            "+no carriage return\n",
            "$many\r\n",
            "$9223372036854775807\r\n",
            "*x\r\n",
            &"+".repeat(MAX_LINE),
        ] {
            assert!(!matches!(answer_len(strange.as_bytes()), Ok(Some(_))), "{strange:.40}");
        }
        assert_eq!(answer_len(nested(99).as_bytes()), Err(Strange));
    }
}
