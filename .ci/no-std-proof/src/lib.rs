//! Proof that core and protocol work without std.
//!
//! This crate brings its own panic handler. Were std linked in by anything below it, the build would end with
//! "duplicate lang item `panic_impl`"; it needs no other target and no part of the toolchain beyond the usual.
//! Nothing runs it: that it builds is the proof.
#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

use cirrus_core::bounded::Queue;
use cirrus_core::ids::Pass;
use cirrus_protocol::keys::{self, KeyLimit};
use cirrus_protocol::manifest::Manifest;

/// Has no memory to give: what links is proved, not what runs.
struct NoMemory;

// SAFETY: it never hands out memory, so there is none that could be misused or given back.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _layout: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _memory: *mut u8, _layout: Layout) {}
}

#[global_allocator]
static ALLOCATOR: NoMemory = NoMemory;

#[panic_handler]
fn panic(_info: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Makes the linker keep a piece of each of the two crates: how many of three things went well.
#[unsafe(no_mangle)]
pub extern "C" fn cirrus_no_std_proof(key: u32) -> u32 {
    let queued = Queue::default().push(1, Pass(key)).is_ok();
    let (mut list, mut keys) = (Vec::new(), Vec::new());
    let limit = KeyLimit { count: 1, key_max: key };
    let same = keys::encode(&[key], &mut list).is_ok() && keys::decode(&list, limit, &mut keys).is_ok();
    let described = Manifest::decode(&list).is_ok();
    u32::from(queued) + u32::from(same) + u32::from(described)
}
