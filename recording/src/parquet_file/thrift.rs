//! Numbers of Thrift's compact protocol, which Parquet's own encodings use as well: seven bits a
//! byte, the low ones first.

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

/// The number that `bytes` begin with, and what follows it; `None` if it does not end or has more than 64 bits.
pub(super) fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (digits, left) = bytes.split_at(length(bytes)?);
    let mut n = 0_u64;
    for (i, digit) in digits.iter().enumerate() {
        let (digit, shift) = (u64::from(digit & 0x7f), 7 * i as u32);
        n |= digit.checked_shl(shift).filter(|moved| moved >> shift == digit)?;
    }
    Some((n, left))
}

/// A number with its sign in the last bit.
pub(super) fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
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
            let more = [&out[..], &[7]].concat();
            assert_eq!(length(&more), Some(out.len()));
            assert_eq!(read_varint(&more).map(|(n, left)| (unzigzag(n), left)), Some((n, &[7][..])));
            out
        };
        assert_eq!([0, -1, 1, 63, -64].map(of), [[0], [1], [2], [126], [127]]);
        assert_eq!(of(64), [0x80, 1]);
        assert_eq!(of(i64::MIN), [[0xff; 9].as_slice(), &[1]].concat());
        assert_eq!(length(&[0x80; 4]), None);
        assert_eq!(read_varint(&[[0xff; 9].as_slice(), &[2]].concat()), None);
    }
}
