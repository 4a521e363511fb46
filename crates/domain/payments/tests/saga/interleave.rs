//! Futures polled by hand: so that several use cases run in each other's way, and any can be dropped at any await.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

pub(crate) type Act<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// One step: whether it has come to its end.
pub(crate) fn step(act: &mut Act<'_>) -> bool {
    act.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// To its end, alone.
pub(crate) fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..1_000_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
    panic!("a future that never ends");
}

/// An await at which others may go on, and at which this may end for ever.
pub(crate) async fn breathe() {
    let mut breathed = false;
    poll_fn(|_| if std::mem::replace(&mut breathed, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}
