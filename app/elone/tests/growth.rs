//! What happens ten thousand times takes no more memory than what happens a hundred times.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod peer;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use elone::Platform;
use elone::host::Cable;
use elone::time::with_timeout;
use embedded_io_async::Write;
use peer::{Peer, SETTING, boot};

/// Bytes that are allocated now, in all threads.
static LIVE: AtomicIsize = AtomicIsize::new(0);

/// All threads are counted together, so the tests run one after the other.
static ALONE: Mutex<()> = Mutex::new(());

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[allow(unsafe_code, reason = "counts what the system's allocator gives")]
// SAFETY: all calls go to the system's allocator as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn waiting_in_vain_leaves_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (_cable, plug) = Cable::new();
    let (_, machine) = boot(SETTING, plug, |machine| {
        machine.run(async |platform: Platform| {
            let net = platform.net().configured().await.unwrap();
            let listener = net.bind(7).await.unwrap();
            let mut after_the_first = 0;
            for number in 1..=10_000 {
                let at_once = elone::time::Duration::from_ticks(1);
                assert!(with_timeout(at_once, listener.accept()).await.is_err());
                assert!(with_timeout(at_once, platform.shutdown()).await.is_err());
                if number == 500 {
                    after_the_first = LIVE.load(Ordering::Relaxed);
                }
            }
            let grown = LIVE.load(Ordering::Relaxed) - after_the_first;
            assert!(grown < 16_384, "{grown} bytes more than after 500 times");
        })
    });
    assert_eq!(machine.join().unwrap(), 0);
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (cable, plug) = Cable::new();
    let (control, machine) = boot(SETTING, plug, |machine| {
        machine.run(async |platform: Platform| {
            let net = platform.net().connections(16).configured().await.unwrap();
            let listener = net.bind(7).await.unwrap();
            platform.spawn(async move {
                loop {
                    // Closes first, so that TIME-WAIT is at this end.
                    let (_, mut socket) = listener.accept().await.unwrap();
                    let _ = socket.write_all(b"bye").await;
                }
            });
            platform.shutdown().await;
            assert_eq!(net.connections().accepted, 10_000);
            assert!(net.connections().active <= 16);
        })
    });
    let mut peer = Peer::new(&cable);
    let mut after_the_first = 0;
    for number in 1..=10_000 {
        let socket = peer.connect(7);
        peer.until("the end", |peer| {
            let socket = peer.tcp(socket);
            let _ = socket.recv(|bytes| (bytes.len(), ()));
            (!socket.may_recv()).then_some(())
        });
        peer.close(socket);
        if number == 500 {
            after_the_first = LIVE.load(Ordering::Relaxed);
        }
    }
    peer.rest(Duration::from_millis(100));
    let grown = LIVE.load(Ordering::Relaxed) - after_the_first;
    assert!(grown < 16_384, "{grown} bytes more than after 500 connections");
    control.ask_to_end();
    assert_eq!(machine.join().unwrap(), 0);
}
