//! Numbers of Thrift's compact protocol, which Parquet's own encodings use as well: seven bits a byte, the low ones first.

/// A number without sign.
pub(super) fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// A number with its sign in the last bit.
pub(super) fn number(out: &mut Vec<u8>, n: i64) {
    varint(out, (n << 1 ^ n >> 63) as u64);
}

/// How many bytes of `bytes` are one such number; `None` if it does not end.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| *b < 0x80).map(|last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_thrift_has_them() {
        let of = |n| {
            let mut out = Vec::new();
            number(&mut out, n);
            assert_eq!(length(&[&out[..], &[7]].concat()), Some(out.len()));
            out
        };
        assert_eq!([0, -1, 1, 63, -64].map(of), [[0], [1], [2], [126], [127]]);
        assert_eq!(of(64), [0x80, 1]);
        assert_eq!(of(i64::MIN), [[0xff; 9].as_slice(), &[1]].concat());
        assert_eq!(length(&[0x80; 4]), None);
    }
}
