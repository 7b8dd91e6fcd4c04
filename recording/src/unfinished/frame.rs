//! Frames: how the files of an unfinished recording grow. Each is its length, its CRC-32 and its
//! bytes, so that a file cut or damaged anywhere still gives every whole frame before that place,
//! and nothing after it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// No frame is longer; a length beyond it is damage, not a reason to allocate.
const MAX_BYTES: u32 = 256 << 20;
const HEAD: u64 = 8;

/// A file that grows by frames.
#[derive(Debug)]
pub(crate) struct FrameFile {
    file: File,
    bytes: u64,
}

impl FrameFile {
    /// Appends to `file`, which must be empty.
    pub(crate) fn new(file: File) -> Self {
        Self { file, bytes: 0 }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was appended so far.
    pub(crate) fn frames(&self) -> Frames<FromStart<'_>> {
        Frames { file: BufReader::new(FromStart { file: &self.file, position: 0 }), left: self.bytes }
    }

    /// Appends a frame made of `parts`. If that fails the file is as long as before.
    pub(crate) fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let length = parts.iter().map(|p| p.len()).sum::<usize>();
        let length = u32::try_from(length).ok().filter(|n| *n <= MAX_BYTES).ok_or(io::ErrorKind::FileTooLarge)?;
        let mut head = [0; HEAD as usize];
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4..].copy_from_slice(&checksum(length, parts).to_le_bytes());
        let written = self.file.write_all(&head).and_then(|()| parts.iter().try_for_each(|p| self.file.write_all(p)));
        if let Err(e) = written {
            // A torn frame would hide all that come after it.
            self.file.set_len(self.bytes)?;
            self.file.seek(SeekFrom::Start(self.bytes))?;
            return Err(e);
        }
        self.bytes += HEAD + u64::from(length);
        Ok(())
    }
}

#[cfg(test)]
impl FrameFile {
    /// From here on it cannot be written.
    pub(crate) fn refuse(&mut self, path: &Path) {
        self.file = File::open(path).unwrap();
    }
}

fn checksum(length: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    parts.iter().for_each(|p| hasher.update(p));
    hasher.finalize()
}

/// The whole frames of a file, in order.
pub(crate) struct Frames<R> {
    file: BufReader<R>,
    left: u64,
}

impl Frames<File> {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let left = file.metadata()?.len();
        Ok(Self { file: BufReader::new(file), left })
    }
}

/// A file from its start, wherever its owner appends to it.
pub(crate) struct FromStart<'a> {
    file: &'a File,
    position: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl<R: Read> Iterator for Frames<R> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut head = [0; HEAD as usize];
        self.file.read_exact(&mut head).ok()?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (length, sum) = (number(0), number(4));
        self.left = self.left.checked_sub(HEAD + u64::from(length)).filter(|_| length <= MAX_BYTES)?;
        let mut payload = vec![0; length as usize];
        let whole = self.file.read_exact(&mut payload).is_ok() && checksum(length, &[&payload]) == sum;
        if !whole {
            self.left = 0;
        }
        whole.then_some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(payloads: &[Vec<u8>]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("frames");
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        let mut file = FrameFile::new(file);
        for p in payloads {
            let (a, b) = p.split_at(p.len() / 2);
            file.append(&[a, b]).unwrap();
        }
        assert_eq!(file.bytes(), path.metadata().unwrap().len());
        assert_eq!(file.frames().collect::<Vec<_>>(), payloads);
        (dir, path)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Cut anywhere, or with a bit flipped anywhere, a file of frames gives a prefix of them and nothing else.
        #[test]
        fn damage_leaves_a_prefix(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..12),
            cut in any::<prop::sample::Index>(),
            flip in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let (_dir, path) = written(&payloads);
            let whole = std::fs::read(&path).unwrap();
            prop_assert_eq!(Frames::open(&path).unwrap().collect::<Vec<_>>(), payloads.clone());
            std::fs::write(&path, &whole[..cut.index(whole.len() + 1)]).unwrap();
            let prefix: Vec<_> = Frames::open(&path).unwrap().collect();
            prop_assert_eq!(&payloads[..prefix.len()], &prefix[..]);
            if !whole.is_empty() {
                let mut damaged = whole;
                let at = flip.index(damaged.len());
                damaged[at] ^= 1 << bit;
                std::fs::write(&path, &damaged).unwrap();
                let prefix: Vec<_> = Frames::open(&path).unwrap().collect();
                prop_assert!(prefix.len() < payloads.len());
                prop_assert_eq!(&payloads[..prefix.len()], &prefix[..]);
            }
        }

        #[test]
        fn any_bytes_are_frames_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("frames");
            std::fs::write(&path, bytes).unwrap();
            let _ = Frames::open(&path).unwrap().count();
        }
    }
}
