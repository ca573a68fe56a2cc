//! Tasks that wait for the same thing.

use core::task::{Context, Waker};

use alloc::vec::Vec;

/// Who is to be woken when something happens.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Has a task woken. One that is here already is not noted again: a task that gives up waiting
    /// and comes back, as with a timeout in a loop, must not take more memory each time.
    pub(crate) fn add(&mut self, context: &Context<'_>) {
        if !self.0.iter().any(|waker| waker.will_wake(context.waker())) {
            self.0.push(context.waker().clone());
        }
    }

    /// Wakes all of them, once.
    pub(crate) fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_task_is_noted_once_and_woken_once() {
        let (one, other) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let mut wakers = Wakers::new();
        for _ in 0..1000 {
            for task in [&one, &other] {
                wakers.add(&Context::from_waker(&Arc::clone(task).into()));
            }
        }
        assert_eq!(wakers.0.len(), 2);
        wakers.wake();
        wakers.wake();
        let woken = [&one, &other].map(|task| task.0.load(Ordering::Relaxed));
        assert_eq!(woken, [1, 1]);
    }
}
