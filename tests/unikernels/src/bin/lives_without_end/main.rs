//! Lives as often as `app.lives=` says: each life sees that nothing is missing, reads what the last
//! one left on the disk and leaves a mark of its own, and dies in one of several ways, with requests
//! and frames under way. The last one reads, sends, receives, and ends well.
//!
//! Tells what each life is given, so that the harness can see whether any of it gets less.
#![no_std]
#![no_main]

extern crate alloc;

mod death;
mod devices;

use core::sync::atomic::{AtomicU64, Ordering};

use devices::{Disk, Net};
use elone::gate::calls;
use elone::{Platform, heap, info};

/// What is in the image stays so, whatever a life makes of its copy.
const PRISTINE: u64 = 0x0123_4567_89ab_cdef;
static DATA: AtomicU64 = AtomicU64::new(PRISTINE);
static ZERO: AtomicU64 = AtomicU64::new(0);

#[elone::main]
async fn main(platform: Platform) -> Result<(), &'static str> {
    let (begin, usage) = (calls::now().0, heap::usage());
    let life = platform.past().restarts;
    let lives = platform.setting("lives").and_then(|lives| lives.parse().ok()).unwrap_or(10);
    if DATA.swap(life.into(), Ordering::Relaxed) != PRISTINE || ZERO.swap(1, Ordering::Relaxed) != 0
    {
        return Err("the data is not as it was");
    }
    let (mut net, mut disk) = (Net::claim()?, Disk::claim()?);
    info!("life {life}: {usage:?}, {net:?}, {disk:?}");
    info!("life {life} begins at {begin} ns");

    if life > 0 && disk.mark()? != life {
        return Err("the disk has forgotten the last life");
    }
    disk.leave_mark(life + 1)?;
    let offered = net.offer_all()?;
    // One in so many makes sure that its frame has left.
    net.send(life, life.is_multiple_of(10))?;
    if life + 1 >= lives {
        net.receive()?;
        info!("life {life} was the last one, with {offered} buffers offered");
        return Ok(());
    }
    let requests = disk.begin_reads();
    net.send(life, false)?;
    info!("life {life}: {offered} buffers offered, {requests} requests under way");
    info!("life {life} ends at {} ns", calls::now().0);
    death::die(life)
}
