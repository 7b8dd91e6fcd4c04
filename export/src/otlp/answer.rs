//! What a collector answers: an HTTP/1.1 response, and the message in it.

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Seconds after which to try again, where it says so.
    pub(super) retry_after_s: Option<u64>,
    pub(super) body: Vec<u8>,
}

/// Whether `text` is a whole response: its length is there, or its last chunk. One that ends with the connection never is.
pub(super) fn is_whole(text: &[u8]) -> bool {
    let Some((head, body)) = split(text) else { return false };
    if is_chunked(&head) {
        return unchunked(body).is_some_and(|(_, is_over)| is_over);
    }
    // These have no body whatever they say.
    let none = matches!(status(&head), Some(204 | 304));
    none || value(&head, "content-length").and_then(|n| n.parse::<usize>().ok()).is_some_and(|n| body.len() >= n)
}

/// Reads a response; `None` if it is none.
pub(super) fn answer(text: &[u8]) -> Option<Answer> {
    let (head, body) = split(text)?;
    let body = match value(&head, "content-length").and_then(|n| n.parse::<usize>().ok()) {
        _ if is_chunked(&head) => unchunked(body)?.0,
        Some(n) => body[..n.min(body.len())].to_vec(),
        None => body.to_vec(),
    };
    let retry_after_s = value(&head, "retry-after").and_then(|s| s.parse().ok());
    Some(Answer { status: status(&head)?, retry_after_s, body })
}

fn split(text: &[u8]) -> Option<(String, &[u8])> {
    let end = text.windows(4).position(|w| w == b"\r\n\r\n")?;
    Some((String::from_utf8_lossy(&text[..end]).into_owned(), &text[end + 4..]))
}

fn status(head: &str) -> Option<u16> {
    head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

fn is_chunked(head: &str) -> bool {
    value(head, "transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().ends_with("chunked"))
}

/// What is in chunks, and whether the last one was there. `None` if they are none.
fn unchunked(mut body: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut out = vec![];
    loop {
        let Some(end) = body.windows(2).position(|w| w == b"\r\n") else { return Some((out, false)) };
        let size = std::str::from_utf8(&body[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        body = &body[end + 2..];
        if size == 0 {
            return Some((out, true));
        }
        out.extend_from_slice(&body[..size.min(body.len())]);
        match size.checked_add(2).and_then(|n| body.get(n..)) {
            Some(rest) => body = rest,
            None => return Some((out, false)),
        }
    }
}

/// `partial_success.rejected_*` of a message.
pub(super) fn rejected(message: &[u8]) -> Option<u64> {
    let (partial, _) = field(message, 1)?;
    field(partial, 1).map(|(_, n)| n)
}

/// The text of a `google.rpc.Status`, which is what a refusal has.
pub(super) fn refusal(message: &[u8]) -> Option<&str> {
    std::str::from_utf8(field(message, 2)?.0).ok().filter(|text| !text.is_empty())
}

/// The first field of this number: its bytes if it has some, or its number.
fn field(mut message: &[u8], number: u64) -> Option<(&[u8], u64)> {
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let n = varint(&mut message)?;
        let bytes = match key & 7 {
            0 => &[][..],
            2 => message.split_off(..usize::try_from(n).ok()?)?,
            _ => return None,
        };
        if key >> 3 == number {
            return Some((bytes, n));
        }
    }
    None
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_where_they_say() {
        let of = |text: &str| (is_whole(text.as_bytes()), answer(text.as_bytes()));
        let is = |status, retry_after_s, body: &str| Some(Answer { status, retry_after_s, body: body.into() });
        let told = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(of(told), (true, is(200, None, "abc")));
        assert_eq!(of(&told[..told.len() - 1]), (false, is(200, None, "ab")));
        let chunks = "HTTP/1.1 503 Busy\r\nretry-after: 2\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        assert_eq!(of(chunks), (true, is(503, Some(2), "abc")));
        assert_eq!(of(&chunks[..chunks.len() - 6]), (false, is(503, Some(2), "abc")));
        assert_eq!(of("HTTP/1.1 200 OK\r\n\r\nab"), (false, is(200, None, "ab")));
        assert_eq!(of("HTTP/1.1 204 No\r\n\r\n"), (true, is(204, None, "")));
        for none in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "\0\0\x06\x04\0\0\0\0\0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        ] {
            assert_eq!(of(none), (false, None), "{none}");
        }
        let huge = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx";
        assert_eq!(of(huge), (false, is(200, None, "x")));
    }

    #[test]
    fn what_a_collector_rejects_is_read_and_what_it_garbles_is_not() {
        assert_eq!(rejected(&[0x0a, 2, 8, 7]), Some(7));
        assert_eq!(rejected(&[0x0a, 6, 8, 0x96, 1, 0x12, 1, b'x']), Some(150));
        for nothing in [&[][..], &[0x0a], &[0x0a, 9, 8], &[0xff; 12], &[0x0a, 0]] {
            assert_eq!(rejected(nothing), None);
        }
        assert_eq!(refusal(&[8, 3, 0x12, 2, b'n', b'o']), Some("no"));
        assert_eq!(refusal(b"<html>"), None);
    }
}
