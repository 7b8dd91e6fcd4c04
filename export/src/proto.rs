//! Protocol Buffers, as far as they are written: numbers, bytes, and messages in messages.

/// A message that grows.
#[derive(Default)]
pub(crate) struct Message(Vec<u8>);

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;

impl Message {
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    pub(crate) fn uint(&mut self, field: u64, n: u64) -> &mut Self {
        self.key(field, VARINT);
        self.varint(n);
        self
    }

    /// `int32` and `int64`: of a negative number, its complement in ten bytes.
    pub(crate) fn int(&mut self, field: u64, n: i64) -> &mut Self {
        self.uint(field, n as u64)
    }

    pub(crate) fn double(&mut self, field: u64, v: f64) -> &mut Self {
        self.key(field, FIXED64);
        self.0.extend(v.to_le_bytes());
        self
    }

    pub(crate) fn fixed64(&mut self, field: u64, n: u64) -> &mut Self {
        self.key(field, FIXED64);
        self.0.extend(n.to_le_bytes());
        self
    }

    /// A list of numbers of eight bytes each, which are given by their bits.
    pub(crate) fn packed64(&mut self, field: u64, bits: impl ExactSizeIterator<Item = u64>) -> &mut Self {
        self.key(field, BYTES);
        self.varint(bits.len() as u64 * 8);
        bits.for_each(|n| self.0.extend(n.to_le_bytes()));
        self
    }

    pub(crate) fn text(&mut self, field: u64, text: &str) -> &mut Self {
        self.key(field, BYTES);
        self.varint(text.len() as u64);
        self.0.extend(text.as_bytes());
        self
    }

    pub(crate) fn message(&mut self, field: u64, fill: impl FnOnce(&mut Message)) -> &mut Self {
        let mut inner = Message::default();
        fill(&mut inner);
        self.key(field, BYTES);
        self.varint(inner.0.len() as u64);
        self.0.extend(inner.0);
        self
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the specification of the encoding.
    #[test]
    fn numbers_texts_and_messages_are_spelt_as_specified() {
        let mut message = Message::default();
        message.uint(1, 150).text(2, "testing").message(3, |m| {
            m.uint(1, 150);
        });
        let wanted = [&[8, 0x96, 1, 0x12, 7][..], b"testing", &[0x1a, 3, 8, 0x96, 1]].concat();
        assert_eq!(message.bytes(), wanted);
        let mut message = Message::default();
        message.fixed64(1, 1).packed64(2, [1.0_f64.to_bits()].into_iter());
        assert_eq!(message.bytes(), [9, 1, 0, 0, 0, 0, 0, 0, 0, 0x12, 8, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        let mut message = Message::default();
        message.int(1, -2).double(2, 1.0);
        let wanted = [8, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f];
        assert_eq!(message.bytes(), wanted);
    }
}
