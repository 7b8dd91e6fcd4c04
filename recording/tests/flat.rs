//! A writer's memory does not grow with the row groups that it has written, and closing does not
//! need them in memory.

#![expect(clippy::unwrap_used, reason = "tests")]

use osd_recording::rows::Sample;
use osd_recording::{Kind, Metadata, Recording, Writer, WriterOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what is allocated now, and at most.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all of it is the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Writes one row group after the other.
fn write_groups(writer: &mut Writer, from: i64, n: i64) {
    for i in from..from + n {
        // One row makes a group at first, eight later.
        let rows = if i < 128 { 1 } else { 8 };
        for _ in 0..rows {
            writer.push(Sample { ts_ns: i, cpu_ns: i as u64, ..Sample::default() }).unwrap();
        }
        if i % 100 == 0 {
            let list = writer.sync_list().unwrap();
            list.run().unwrap();
            writer.synced(&list).unwrap();
        }
    }
}

#[test]
fn thousands_of_row_groups_take_no_more_memory_than_hundreds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.parquet");
    let options = WriterOptions { rows_per_group: 1, ..WriterOptions::default() };
    let mut writer = Writer::create(&path, options).unwrap();
    writer.describe(&Metadata::default()).unwrap();
    write_groups(&mut writer, 0, 300);
    let few = HELD.load(Ordering::Relaxed);
    write_groups(&mut writer, 300, 1_000);
    let many = HELD.load(Ordering::Relaxed);
    // A group's description is three kilobytes in the footer.
    assert!(many < few + (64 << 10), "{few} bytes after 300 row groups, {many} after 1300");
    MOST.store(many, Ordering::Relaxed);
    writer.close(Metadata::default()).unwrap();
    let closing = MOST.load(Ordering::Relaxed) - many;
    assert!(closing < 2 << 20, "closing took {closing} bytes");
    let recording = Recording::open(&path).unwrap();
    assert!(recording.row_groups().len() > 1_200, "{}", recording.row_groups().len());
    let described: u64 = recording.row_groups().iter().map(|g| g.rows).sum();
    assert_eq!(described, recording.metadata().rows[Kind::Sample.name()]);
}
