//! What an application has beside the network: an end, time, tasks, settings, console, disks.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use core::future::poll_fn;
use core::task::Poll;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use elone::gate::Past;
use elone::host::{Image, Machine};
use elone::storage::BlockDevice;
use elone::time::{Duration, Instant, Ticker, Timer, with_timeout};
use elone::{Error, Platform};
use embedded_io_async::{Read, Write};

#[test]
fn a_main_that_returns_ends_with_zero() {
    assert_eq!(Machine::new("").run(async |_| {}), 0);
    assert_eq!(Machine::new("").run(async |_| Ok::<(), Error>(())), 0);
}

#[test]
fn an_error_is_logged_and_ends_with_one() {
    let machine = Machine::new("");
    let control = machine.control();
    assert_eq!(machine.run(async |_| Err::<(), _>(Error::TimedOut)), 1);
    assert!(control.output().contains("ERROR app: no answer in time"), "{}", control.output());
}

#[test]
fn exit_ends_it_from_anywhere() {
    let status = Machine::new("").run(async |platform: Platform| {
        platform.spawn(async { elone::exit(42) });
        core::future::pending::<()>().await;
    });
    assert_eq!(status, 42);
}

#[test]
fn timers_expire_in_order_and_not_early() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&order);
    let status = Machine::new("").run(async move |platform: Platform| {
        let start = Instant::now();
        for delay in [600, 200, 1000, 400, 800, 1] {
            let seen = Rc::clone(&seen);
            platform.spawn(async move {
                Timer::after_millis(delay).await;
                assert!(start.elapsed() >= Duration::from_millis(delay));
                seen.borrow_mut().push(delay);
            });
        }
        while seen.borrow().len() < 6 {
            Timer::after_millis(10).await;
        }
    });
    assert_eq!(status, 0);
    assert_eq!(*order.borrow(), [1, 200, 400, 600, 800, 1000]);
}

#[test]
fn a_timer_that_is_dropped_costs_at_most_one_waking() {
    let machine = Machine::new("");
    let control = machine.control();
    let status = machine.run(async |_| {
        for _ in 0..100 {
            let never = core::future::pending::<()>();
            assert!(with_timeout(Duration::from_micros(50), never).await.is_err());
            let at_once = core::future::ready(1);
            assert_eq!(with_timeout(Duration::from_secs(100), at_once).await, Ok(1));
        }
        Timer::after_millis(20).await;
    });
    assert_eq!(status, 0);
    assert!(control.sleeps().timed < 300, "{:?}", control.sleeps());
}

#[test]
fn a_task_that_wakes_itself_is_polled_again() {
    let status = Machine::new("").run(async |_| {
        let mut left = 10_000;
        poll_fn(|context| {
            left -= 1;
            if left == 0 {
                return Poll::Ready(());
            }
            // Before it is asleep, which must not be lost.
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    });
    assert_eq!(status, 0);
}

#[test]
fn tasks_that_wake_each_other_never_sleep_over_it() {
    let machine = Machine::new("");
    let control = machine.control();
    let status = machine.run(async |platform: Platform| {
        let turn = Rc::new(Cell::new(0_u32));
        let wakers: Rc<RefCell<[Option<Waker>; 2]>> = Rc::default();
        for me in 0..2 {
            let (turn, wakers) = (Rc::clone(&turn), Rc::clone(&wakers));
            platform.spawn(poll_fn(move |context| {
                wakers.borrow_mut()[me] = Some(context.waker().clone());
                if turn.get() as usize % 2 == me && turn.get() < 10_000 {
                    turn.set(turn.get() + 1);
                    if let Some(other) = &wakers.borrow()[1 - me] {
                        other.wake_by_ref();
                    }
                }
                Poll::Pending
            }));
        }
        while turn.get() < 10_000 {
            embassy_futures::yield_now().await;
        }
    });
    assert_eq!((status, control.sleeps().endless), (0, 0));
}

/// A waker that is no task's, as combinators have them.
struct Flag(Mutex<Option<Waker>>, std::sync::atomic::AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.1.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Some(waker) = self.0.lock().unwrap().take() {
            waker.wake();
        }
    }
}

#[test]
fn timers_work_under_wakers_that_are_no_tasks() {
    let status = Machine::new("").run(async |_| {
        let start = Instant::now();
        let flag = Arc::new(Flag(Mutex::default(), false.into()));
        let inner = Waker::from(Arc::clone(&flag));
        let mut timer = pin!(Timer::after_millis(15));
        poll_fn(|context| {
            *flag.0.lock().unwrap() = Some(context.waker().clone());
            timer.as_mut().poll(&mut Context::from_waker(&inner))
        })
        .await;
        assert!(flag.1.load(std::sync::atomic::Ordering::Relaxed));
        assert!(start.elapsed() >= Duration::from_millis(15));
    });
    assert_eq!(status, 0);
}

#[elone::task(pool_size = 2)]
async fn counts(counter: &'static std::sync::atomic::AtomicU32) {
    counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
}

#[test]
fn tasks_with_memory_of_their_own_are_spawned() {
    static COUNTER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let status = Machine::new("").run(async |platform: Platform| {
        let spawner = platform.spawner().unwrap();
        spawner.spawn(counts(&COUNTER).unwrap());
        spawner.spawn(counts(&COUNTER).unwrap());
        assert!(counts(&COUNTER).is_err(), "there is memory for two");
        Timer::after_micros(1).await;
    });
    assert_eq!((status, COUNTER.load(std::sync::atomic::Ordering::Relaxed)), (0, 2));
}

#[test]
fn settings_are_read_and_the_machine_is_known() {
    let status = Machine::new("app.a=1 app.a=2 log=info").run(async |platform: Platform| {
        assert_eq!(platform.setting("a"), Some("2"));
        assert_eq!(platform.setting("log"), None);
        assert_eq!(platform.machine().board, "developer's machine");
    });
    assert_eq!(status, 0);
}

#[test]
fn the_console_is_read_and_written() {
    let machine = Machine::new("");
    let control = machine.control();
    let typing = control.clone();
    std::thread::spawn(move || {
        for byte in b"hello" {
            std::thread::sleep(std::time::Duration::from_millis(2));
            typing.type_in(&[*byte]);
        }
    });
    let status = machine.run(async |platform: Platform| {
        let mut console = platform.console();
        let mut bytes = [0; 5];
        console.read_exact(&mut bytes).await.unwrap();
        console.write_all(&bytes).await.unwrap();
    });
    assert_eq!((status, control.output().as_str()), (0, "hello"));
}

#[test]
fn a_shutdown_is_heard_by_all_who_wait_and_by_who_asks_later() {
    let machine = Machine::new("");
    machine.control().ask_to_end();
    let status = machine.run(async |platform: Platform| {
        let both = embassy_futures::join::join(platform.shutdown(), platform.shutdown());
        both.await;
        platform.shutdown().await;
    });
    assert_eq!(status, 0);
}

#[test]
fn the_time_that_is_left_is_counted_from_when_it_was_told() {
    for (settings, all) in [("", 30), ("shutdown=100 shutdown=bad", 100), ("shutdown=0", 0)] {
        let machine = Machine::new(settings);
        let control = machine.control();
        let status = machine.run(async move |platform: Platform| {
            assert_eq!(platform.time_left(), None);
            control.ask_to_end();
            platform.shutdown().await;
            let left = platform.time_left().unwrap();
            assert!(left <= Duration::from_secs(all));
            Timer::after(Duration::from_millis(20)).await;
            let later = platform.time_left().unwrap();
            assert!(later + Duration::from_millis(20) <= left || later == Duration::MIN);
        });
        assert_eq!(status, 0);
    }
}

#[test]
fn work_is_done_unless_the_end_comes_first() {
    let machine = Machine::new("");
    let control = machine.control();
    let status = machine.run(async move |platform: Platform| {
        assert_eq!(platform.until_shutdown(async { 1 }).await, Some(1));
        let never = core::future::pending::<()>();
        let asked = async {
            Timer::after(Duration::from_millis(20)).await;
            control.ask_to_end();
        };
        let both = embassy_futures::join::join(platform.until_shutdown(never), asked);
        assert_eq!(both.await.0, None);
        // What is done by then is done all the same.
        assert_eq!(platform.until_shutdown(async { 2 }).await, Some(2));
    });
    assert_eq!(status, 0);
}

#[test]
fn entropy_differs() {
    let status = Machine::new("").run(async |_| {
        let mut numbers: Vec<_> = (0..100).map(|_| elone::entropy::word().unwrap()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 100);
    });
    assert_eq!(status, 0);
}

#[test]
fn a_disk_gives_back_what_was_written_where_it_was_written() {
    let bytes = Arc::new(Mutex::new(vec![0; 64 * 512]));
    let image = Image::memory(Arc::clone(&bytes));
    let status = Machine::new("").disk(image).run(async |platform: Platform| {
        let disk = platform.disk(0)?;
        assert_eq!(disk.sectors(), 64);
        // More than one request holds, and not from the start.
        let written: Vec<u8> = (0..=250).cycle().take(30 * 512).collect();
        disk.write(3, &written).await?;
        disk.flush().await?;
        let mut read = vec![0; written.len()];
        disk.read(3, &mut read).await?;
        assert_eq!(read, written);
        let outside = Error::Gate(elone::gate::Error::OutOfRange);
        assert_eq!(disk.read(60, &mut read).await, Err(outside));
        assert_eq!(disk.read(0, &mut [0; 100]).await, Err(outside));
        assert_eq!(disk.write(u64::MAX, &[0; 512]).await, Err(outside));
        let again = platform.disk(0).err();
        assert_eq!(again, Some(Error::Gate(elone::gate::Error::Claimed)));
        Ok::<_, Error>(())
    });
    assert_eq!(status, 0);
    let bytes = bytes.lock().unwrap();
    assert!(bytes[..3 * 512].iter().all(|&byte| byte == 0));
    assert_eq!((bytes[3 * 512], bytes[3 * 512 + 250], bytes[33 * 512 - 1]), (0, 250, 48));
}

#[test]
fn many_tasks_share_a_disk_and_some_give_up() {
    let bytes = Arc::new(Mutex::new(vec![7; 1024 * 512]));
    let status = Machine::new("").disk(Image::memory(bytes)).run(async |platform: Platform| {
        let disk = platform.disk(0)?;
        let done = Rc::new(Cell::new(0));
        for task in 0..50_u64 {
            let done = Rc::clone(&done);
            platform.spawn(async move {
                for round in 0..20 {
                    let at = (task * 20 + round) % 1000;
                    let content = [u8::try_from(task + round).unwrap(); 1024];
                    if round % 3 == 0 {
                        // Polled once, then dropped with its request under way.
                        let mut write = pin!(disk.write(at, &content));
                        let _ = poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await;
                    } else {
                        disk.write(at, &content).await.unwrap();
                    }
                }
                done.set(done.get() + 1);
            });
        }
        let all = async {
            while done.get() < 50 {
                Timer::after_micros(100).await;
            }
        };
        assert!(with_timeout(Duration::from_secs(20), all).await.is_ok(), "a request got lost");
        Ok::<_, Error>(())
    });
    assert_eq!(status, 0);
}

#[test]
fn a_read_only_disk_refuses_writes() {
    let bytes = Arc::new(Mutex::new(vec![1; 512]));
    let image = Image::memory(bytes).read_only();
    let status = Machine::new("").disk(image).run(async |platform: Platform| {
        let disk = platform.disk(0)?;
        let refused = Err(Error::Gate(elone::gate::Error::Unsupported));
        assert_eq!(disk.write(0, &[0; 512]).await, refused);
        let mut sector = [0; 512];
        disk.read(0, &mut sector).await?;
        assert_eq!(sector, [1; 512]);
        Ok::<_, Error>(())
    });
    assert_eq!(status, 0);
}

#[test]
fn what_became_of_earlier_starts_is_told() {
    let run = |machine: Machine, expected: Past| {
        machine.run(async move |platform: Platform| assert_eq!(*platform.past(), expected))
    };
    assert_eq!(run(Machine::new(""), Past::default()), 0);
    let past = Past { restarts: 2, faults: 3, report: "FAULT class=hang esr=0x0\n" };
    assert_eq!(run(Machine::new("").past(past), past), 0);
}

#[test]
fn a_ticker_does_not_make_up_for_what_it_missed() {
    let status = Machine::new("").run(async |_| {
        let period = Duration::from_millis(20);
        let begun = Instant::now();
        let mut ticker = Ticker::every(period);
        ticker.next().await;
        assert!(begun.elapsed() >= period, "it came early");
        // As if the machine had stood still for fifty periods.
        std::thread::sleep(std::time::Duration::from_secs(1));
        ticker.next().await;
        for ticks in 1..=3 {
            let before = begun.elapsed();
            ticker.next().await;
            let (before, after) = (before.as_micros(), begun.elapsed().as_micros());
            // At the next multiple of the period, whichever that is by now, and never twice for one.
            assert!(after / 20_000 > before / 20_000, "{ticks}: {before}, {after}");
        }
    });
    assert_eq!(status, 0);
}

#[test]
fn every_restore_is_told_to_whoever_waits() {
    let machine = Machine::new("");
    let control = machine.control();
    let told = Rc::new(Cell::new(0));
    let seen = Rc::clone(&told);
    let status = machine.run(async move |platform: Platform| {
        let mut restored = platform.restored();
        control.restore();
        Timer::after_millis(1).await;
        platform.spawn(async move {
            loop {
                restored.await; // one that came before anybody waited counts
                restored = platform.restored();
                seen.set(seen.get() + 1);
            }
        });
        for count in 1..4 {
            while told.get() < count {
                Timer::after_millis(1).await;
            }
            control.restore();
        }
        while told.get() < 4 {
            Timer::after_millis(1).await;
        }
        let nobody = with_timeout(Duration::from_millis(20), platform.restored()).await;
        assert!(nobody.is_err(), "nothing came");
    });
    assert_eq!(status, 0);
}

#[test]
fn stolen_time_is_told_where_it_is_known() {
    let status = Machine::new("").run(async |_| assert!(elone::stolen_time().is_err()));
    assert_eq!(status, 0);
    let machine = Machine::new("").stolen(elone::gate::Nanoseconds(7));
    assert_eq!(machine.run(async |_| assert_eq!(elone::stolen_time().unwrap().0, 7)), 0);
}
