//! Numbers and texts as bytes: in dictionaries, in plain pages, and in the frames of a journal.
//! Little-endian, a text after its length.

pub(crate) fn spell_u64(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn spell_u32(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value as u32).to_le_bytes());
}

pub(crate) fn spell_text(text: &str, out: &mut Vec<u8>) {
    put(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Sizes are below 4 GiB: of pages, of dictionaries, of texts.
pub(crate) fn put(out: &mut Vec<u8>, size: usize) {
    out.extend_from_slice(&(size as u32).to_le_bytes());
}

/// What is left of a frame.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(n)?;
        self.0 = left;
        Some(taken)
    }

    pub(crate) fn size(&mut self) -> Option<usize> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?) as usize)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = self.size()?;
        std::str::from_utf8(self.take(length)?).ok()
    }
}
